package access

import (
	"reflect"
	"slices"

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

// Regroup says which groups a realm's user has now. Logins that asked for them
// have those from now on, and what they have open is decided anew; logins that
// didn't ask (by a remembered key) go on without: a rule that allows a group doesn't
// hold for them, and one that denies it does.
func (g *Gate) Regroup(realm, user string, groups []string) {
	theirs := func(l *Login) bool { return l.who.Realm() == realm && l.who.User() == user }
	for l, here := range g.registry.present(theirs) {
		if _, fetched := l.who.Groups(); fetched.IsZero() {
			continue
		}
		before := l.subject().Groups
		if l.grouped(policy.GroupsNamed(groups...)); reflect.DeepEqual(l.subject().Groups, before) {
			continue
		}
		for _, h := range here.holds {
			h.watch.policyChanged()
		}
	}
}

// grouped has policy see l's user with these groups.
func (l *Login) grouped(groups policy.Groups) {
	s := subjectOf(l.who, groups, l.source.Addr())
	l.as.Store(&s)
}

// subject is l's user as policy sees them now.
func (l *Login) subject() Subject { return *l.as.Load() }
