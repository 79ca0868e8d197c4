package policy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"entry/policy/ldapmatch"
)

// What is in this file serves those who ask about everybody and everything, as
// package compare does. Deciding needs none of it.

// Who is whom rules may speak of. User is "" for somebody whom no file names;
// Group is one of the realm's groups, "" for none. Without a realm it may be
// any: deny rules for realms are then for this user too.
type Who struct {
	User  string `json:"user,omitempty"`
	Realm string `json:"realm,omitempty"`
	Group string `json:"group,omitempty"`
}

func (p *Policy) askerOf(w Who) asker {
	a := asker{who: p.users[w.User], realm: w.Realm, groups: GroupsNamed()}
	if w.Group != "" {
		a.groups = GroupsNamed(w.Group)
	}
	return a
}

// Lab is what a lab says for all its targets.
type Lab struct {
	Name      string
	Egress    int64         // bytes towards a user and day; 0 for no limit
	Retention time.Duration // of its recordings; 0 for ever
}

// Labs are all labs, sorted by name.
func (p *Policy) Labs() []Lab {
	out := make([]Lab, 0, len(p.labs))
	for _, l := range p.labs {
		out = append(out, Lab{l.name, l.egress, l.retention})
	}
	slices.SortFunc(out, func(a, b Lab) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Users are all whom the files name, sorted.
func (p *Policy) Users() []string { return slices.Sorted(maps.Keys(p.users)) }

// Standings are the realms, and the groups in them, that rules speak of, each
// as a Who without a user; sorted.
func (p *Policy) Standings() []Who {
	var out []Who
	for name, r := range p.realms {
		out = append(out, Who{Realm: name})
		for _, groups := range []map[string]*subject{r.allowed, r.denied} {
			for _, s := range groups {
				_, group, _ := strings.Cut(s.name, "/")
				out = append(out, Who{Realm: name, Group: group})
			}
		}
	}
	slices.SortFunc(out, func(a, b Who) int {
		return cmp.Or(cmp.Compare(a.Realm, b.Realm), cmp.Compare(ldapmatch.Strict(a.Group), ldapmatch.Strict(b.Group)), cmp.Compare(a.Group, b.Group))
	})
	return slices.CompactFunc(out, func(a, b Who) bool {
		return a.Realm == b.Realm && ldapmatch.Strict(a.Group) == ldapmatch.Strict(b.Group)
	})
}

// UserClasses numbers the users that the files name: rules speak alike of those
// with one number, so that whoever asks about everybody asks about each number.
func (p *Policy) UserClasses() map[string]int {
	ids := map[*subject]int{}
	classes := classes{}
	out := make(map[string]int, len(p.users))
	var key []byte
	for user, who := range p.users {
		key = key[:0]
		for _, s := range who.subjects {
			id, known := ids[s]
			if !known {
				id = len(ids)
				ids[s] = id
			}
			key = fmt.Appendf(key, "%d,", id)
		}
		out[user] = classes.number(key)
	}
	return out
}

// TargetClasses is UserClasses for targets, by full name.
func (p *Policy) TargetClasses() map[string]int {
	classes := classes{}
	out := make(map[string]int, len(p.targets))
	var key []byte
	for name, t := range p.targets {
		r := p.reach[t]
		key = fmt.Appendf(key[:0], "%d %p %v", t.Kind, r.lab, *r.own)
		out[name] = classes.number(key)
	}
	return out
}

// classes numbers what has the same key.
type classes map[string]int

func (c classes) number(key []byte) int {
	n, known := c[string(key)]
	if !known {
		n = len(c)
		c[string(key)] = n
	}
	return n
}

// Rules are all rules, in the order of files and lines.
func (p *Policy) Rules() []Rule {
	out := make([]Rule, len(p.rules))
	for i, r := range p.rules {
		out[i] = Rule{r}
	}
	return out
}

// RulesFor are the rules that speak of both w and t, which is one of p's
// targets, in order.
func (p *Policy) RulesFor(w Who, t *Target) []Rule {
	return p.rulesAt(p.match(nil, p.askerOf(w), t))
}

// RulesBeside are the rules, in order, that speak of some user and target of whom
// and which r speaks: r itself if it speaks of anybody and anything, and each that
// has everybody and everything that r has.
func (p *Policy) RulesBeside(r Rule) []Rule {
	var buffer [16]int32
	return p.rulesAt(p.besides(buffer[:0], r.r))
}

func (p *Policy) rulesAt(indexes []int32) []Rule {
	out := make([]Rule, len(indexes))
	for i, at := range indexes {
		out[i] = Rule{p.rules[at]}
	}
	return out
}

// besides appends the rules that speak of the first user and target that r
// speaks of.
func (p *Policy) besides(dst []int32, r *rule) []int32 {
	if r.everywhere {
		return append(dst, p.everywhere...)
	}
	opens := r.opens()
	if len(opens) == 0 {
		return dst
	}
	w := Who{}
	for _, s := range r.who {
		if s.realm {
			w.Realm, w.Group, _ = strings.Cut(strings.TrimPrefix(s.name, "realm "), "/")
			break
		}
		if len(s.users) > 0 {
			w.User = s.users[0]
			break
		}
	}
	return p.match(dst, p.askerOf(w), opens[0])
}

// Opened are the targets that some allow rule opens to w, from wherever; sorted
// by full name.
func (p *Policy) Opened(w Who) []*Target { return p.granted(p.askerOf(w)) }

// Would says what comes of c on r's behalf, for a login such as the rules may
// ask for: Method and CodeAt of r don't matter.
func (p *Policy) Would(r Request, c Capability) Verdict {
	v := Verdict{Capability: c}
	t := p.targets[r.Target.FullName()]
	if t == nil {
		return v
	}
	r.anyLogin = true
	d := p.gather(r, t)
	if g := (Grant{d}); g.Allows(c) {
		v.Allowed, v.Rule, v.Until = true, g.RuleFor(c), g.UntilFor(c)
	} else {
		v.Approval = d.quorumFor(c)
	}
	return v
}
