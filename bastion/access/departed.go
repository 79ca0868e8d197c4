package access

import (
	"reflect"
	"slices"
	"sync"
	"time"

	"entry/bastion/identity"
	"entry/policy"
)

// Members are the users of a realm who are logged in here, sorted.
func (g *Gate) Members(realm string) []string {
	var out []string
	for l := range g.registry.present(func(l *Login) bool { return l.who.Realm() == realm }) {
		out = append(out, l.who.User())
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// told are the groups that a poll of a directory has told of a realm's users. It is
// safe for concurrent use.
type told struct {
	mu  sync.Mutex // held for a few instructions
	all map[member]groupsTold
}

type member struct{ realm, user string }

type groupsTold struct {
	groups []string
	until  time.Time
}

func (t *told) put(m member, g groupsTold) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all == nil {
		t.all = map[member]groupsTold{}
	}
	t.all[m] = g
}

// at are m's groups, unknown where no poll has told of them lately.
func (t *told) at(m member, now time.Time) policy.Groups {
	t.mu.Lock()
	defer t.mu.Unlock()
	g, ok := t.all[m]
	if !ok || !now.Before(g.until) {
		delete(t.all, m)
		return policy.Groups{}
	}
	return policy.GroupsNamed(g.groups...)
}

// Regroup says which groups a realm's user has now, by a poll whose answers hold for
// lasts. All their logins have those from now on, also those that didn't ask for
// them (by a remembered key), and those to come until the next poll; what they have
// open is decided anew. A login that didn't ask, and of which no poll has told, goes
// on without: a rule that allows a group doesn't hold for it, and one that denies it
// does.
func (g *Gate) Regroup(realm, user string, groups []string, lasts time.Duration) {
	g.told.put(member{realm, user}, groupsTold{groups, g.now().Add(lasts)})
	theirs := func(l *Login) bool { return l.who.Realm() == realm && l.who.User() == user }
	for l, here := range g.registry.present(theirs) {
		before := l.subject().Groups
		if l.grouped(policy.GroupsNamed(groups...)); reflect.DeepEqual(l.subject().Groups, before) {
			continue
		}
		for _, h := range here.holds {
			h.watch.policyChanged()
		}
	}
}

// groupsOf are the groups of who at a login: those that the directory told of then,
// or else at the poll before.
func (g *Gate) groupsOf(who identity.Identity) policy.Groups {
	names, fetched := who.Groups()
	switch {
	case !fetched.IsZero():
		return policy.GroupsNamed(names...)
	case who.Realm() == "":
		return policy.Groups{}
	}
	return g.told.at(member{who.Realm(), who.User()}, g.now())
}

// grouped has policy see l's user with these groups.
func (l *Login) grouped(groups policy.Groups) {
	s := subjectOf(l.who, groups, l.source.Addr())
	l.as.Store(&s)
}

// subject is l's user as policy sees them now.
func (l *Login) subject() Subject { return *l.as.Load() }
