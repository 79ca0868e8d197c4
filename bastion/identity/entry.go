package identity

import (
	"context"
	"maps"
	"slices"
	"strings"
)

// What a directory calls an entry is a list of words "ATTRIBUTE:VALUE", sorted: the
// attributes that the directory gives an entry when it is made, and never again
// (entryUUID of RFC 4530, Active Directory's objectGUID, 389 Directory Server's
// nsUniqueId). A directory that has none of them, or doesn't show them to who asks,
// gives "": then somebody who comes back under a name isn't told from who had it.

// attributes are the words of an entry, by attribute.
func attributes(entry string) map[string]string {
	all := map[string]string{}
	for word := range strings.FieldsSeq(entry) {
		name, value, _ := strings.Cut(word, ":")
		all[name] = value
	}
	return all
}

// otherEntry tells whether two are of two entries: where both have an attribute,
// and not the same value.
func otherEntry(before, now string) bool {
	had := attributes(before)
	for name, value := range attributes(now) {
		if v, ok := had[name]; ok && v != value {
			return true
		}
	}
	return false
}

// isAnother tells whether a directory's entry of the account's name is another one
// than before, which the account was somebody else's of; else it is noted.
func (a *core) isAnother(ctx context.Context, acct Account, entry string) (bool, error) {
	if otherEntry(acct.Entry, entry) {
		return true, nil
	}
	both := attributes(acct.Entry)
	maps.Copy(both, attributes(entry))
	var words []string
	for name, value := range both {
		words = append(words, name+":"+value)
	}
	slices.Sort(words)
	if all := strings.Join(words, " "); all != acct.Entry {
		return false, storeFailed(a.store.NoteEntry(ctx, acct.ID, acct.Entry, all))
	}
	return false, nil
}

// replaced is the bar of somebody under whose name the directory has another entry.
const replaced = "another entry"
