package secret

import (
	"crypto/rand"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// alphabet is Crockford's base32 in lower case: no i, l, o, u, so that what was
// read over the phone can be typed. 5 bits a symbol.
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// recoverySymbols are 60 bits in three groups of four, xxxx-xxxx-xxxx.
const recoverySymbols = 12

// randomSymbols returns n random symbols.
func randomSymbols(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the process instead
	for i, v := range b {
		b[i] = alphabet[v&31]
	}
	return b
}

// grouped writes symbols in groups of n with dashes between them.
func grouped(symbols []byte, n int) string {
	var s strings.Builder
	for i, c := range symbols {
		if i > 0 && i%n == 0 {
			s.WriteByte('-')
		}
		s.WriteByte(c)
	}
	return s.String()
}

// unknownSymbol stands for a character that is in no such string.
const unknownSymbol = '?'

// symbol undoes how people copy one: upper case, the wide forms of East Asian
// keyboards, and the letters that the alphabet leaves out for their look-alikes.
func symbol(r rune) byte {
	switch r = unicode.ToLower(narrow(r)); r {
	case 'o':
		return '0'
	case 'i', 'l':
		return '1'
	case 'u':
		return 'v'
	}
	if r > unicode.MaxASCII || strings.IndexByte(alphabet, byte(r)) < 0 {
		return unknownSymbol
	}
	return byte(r)
}

// narrow undoes the wide forms of letters and digits.
func narrow(r rune) rune {
	if n := width.LookupRune(r).Folded(); n != 0 {
		return n
	}
	return r
}

// separates tells whether r only parts groups, or was copied along: white space,
// what mail programs and keyboards make of a dash, the quotes, brackets and full
// stops around a string in a letter, and what isn't seen at all.
func separates(r rune) bool {
	return r != utf8.RuneError && (unicode.IsSpace(r) || unicode.In(r, unicode.P, unicode.S, unicode.Cf))
}

// canonicalSymbols undoes how people copy a string of n symbols: see symbol, and
// whatever grouping. It returns the bare symbols, and false unless there are exactly n
// of them.
func canonicalSymbols(typed string, n int) (string, bool) {
	if len(typed) > 4*n {
		return "", false
	}
	out := make([]byte, 0, n)
	for _, r := range typed {
		if separates(r) {
			continue
		}
		c := symbol(r)
		if c == unknownSymbol || len(out) == n {
			return "", false
		}
		out = append(out, c)
	}
	return string(out), len(out) == n
}

// NewRecoveryCode makes a recovery code as it is shown, xxxx-xxxx-xxxx.
func NewRecoveryCode() string { return grouped(randomSymbols(recoverySymbols), 4) }
