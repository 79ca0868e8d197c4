package secret

import (
	"strings"
	"testing"
)

func FuzzCanonicalSymbols(f *testing.F) {
	for _, s := range []string{"abcd-efgh-jkmn", "ABCD EFGH JKMN", "oOiIlL-0000-zzzz", "uuuu-uuuu-uuuu", "abcd-efgh-jkmn-pqrs", "----", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, n := range []int{recoverySymbols, temporarySymbols} {
			c, ok := canonicalSymbols(s, n)
			if !ok {
				continue
			}
			if len(c) != n || strings.Trim(c, alphabet) != "" {
				t.Errorf("%q: %q", s, c)
			}
			if again, ok := canonicalSymbols(c, n); !ok || again != c {
				t.Errorf("%q is not a fixed point: %q", c, again)
			}
		}
	})
}

func TestTokens(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		s := NewTemporary()
		c, ok := canonicalSymbols(s, temporarySymbols)
		if !ok || seen[c] || len(s) != 19 || HashTemporary(s) != HashTemporary(strings.ToUpper(c)) {
			t.Fatalf("%q", s)
		}
		seen[c] = true
	}
	if HashTemporary("abcd") != HashTemporary("") || HashTemporary("abcd") == HashTemporary(NewTemporary()) {
		t.Error("what can't be a temporary passphrase must not match one")
	}
}
