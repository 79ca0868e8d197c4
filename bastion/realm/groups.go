package realm

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"
)

const (
	maxGroups     = 1000 // more are an error, not a shorter list: a rule may name the last one
	maxGroupBytes = 512  // of one name
	// noAttributes asks for entries without their contents (RFC 4511 §4.5.1.8).
	noAttributes = "1.1"
)

// unreadable is what is wrong with the groups that a directory has told of: an answer,
// unlike an error of asking, and one by which nobody is let in.
type unreadable string

func (e unreadable) Error() string { return string(e) }

// search returns at most limit entries, and no references to other servers.
func (q *query) search(base string, scope int, filter string, limit int, attributes ...string) ([]*ldap.Entry, error) {
	seconds := max(1, int(q.r.o.Timeout.Seconds()))
	request := ldap.NewSearchRequest(base, scope, ldap.NeverDerefAliases, limit, seconds, false, filter, attributes, nil)
	request.EnforceSizeLimit = true
	found, err := q.conn.Search(request)
	// The list was cut, by the directory or here. With all that was asked for in
	// hand that is no failure: two entries where one may be are answer enough.
	cut := ldap.IsErrorWithCode(err, ldap.LDAPResultSizeLimitExceeded) || errors.Is(err, ldap.ErrSizeLimitExceeded)
	if err != nil && (!cut || found == nil || len(found.Entries) != limit) {
		return nil, err
	}
	return found.Entries, nil
}

// ownAttribute is what is read of the user's own entry.
func (r *Realm) ownAttribute() string {
	if g := r.o.Groups; g != nil && g.Filter == "" {
		return orElse(g.Attribute, "memberOf")
	}
	return noAttributes
}

// readGroups collects the user's groups. own is the user's entry, read with
// ownAttribute where that has them.
func (q *query) readGroups(user, dn string, own *ldap.Entry) ([]string, error) {
	g := q.r.o.Groups
	if g == nil {
		return nil, nil
	}
	entries, attribute := []*ldap.Entry{own}, q.r.ownAttribute()
	if g.Filter != "" {
		attribute = orElse(g.Attribute, "cn")
		filter, err := q.r.groups.filter(user, dn)
		if err != nil {
			return nil, err
		}
		// One more than is taken, so that a longer list shows.
		if entries, err = q.search(g.Base, ldap.ScopeWholeSubtree, filter, maxGroups+1, attribute); err != nil {
			return nil, fmt.Errorf("search groups: %w", err)
		}
	}
	var names []string
	for _, e := range entries {
		for _, a := range e.Attributes {
			name, option, _ := strings.Cut(a.Name, ";")
			if !strings.EqualFold(name, attribute) {
				continue
			}
			if strings.HasPrefix(strings.ToLower(option), "range=") {
				return nil, unreadable("the directory gives the groups in ranges, because the user is in too many")
			}
			names = append(names, a.Values...)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) > maxGroups {
		return nil, unreadable(fmt.Sprintf("the user is in more than %d groups", maxGroups))
	}
	for _, n := range names {
		if n == "" || len(n) > maxGroupBytes || !utf8.ValidString(n) || strings.ContainsFunc(n, unicode.IsControl) {
			return nil, unreadable("the directory gives a group a name that is empty, too long or unprintable")
		}
	}
	return names, nil
}
