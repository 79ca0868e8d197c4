package realm

import (
	"encoding/hex"
	"strings"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"
)

// entryAttributes name an entry for as long as there is one, whatever it is called:
// RFC 4530 (OpenLDAP, newer 389 Directory Servers), 389 Directory Server and
// FreeIPA, Active Directory. Sorted as words.
var entryAttributes = []string{"entryUUID", "nsUniqueId", "objectGUID"}

// maxEntry bounds one value; a UUID has 36 bytes.
const maxEntry = 64

// entryOf is what the directory calls an entry, as words "ATTRIBUTE:VALUE", bytes
// that are no text in hex; "" where it has no such attribute, or doesn't show it.
func entryOf(e *ldap.Entry) string {
	if e == nil {
		return ""
	}
	var words []string
	for _, name := range entryAttributes {
		values := e.GetEqualFoldRawAttributeValues(name)
		if len(values) != 1 || len(values[0]) == 0 || len(values[0]) > maxEntry {
			continue
		}
		value := string(values[0])
		if name == "objectGUID" || !utf8.ValidString(value) || strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' }) {
			value = hex.EncodeToString(values[0])
		}
		words = append(words, name+":"+strings.ToLower(value))
	}
	return strings.Join(words, " ")
}
