package policy

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"
)

// Holder is somebody who has a capability on a target. User is "" for everyone
// of a realm, or of one of its groups, whom the files don't name otherwise.
// Realm and Group are "" where they make no difference.
type Holder struct {
	User, Realm, Group string
	Rule               RuleRef
	Until              time.Time // see [Grant.UntilFor]
	Approval           *Quorum   // not nil where it takes an approval first
}

// noRealm stands for a realm that no rule speaks of; no configuration can have
// one of that name.
const noRealm = "-"

// standing is a place in a realm that rules speak of.
type standing struct{ realm, group string }

func (s standing) groups() []string {
	if s.group == "" {
		return nil
	}
	return []string{s.group}
}

// standings are all that p's rules speak of, sorted.
func (p *Policy) standings() []standing {
	var out []standing
	for name, r := range p.realms {
		out = append(out, standing{realm: name})
		for group := range r.groups {
			out = append(out, standing{name, group})
		}
	}
	slices.SortFunc(out, func(a, b standing) int {
		return cmp.Or(cmp.Compare(a.realm, b.realm), cmp.Compare(a.group, b.group))
	})
	return out
}

// stranger is a user whom no file names.
func (p *Policy) stranger() string {
	for i := 0; ; i++ {
		if name := fmt.Sprintf("stranger-%d", i); p.users[name] == nil {
			return name
		}
	}
}

// WhoCan are those who would have c on t at the time and from the source given,
// logged in however a rule may want it; sorted. The zero time and source meet
// no condition. Somebody whom several groups of a realm together give c, and
// none by itself, isn't found.
func (p *Policy) WhoCan(t *Target, c Capability, at time.Time, from netip.Addr) []Holder {
	var out []Holder
	if t = p.targets[t.FullName()]; t == nil {
		return nil
	}
	ask := func(user string, s standing) (Holder, bool) {
		d := p.gather(Request{User: user, Realm: s.realm, Groups: s.groups(), Target: t, Source: from, Time: at, anyLogin: true}, t)
		h := Holder{User: user}
		if g := (Grant{d}); g.Allows(c) {
			h.Rule, h.Until = g.RuleFor(c), g.UntilFor(c)
			return h, true
		}
		if h.Approval = d.quorumFor(c); h.Approval != nil {
			h.Rule = h.Approval.Rule
		}
		return h, h.Approval != nil
	}
	unnamed := p.stranger()
	places := p.standings()
	for _, user := range slices.Sorted(maps.Keys(p.users)) {
		plain, ok := ask(user, standing{realm: noRealm})
		if ok {
			out = append(out, plain)
		}
		for _, s := range places {
			h, has := ask(user, s)
			if _, all := ask(unnamed, s); has && !ok && !all {
				h.Realm, h.Group = s.realm, s.group
				out = append(out, h)
			}
		}
	}
	for _, s := range places {
		if h, ok := ask(unnamed, s); ok {
			h.User, h.Realm, h.Group = "", s.realm, s.group
			out = append(out, h)
		}
	}
	return out
}
