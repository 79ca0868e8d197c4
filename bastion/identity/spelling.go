package identity

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"entry/bastion/identity/secret"
	"entry/policy/ldapmatch"
)

// crypted is how much of a passphrase the oldest of crypt's hashes takes, but for one:
// of eight bytes, seven bits each, the last may be a letter that a mark behind it
// makes another one.
const crypted = 7

// alike is the same for all that opens acct if typed does, and for nothing else where
// entry itself made the hash: a stranger who knows how a passphrase begins counts against
// nothing. An account that doesn't exist has one of those.
func (acct Account) alike(typed string) []byte {
	loose := spelling(typed)
	prepared, _ := secret.Prepare(typed) // what can't be prepared is itself, as where it is hashed
	switch {
	case acct.temporaryFor(typed): // however its groups are parted
		return acct.Temporary.Hash[:]
	case acct.directoryJudges() || secret.Imported(acct.Passphrase):
		return loose
	}
	return []byte(prepared)
}

// spelling is the same for all that one directory or another, or the preparation of
// passphrases, takes for the same one: however letters and spaces are encoded, unseen
// characters, upper and lower case, spaces around, and by crypt whatever follows its
// eight bytes. Else a thief could type a passphrase anew for each guess at the code.
func spelling(typed string) []byte {
	typed = typed[:min(len(typed), secret.MaxPassphrase)]
	if utf8.ValidString(typed) { // else it is taken as it is
		typed = strings.TrimSpace(ldapmatch.Folded(typed))
		n := min(len(typed), crypted)
		for n < len(typed) && !utf8.RuneStart(typed[n]) {
			n--
		}
		typed = typed[:n]
	}
	part := []byte(typed[:min(len(typed), crypted)])
	for i := range part {
		part[i] &= 0x7f
	}
	return bytes.ToLower(bytes.TrimSpace(part))
}
