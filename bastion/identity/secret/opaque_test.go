package secret

import (
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/go-crypt/x/crypt"
	"golang.org/x/text/unicode/norm"
)

const composed = "blåbær på brød åtte"

func TestPassphrasesAreText(t *testing.T) {
	decomposed := norm.NFD.String(composed)
	if decomposed == composed {
		t.Fatal("the same bytes")
	}
	h := NewHasher(cheap)
	for _, set := range []string{composed, decomposed, strings.ReplaceAll(composed, " ", "\u00a0")} {
		stored, err := h.Hash(t.Context(), set)
		if err != nil {
			t.Fatal(err)
		}
		for _, typed := range []string{composed, decomposed, strings.ReplaceAll(composed, " ", "\u2003")} {
			for _, check := range []func() (bool, error){
				func() (bool, error) { return h.Verify(t.Context(), stored, typed) },
				func() (bool, error) { return h.VerifyLater(t.Context(), stored, typed) },
			} {
				if ok, err := check(); err != nil || !ok {
					t.Errorf("set %q, typed %q: %v %v", set, typed, ok, err)
				}
			}
		}
		for _, typed := range []string{"blabær på brød åtte", strings.ToUpper(composed), composed + " "} {
			if ok, err := h.Verify(t.Context(), stored, typed); err != nil || ok {
				t.Errorf("set %q, typed %q: %v %v", set, typed, ok, err)
			}
		}
	}
}

// TestImportedHashesMayBeOfBytes: a hash from elsewhere was made of the bytes that a
// system got; what is typed is tried byte by byte only where that differs.
func TestImportedHashesMayBeOfBytes(t *testing.T) {
	decomposed := norm.NFD.String(composed)
	turns := 0
	h := NewHasher(HasherOptions{Costs: cheap.Costs, OnTurn: func() { turns++ }})
	for _, c := range []struct {
		hashed, typed string
		right         bool
		turns         int
	}{
		{composed, composed, true, 1},
		{composed, decomposed, true, 1},
		{decomposed, decomposed, true, 2},
		{composed, "something else", false, 1},
		{composed, "something else \u00e5", false, 1},
		{composed, "something else a\u030a", false, 2},
		{"caf\xe9 au lait", "caf\xe9 au lait", true, 1}, // Latin-1
	} {
		stored := "$5$rounds=1000$salt$" + sum5(t, c.hashed)
		turns = 0
		if ok, err := h.Verify(t.Context(), stored, c.typed); err != nil || ok != c.right || turns != c.turns {
			t.Errorf("hash of %q, typed %q: %v %v, %d hashes", c.hashed, c.typed, ok, err, turns)
		}
	}
}

func sum5(t *testing.T, passphrase string) string {
	t.Helper()
	return string(crypt.KeySHACrypt(sha256.New, []byte(passphrase), []byte("salt"), 1000))
}

func TestPrepare(t *testing.T) {
	for _, bad := range []string{"", "tab\there", "\x1b[A", "latin \xe9", "unassigned \u0378", strings.Repeat("a", MaxPassphrase+1), strings.Repeat("\u0958", MaxPassphrase/3)} {
		if got, err := Prepare(bad); err == nil || got != bad || strings.Contains(err.Error(), bad) && bad != "" {
			t.Errorf("%q: %q %v", bad, got, err)
		}
	}
	if got, err := Prepare("a\u00a0b\u3000c a\u030a"); err != nil || got != "a b c å" {
		t.Errorf("%q %v", got, err)
	}
}
