package secret

import (
	"crypto/rand"
	"crypto/sha256"
	"strings"
)

// alphabet is Crockford's base32 in lower case: no i, l, o, u, so that what was
// read over the phone can be typed. 5 bits a symbol.
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

const (
	temporarySymbols = 16 // 80 bits in four groups of four
	recoverySymbols  = 12 // 60 bits in three groups of four, xxxx-xxxx-xxxx
)

// randomSymbols returns n random symbols, grouped by four with dashes.
func randomSymbols(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the process instead
	var s strings.Builder
	for i, v := range b {
		if i > 0 && i%4 == 0 {
			s.WriteByte('-')
		}
		s.WriteByte(alphabet[v&31])
	}
	return s.String()
}

// canonicalSymbols undoes how people copy such a string: upper case, other
// grouping, and the letters that the alphabet leaves out for their look-alikes.
// It returns the bare symbols, and false unless there are exactly n of them.
func canonicalSymbols(typed string, n int) (string, bool) {
	if len(typed) > 4*n {
		return "", false
	}
	out := make([]byte, 0, n)
	for i := 0; i < len(typed); i++ {
		c := typed[i]
		switch {
		case c == '-' || c == ' ' || c == '\t':
			continue
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		}
		switch c {
		case 'o':
			c = '0'
		case 'i', 'l':
			c = '1'
		}
		if strings.IndexByte(alphabet, c) < 0 || len(out) == n {
			return "", false
		}
		out = append(out, c)
	}
	return string(out), len(out) == n
}

// NewRecoveryCode makes a recovery code as it is shown, xxxx-xxxx-xxxx.
func NewRecoveryCode() string { return randomSymbols(recoverySymbols) }

// NewTemporary makes a temporary passphrase as it is handed out.
func NewTemporary() string { return randomSymbols(temporarySymbols) }

// HashTemporary is a plain SHA-256: with 80 random bits behind it there is
// nothing that a slow hash would make harder, and a cheap one lets the answer be
// compared before the next prompt without giving strangers work to order.
// What can't be a temporary passphrase hashes to something that none has.
func HashTemporary(typed string) [32]byte {
	s, ok := canonicalSymbols(typed, temporarySymbols)
	if !ok {
		return sha256.Sum256([]byte("not a temporary passphrase"))
	}
	return sha256.Sum256([]byte("entry temporary|" + s))
}
