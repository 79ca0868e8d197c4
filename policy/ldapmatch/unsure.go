package ldapmatch

import (
	"fmt"
	"slices"
	"strings"
)

// Unsure is a distinguished name that can't be compared for sure: an attribute type in
// it may be another one's other name, or a value is in BER. It is a plain
// value and safe for concurrent use.
type Unsure struct {
	rdns [][]attribute
	// Why says what can't be compared, as a clause for whoever wrote the name.
	Why string
}

// UnsureOf tells whether name is such a name. One of a single RDN isn't, whatever its
// type: no directory has groups at its root, but some call them "team=physics".
// Strictly, a text in BER is unsure, too.
func UnsureOf(name string, strictly bool) (u Unsure, ok bool) {
	rdns, ok := parseDN(name, loose, !strictly)
	if !ok || len(rdns) < 2 {
		return Unsure{}, false
	}
	for _, rdn := range rdns {
		for _, a := range rdn {
			switch {
			case !a.known:
				u.Why = fmt.Sprintf("the attribute type %q is none that entry can compare", a.kind)
			case a.binary:
				u.Why = fmt.Sprintf("the value of %s is in BER", a.kind)
			}
		}
	}
	u.rdns = rdns
	return u, u.Why != ""
}

// MightBe tells whether u and the name that Loose made key of may be one: whatever of
// them can be compared is the same.
func (u Unsure) MightBe(key string) bool {
	rdns := cutAll(key, ',')
	return slices.EqualFunc(u.rdns, rdns, func(mine []attribute, rdn string) bool {
		return mightBe(mine, cutAll(rdn, '+'))
	})
}

// manyAttributes is how many attributes of one RDN aren't tried in each order.
const manyAttributes = 4

func mightBe(mine []attribute, theirs []string) bool {
	if len(mine) != len(theirs) {
		return false
	}
	if len(mine) == 0 || len(mine) > manyAttributes {
		return true // or can't be told
	}
	for i, t := range theirs {
		kind, value, _ := strings.Cut(t, "=")
		if a := mine[0]; (!a.known || a.kind == kind) && (a.binary || a.value == value) &&
			mightBe(mine[1:], slices.Delete(slices.Clone(theirs), i, i+1)) {
			return true
		}
	}
	return false
}

// cutAll is what stands in a key between separators without a backslash before them.
func cutAll(key string, separator byte) (parts []string) {
	start := 0
	for i := 0; i < len(key); i++ {
		switch key[i] {
		case '\\':
			i++
		case separator:
			parts = append(parts, key[start:i])
			start = i + 1
		}
	}
	return append(parts, key[start:])
}
