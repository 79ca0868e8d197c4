package policy

import (
	"slices"

	"entry/policy/ldapmatch"
)

// Groups are a user's groups in a realm, ready to be compared with what rules
// say as the directory would compare them: strictly by rules that allow, loosely
// by rules that deny; see package ldapmatch. The zero value is groups that nobody could
// tell, as while the directory doesn't answer: a rule that allows one of them doesn't hold
// then, and one that denies it does.
type Groups struct {
	asked         bool
	strict, loose []string
	unsure        []ldapmatch.Unsure
}

// GroupsNamed are the groups that a realm calls names, and no others. It takes
// microseconds a name: call it once a login.
func GroupsNamed(names ...string) Groups {
	g := Groups{asked: true, strict: keys(names, ldapmatch.Strict), loose: keys(names, ldapmatch.Loose)}
	for _, name := range names {
		if u, ok := ldapmatch.UnsureOf(name, false); ok {
			g.unsure = append(g.unsure, u)
		}
	}
	return g
}

// Known tells whether somebody has asked for g: the zero value is unknown.
func (g Groups) Known() bool { return g.asked }

// NamesGroups tells whether a rule speaks of groups of that realm, so that what its users
// may depends on theirs.
func (p *Policy) NamesGroups(realm string) bool {
	r := p.realms[realm]
	return r != nil && len(r.allowed)+len(r.denied) > 0
}

func keys(names []string, key func(string) string) []string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = key(name)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// of tells whether one of g is what s, a realm's group, means.
func (g Groups) of(s *subject) bool {
	if !g.asked {
		return s.denied
	}
	list := g.strict
	if s.denied {
		list = g.loose
	}
	_, found := slices.BinarySearch(list, s.group)
	return found || s.denied && slices.ContainsFunc(g.unsure, func(u ldapmatch.Unsure) bool { return u.MightBe(s.group) })
}
