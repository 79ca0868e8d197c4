package ldapmatch

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestKeys(t *testing.T) {
	for _, c := range []struct {
		strict bool // or else only loosely the same
		names  []string
	}{
		{true, []string{"physics", "Physics", "PHYSICS", " physics "}},
		{true, []string{"Biobank Users", "biobank  users"}},
		{true, []string{"bj\u00f8rn", "BJ\u00d8RN"}},
		{true, []string{"\u00e5l", "a\u030al", "\u00c5L", "\u212bl"}},    // å composed, decomposed, upper case, the ångström sign
		{true, []string{"\u0399\u0308\u0301", "\u0390", "\u03ca\u0301"}}, // folding makes marks that have to be put in order
		{true, []string{"cn=physics,ou=groups,dc=uni", "CN=Physics,OU=Groups,DC=uni", "cn = physics , ou = groups , dc = uni", "cn=physics;ou=groups;dc=uni",
			`cn=\70hysics,ou=groups,dc=uni`, "2.5.4.3=physics,2.5.4.11=groups,0.9.2342.19200300.100.1.25=uni", "OID.2.5.4.3=physics,ou=groups,dc=uni",
			"commonName=physics,organizationalUnitName=groups,domainComponent=uni"}},
		{true, []string{"cn=a+uid=b,dc=uni", "UID=B+CN=A,DC=UNI"}},
		{true, []string{`cn=Smith\, John,dc=uni`, `cn=smith\2c  john,dc=uni`, `CN=SMITH\, JOHN,DC=UNI`}},
		{true, []string{`cn=gr\c3\bcn,dc=uni`, "cn=gr\u00fcn,dc=uni", "cn=GRU\u0308N,dc=uni"}},

		{true, []string{"STRASSE", "strasse"}},
		{true, []string{`o="Sue, Grabbit & Runn",c=gb`, `O=sue\, grabbit & runn, C=GB`}},
		{true, []string{`cn=a\ ,dc=uni`, `cn=a\20,dc=uni`, "cn=a,dc=uni"}}, // spaces at the end don't count, escaped or not

		{false, []string{"strasse", "straße"}},
		{false, []string{"physics", "phy\u00adsics"}},
		{false, []string{"physics", "physics\u200b"}},
		{false, []string{"physics", "\ufeffphysics"}},
		{false, []string{"physics", "ｐｈｙｓｉｃｓ"}},
		{false, []string{"finance", "\ufb01nance"}}, // with a ligature
		{false, []string{"biobank users", "biobank\u00a0users"}},
		{false, []string{"biobank users", "biobank\tusers"}},
		{false, []string{"cn=physics,dc=uni", "cn=physics\u200d,dc=uni"}},
	} {
		for _, n := range c.names[1:] {
			if a, b := Strict(c.names[0]), Strict(n); (a == b) != c.strict {
				t.Errorf("strictly, %q is %q, %q is %q", c.names[0], a, n, b)
			}
			if a, b := Loose(c.names[0]), Loose(n); a != b {
				t.Errorf("loosely, %q is %q, %q is %q", c.names[0], a, n, b)
			}
		}
	}
	seen := map[string]string{}
	for _, n := range []string{
		"physics", "physicss", "phys ics", "physik", "cn=physics", "ou=physics", "cn=physics,dc=uni", "dc=uni,cn=physics", "cn=physics+dc=uni",
		`cn=physics\,dc=uni`, "cn=phys ics,dc=uni", "cn=,dc=uni", "=", "a=b=c", "", "é", "e",
		`cn=physics",dc=uni`, `cn=physics\`, "cn=physics,", "cn=physics,dc", "cn=physics,,dc=uni", `cn=\ff,dc=uni`, `cn=a\\,dc=uni`, `cn=a\+b=c`, "cn=a+b=c",
		"cn=#0c0770687973696373,ou=groups,dc=uni", "cn=#0484ffffffff,dc=uni",
	} {
		if other, ok := seen[Loose(n)]; ok {
			t.Errorf("%q and %q are both %q", n, other, Loose(n))
		}
		seen[Loose(n)] = n
	}
}

// FuzzKeys: whatever is read, its case makes no difference.
func FuzzKeys(f *testing.F) {
	for _, s := range []string{"Physics", "cn=a,dc=b", `cn=\c3\28,dc=b`, "cn=#04024869", "\u0390", "a=b+c=d;e=f", "\xff=a", "ſ=ſ", "\x00#="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		lower := strings.Map(func(r rune) rune {
			if 'A' <= r && r <= 'Z' {
				return r + 'a' - 'A'
			}
			return r
		}, s)
		for _, key := range []func(string) string{Strict, Loose} {
			if a, b := key(s), key(lower); utf8.ValidString(s) && a != b {
				t.Errorf("%q is %q, in lower case %q", s, a, b)
			}
		}
	})
}
