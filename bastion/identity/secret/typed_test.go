package secret

import (
	"strings"
	"testing"
)

func FuzzCanonicalSymbols(f *testing.F) {
	for _, s := range []string{"abcd-efgh-jkmn", "ABCD EFGH JKMN", "oOiIlL-0000-zzzz", "uuuu-uuuu-uuuu", "abcd-efgh-jkmn-pqrs", "----", "ab\u2013cd\u00a0efghjkmn", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, n := range []int{recoverySymbols, temporarySymbols, olderSymbols} {
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
