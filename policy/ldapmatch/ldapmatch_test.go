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

		{true, []string{"serialNumber=774,dc=uni", "2.5.4.5=774,dc=uni", "oid.2.5.4.5=774,DC=uni"}},
		{true, []string{"mail=a@b5,dc=uni", "rfc822Mailbox=a@B5,dc=uni", "0.9.2342.19200300.100.1.3=a@b5,dc=uni"}},
		{true, []string{"sn=S6,dc=uni", "surname=s6,dc=uni", "2.5.4.4=s6,dc=uni"}},

		{true, []string{"STRASSE", "strasse"}},
		{true, []string{`o="Sue, Grabbit & Runn",c=gb`, `O=sue\, grabbit & runn, C=GB`}},
		{true, []string{`cn=a\ ,dc=uni`, `cn=a\20,dc=uni`, "cn=a,dc=uni"}}, // spaces at the end don't count, escaped or not

		{false, []string{"strasse", "straße"}},
		{false, []string{"cn=a7,dc=uni", "cn=#04026137,dc=uni", "cn=#0C024137,dc=uni", "cn=#0481026137,dc=uni", "2.5.4.3=#13026137 , dc=uni", "cn=#048200026137,dc=uni"}},
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

// The tables of RFC 4518 §2.2, whole: what is mapped to nothing, and to a space. Its
// variation selectors "FF00-FE0F" are FE00-FE0F by RFC 3454, B.1.
func TestMappedCharacters(t *testing.T) {
	for want, ranges := range map[string][][2]rune{
		"physics": {
			{0xad, 0xad}, {0x34f, 0x34f}, {0x1806, 0x1806}, {0x180b, 0x180d}, {0xfe00, 0xfe0f}, {0xfffc, 0xfffc}, {0x200b, 0x200b},
			{0, 8}, {0xe, 0x1f}, {0x7f, 0x84}, {0x86, 0x9f}, {0x6dd, 0x6dd}, {0x70f, 0x70f}, {0x180e, 0x180e}, {0x200c, 0x200f}, {0x202a, 0x202e},
			{0x2060, 0x2063}, {0x206a, 0x206f}, {0xfeff, 0xfeff}, {0xfff9, 0xfffb}, {0x1d173, 0x1d17a}, {0xe0001, 0xe0001}, {0xe0020, 0xe007f},
		},
		"phy sics": {{9, 0xd}, {0x85, 0x85}, {0x20, 0x20}, {0xa0, 0xa0}, {0x1680, 0x1680}, {0x2000, 0x200a}, {0x2028, 0x2029}, {0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000}},
	} {
		for _, between := range ranges {
			for r := between[0]; r <= between[1]; r++ {
				for _, name := range []string{"phy" + string(r) + "sics", "cn=phy" + string(r) + "sics,dc=uni"} {
					if got, want := Loose(name), Loose(strings.Replace(name, "phy"+string(r)+"sics", want, 1)); got != want {
						t.Errorf("with %U it is %q, want %q", r, got, want)
					}
				}
			}
		}
	}
}

// What can't be compared for sure is told, and might be whatever else of it can be.
func TestUnsure(t *testing.T) {
	for name, might := range map[string][]string{
		"nsUniqueId=physics,ou=groups,dc=uni":     {"cn=Physics,ou=groups,dc=uni", "ou=physics,ou=groups,dc=uni"},
		"cn=#1e0400410042,ou=groups,dc=uni":       {"cn=physics,ou=groups,dc=uni", "cn=x,OU=Groups,DC=uni"},
		"cn=#0484ffffffff,ou=groups,dc=uni":       {"commonName=physics,ou=groups,dc=uni"},
		"9.9.9=#0500,ou=groups,dc=uni":            {"cn=physics,ou=groups,dc=uni", "ou=physics,ou=groups,dc=uni"},
		"seeAlso=b+cn=a,dc=uni":                   {"cn=a+ou=b,dc=uni", "ou=b+cn=a,dc=uni"},
		`x-name=Smith\, John\+son,ou=g,dc=uni`:    {`cn=smith\, john\+son,ou=g,dc=uni`},
		"a1=1+a2=2+a3=3+a4=4+a5=5,ou=groups,c=se": {"cn=a+ou=b+l=c+o=d+st=e,ou=groups,c=se"}, // too many to try
	} {
		u, ok := UnsureOf(name, false)
		if !ok || u.Why == "" {
			t.Errorf("%q is taken for sure", name)
		}
		for _, other := range might {
			if _, ok := UnsureOf(other, false); ok || !u.MightBe(Loose(other)) {
				t.Errorf("%q can't be %q, or that is unsure: %t", name, other, ok)
			}
		}
		for _, other := range []string{"physics", "cn=physics,dc=uni", "cn=physics,ou=people,dc=uni", "cn=physics,ou=groups,dc=other", "cn=a+ou=c,dc=uni", "cn=other+ou=b,dc=uni", `cn=smith\, john,ou=g,dc=uni`} {
			if u.MightBe(Loose(other)) || Strict(name) == Strict(other) {
				t.Errorf("%q might be %q", name, other)
			}
		}
	}
	for _, name := range []string{"", "physics", "team=physics", "cn=physics,dc=uni", "cn=#4,dc=uni", `cn=\#0500,dc=uni`, "a=b=c", "9.9.9"} {
		if u, ok := UnsureOf(name, false); ok {
			t.Errorf("%q: %s", name, u.Why)
		}
	}
	if u, ok := UnsureOf("cn=#04026137,dc=uni", true); !ok || !u.MightBe("cn=other,dc=uni") {
		t.Error("a text in BER is taken for sure by rules that allow")
	}
	if a, b := Strict("cn=#0500,dc=uni"), Strict(`cn=\#0500,dc=uni`); a == b {
		t.Errorf("BER is taken for the text that looks like it: %q", a)
	}
}

// FuzzKeys: whatever is read, its case makes no difference.
func FuzzKeys(f *testing.F) {
	for _, s := range []string{"Physics", "cn=a,dc=b", `cn=\c3\28,dc=b`, "cn=#04024869", "\u0390", "a=b+c=d;e=f", "\xff=a", "ſ=ſ", "\x00#=", "x=a+y=b,dc=c", "cn=#0500,x=y"} {
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
		if u, ok := UnsureOf(s, false); ok && !u.MightBe(Loose(s)) && !strings.Contains(s, "#") {
			t.Errorf("%q can't be itself, %q", s, Loose(s))
		}
	})
}
