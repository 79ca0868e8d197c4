// Package ldapmatch compares the names that a directory gives as a directory
// compares them. What a rule says of "CN=Physics, OU=Groups" must hold for
// "cn=physics,ou=groups": a rule that denies would else be open to whoever
// writes the name in another way.
//
// A name that reads as a distinguished name is compared as one (RFC 4517
// §4.2.15): attribute types by their meaning, so that case and the dotted form
// make no difference, values one by one, so that spaces around them, escapes and
// the order within an RDN don't either. Values, and all other names, are
// compared by caseIgnoreMatch (RFC 4517 §4.2.11).
//
// Directories differ in how much of that they do, so there are two keys. What
// allows goes by [Strict]: names that every directory takes for the same, by
// case, spaces and canonical equivalence. What denies goes by [Loose]: names
// that some directory might, with all of RFC 4518's string preparation, which
// knows compatibility forms and invisible characters too. So a group whose name
// only resembles that of a rule gives nothing, and takes what it might.
//
// What can't be compared at all, an attribute type that few schemas have or a value
// in BER that is no text, allows nothing: no rule can name it, see [UnsureOf]. Of
// a group that a directory calls so, a rule that denies holds where all else of both
// names is the same ([Unsure.MightBe]).
//
// All values are taken for such that ignore case, as those of groups are in
// OpenLDAP, 389 Directory Server and Active Directory. Where a directory tells
// two groups apart by case alone, entry doesn't.
//
// When not to use it: for names that users type, which have one spelling.
package ldapmatch

import (
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Strict is name in a form that is equal for all names that mean the same in
// every directory. It is no name to show, and may be "" for one that is blank.
// It is safe for concurrent use, and takes microseconds: make it once.
func Strict(name string) string { return key(name, strict, false) }

// Loose is Strict for names that might mean the same.
func Loose(name string) string { return key(name, loose, true) }

func key(name string, prepare func(string) string, decode bool) string {
	if key, ok := dnKey(name, prepare, decode); ok {
		return key
	}
	return prepare(name)
}

// strict folds case, puts canonically equivalent letters into one form, and
// makes spaces one within and none outside.
func strict(s string) string {
	if plain(s) {
		return strings.ToLower(s)
	}
	s = norm.NFC.String(strings.Map(fold, norm.NFC.String(s)))
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == ' ' }), " ")
}

// fold is one, for all, of the letters that differ from r by case alone, one for
// one: "ß" and "SS" aren't the same for all directories.
func fold(r rune) rune {
	first := r
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		first = min(first, f)
	}
	return unicode.ToLower(first)
}

// loose is the string preparation of RFC 4518 for comparing without case. Where
// that is stricter (it refuses what Unicode has assigned since 3.2), names are
// still compared by what they look like.
func loose(s string) string {
	if plain(s) {
		return strings.ToLower(s)
	}
	return strings.Join(strings.Fields(Folded(s)), " ")
}

// Folded is text, no name, by the same preparation: equal for what might be the same
// but for case, whatever directory compares it. All white space is plain, and counts.
func Folded(text string) string {
	fold := cases.Fold() // Unicode 15, D146: compatibility caseless matching
	text = norm.NFD.String(strings.Map(visible, text))
	return norm.NFKD.String(fold.String(norm.NFKD.String(fold.String(text))))
}

// plain tells whether s is ASCII that only has to be folded.
func plain(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c == ' ' && (i == 0 || i == len(s)-1 || s[i-1] == ' '), c < ' ', c > '~':
			return false
		}
	}
	return true
}

// visible maps to nothing what RFC 4518 §2.2 does, and all white space to one
// kind.
func visible(r rune) rune {
	switch {
	case unicode.IsSpace(r), r == '\u2028', r == '\u2029':
		return ' '
	case unicode.Is(unicode.Cc, r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Variation_Selector, r), r == '\u034f', r == '\u1806', r == '\ufffc':
		return -1
	}
	return r
}
