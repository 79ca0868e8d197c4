package realm

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// Watches tells whether Look can be asked: without a searching account nobody can
// look for a user whose passphrase isn't there.
func (r *Realm) Watches() bool { return r.o.Search != nil }

// Poll is how often Look is to be asked.
func (r *Realm) Poll() time.Duration { return r.o.Poll }

// Look asks whether the directory still has user, and doesn't lock them out, in
// one connection and at most three searches and one bind, none of them as the
// user. bar is why the user is let nowhere: "gone", "locked", "disabled", "account
// expired", "unreadable end", "more than one entry", "groups unreadable" (too many of them, say:
// whoever can join groups would else keep those of before); "" for nothing, and then
// groups are the user's now, sorted, and entry is what the directory calls the entry. An error means that the directory can't be
// asked, and nothing else.
func (r *Realm) Look(ctx context.Context, user string) (bar string, groups []string, entry string, err error) {
	if r.o.Search == nil || !askable(user) {
		return "", nil, "", fmt.Errorf("%w: %s can't look for such a user", errUnavailable, r.o.Name)
	}
	ctx, cancel := context.WithTimeout(ctx, r.o.Timeout)
	defer cancel()
	q, err := r.open(ctx)
	if err != nil {
		return "", nil, "", r.unavailable(ctx, "connect", err)
	}
	defer q.close()
	bar, groups, entry, err = q.look(user)
	var wrong unreadable
	switch {
	case errors.As(err, &wrong), err != nil && q.in.over.Load(): // an entry's groups are all that can be long
		return "groups unreadable", nil, "", nil
	case err != nil:
		return "", nil, "", r.unavailable(ctx, "look", err)
	}
	return bar, groups, entry, nil
}

func (q *query) look(user string) (bar string, groups []string, entry string, err error) {
	found, err := q.find(user, append([]string{q.r.ownAttribute()}, lockAttributes...)...)
	if err != nil {
		return "", nil, "", err
	}
	switch len(found) {
	case 0:
		// A base that can be read shows that this isn't for want of a right.
		base, err := q.search(q.r.o.Search.Base, ldap.ScopeBaseObject, "(objectClass=*)", 1, noAttributes)
		if err == nil && len(base) != 1 {
			err = errors.New("the base of the search can't be read")
		}
		return "gone", nil, "", err
	case 1:
	default:
		return barAmbiguous.String(), nil, "", nil
	}
	if why, over := ended(found[0], q.r.o.Now()); over {
		return why.String(), nil, "", nil
	}
	groups, err = q.readGroups(user, found[0].DN, found[0])
	return "", groups, entryOf(found[0]), err
}
