package secret

import (
	"errors"
	"unicode/utf8"

	"golang.org/x/text/secure/precis"
)

// errOpaque never quotes what was typed.
var errOpaque = errors.New("not a passphrase by RFC 8265")

// Prepare returns a passphrase as it is hashed: the OpaqueString of RFC 8265 §4.2,
// composed (NFC) and with plain spaces for all others, so that two keyboards which
// send the same letters by other bytes type the same. It returns what was typed, and
// an error that doesn't quote it, for what no new passphrase may be: empty, longer
// than MaxPassphrase, not UTF-8, or with characters that aren't for text.
func Prepare(typed string) (string, error) {
	// What isn't UTF-8 would become one and the same replacement character.
	if len(typed) > MaxPassphrase || !utf8.ValidString(typed) {
		return typed, errOpaque
	}
	p, err := precis.OpaqueString.String(typed)
	if err != nil || len(p) > MaxPassphrase {
		return typed, errOpaque
	}
	return p, nil
}

// prepared is Prepare for what is hashed anyway: what can't be prepared is itself.
func prepared(typed string) string {
	p, _ := Prepare(typed) // its error is for new passphrases
	return p
}
