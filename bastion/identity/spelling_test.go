package identity_test

import (
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"entry/bastion/identity"
	"entry/bastion/identity/secret"
)

// TestSpellingsOfOnePassphrase: what Prepare makes one passphrase of counts as one,
// and so does what a directory may that prepares them by RFC 4013 or takes eight bytes.
func TestSpellingsOfOnePassphrase(t *testing.T) {
	differs := 0
	for r := rune(0x80); r <= utf8.MaxRune; r++ {
		for _, typed := range []string{"my" + string(r) + "old horse battery", "cable " + norm.NFD.String(string(r)) + "x"} {
			if p, err := secret.Prepare(typed); err == nil && p != typed {
				if differs++; identity.Spelling(typed) != identity.Spelling(p) {
					t.Errorf("%+q is another one than %+q", typed, p)
				}
			}
		}
	}
	if differs < 1000 {
		t.Errorf("%d were prepared", differs)
	}
	for _, same := range [][]string{
		{"my old horse battery", "my\u00a0old\u3000horse battery", "\u2003my old horse", "MY OLD HORSE", "my\u00ad old horse", "my\u200b old\u2060 horse", "ｍｙ　ｏｌｄ　ｈｏｒｓｅ"},
		{"bl\u00e5b\u00e6r og br\u00f8d", "bla\u030ab\u00e6r og br\u00f8d", "BL\u00c5B\u00c6R OG BR\u00d8D", "Bl\u212bb\u00e6r"},
		{"kelvin scale", "\u212aelvin scale"},
		{"correct horse", "correct anything", "correct\u0301 horse", "correct \u0301x", "\xe3orrect horse", "correct\x00"},
		{"abcdefg\u00f8", "abcdefg\u00e9", "abcdefge\u0301", "abcdefg"},
	} {
		for _, other := range same[1:] {
			if identity.Spelling(other) != identity.Spelling(same[0]) {
				t.Errorf("%+q is another one than %+q", other, same[0])
			}
		}
	}
	if identity.Spelling("correct horse") == identity.Spelling("corrupt horse") {
		t.Error("two are one")
	}
}
