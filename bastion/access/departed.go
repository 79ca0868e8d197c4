package access

import (
	"reflect"
	"slices"

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

// Regroup says which groups a realm's user has now. All their logins have those from
// now on, also those that didn't ask for them, and what they have open is decided anew.
// A login whose groups nobody could tell goes on without: a rule that allows a group
// doesn't hold for it, and one that denies it does.
func (g *Gate) Regroup(realm, user string, groups []string) {
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

// groupsOf are the groups of who at a login, as far as they are known.
func groupsOf(who identity.Identity) policy.Groups {
	names, fetched := who.Groups()
	if fetched.IsZero() {
		return policy.Groups{}
	}
	return policy.GroupsNamed(names...)
}

// groupsUnknown says, as a sentence for the user without its stop, why the groups that
// rules of p name in the user's realm aren't known, and what to do; "" where they are, or
// no rule names one.
func (l *Login) groupsUnknown(p *policy.Policy) string {
	if l.subject().Groups.Known() || !p.NamesGroups(l.who.Realm()) {
		return ""
	}
	return l.who.GroupsUnknown()
}

// GroupsUnknown is why something may be missing among Places: a sentence for the user,
// without its stop, or "".
func (l *Login) GroupsUnknown() string { return l.groupsUnknown(l.gate.Policy()) }

// grouped has policy see l's user with these groups.
func (l *Login) grouped(groups policy.Groups) {
	s := subjectOf(l.who, groups, l.source.Addr())
	l.as.Store(&s)
}

// subject is l's user as policy sees them now.
func (l *Login) subject() Subject { return *l.as.Load() }
