package policy

import (
	"net/netip"
	"slices"
	"strings"
)

// shadow is a rule beside which the one at that index has no effect, nil if none was found: a deny
// rule that takes all that it gives or takes, or an allow rule that gives all of
// it at least as freely and records at least as much. Only single rules are
// tried, so some effectless ones are missed; none that has an effect is named.
func (p *Policy) shadow(at int) *rule {
	r := p.rules[at]
	var buffer [16]int32
	for _, i := range p.besides(buffer[:0], r) {
		o := p.rules[i]
		if int(i) == at || !o.shadows(r) {
			continue
		}
		// Of two that say the same the first one counts.
		if int(i) < at || o.deny != r.deny || !r.shadows(o) {
			return o
		}
	}
	return nil
}

// besides appends the rules that speak of the first user and target that r
// speaks of; one that shadows r is among them.
func (p *Policy) besides(dst []int32, r *rule) []int32 {
	a := asker{}
	for _, s := range r.who {
		if s.realm {
			name, group, _ := strings.Cut(strings.TrimPrefix(s.name, "realm "), "/")
			a = asker{realm: name, groups: []string{group}}
			break
		}
		if len(s.users) > 0 {
			a = asker{who: p.users[s.users[0]]}
			break
		}
	}
	if r.everywhere {
		return append(dst, p.everywhere...)
	}
	if opens := r.opens(); len(opens) > 0 {
		return p.match(dst, a, opens[0])
	}
	return dst
}

// shadows reports whether r is without effect beside o, for all that can be
// said of the two alone.
func (o *rule) shadows(r *rule) bool {
	if r.deny && !o.deny || r.may&^o.may != 0 || !o.forAllOf(r) || !o.openAllOf(r) || !o.covers(&r.conditions) {
		return false
	}
	if o.deny {
		return !r.deny || o.whole || !r.whole
	}
	for _, c := range [...]Capability{ForwardLocal, ForwardRemote} {
		own := o.destinations(c)
		if r.may.Has(c) && !slices.ContainsFunc(own, func(d destination) bool { return d.any }) &&
			slices.ContainsFunc(r.destinations(c), func(d destination) bool { return !slices.Contains(own, d) }) {
			return false
		}
	}
	if r.may.Has(Exec) && o.commands != nil && (r.commands == nil ||
		slices.ContainsFunc(r.commands, func(s string) bool { return !slices.Contains(o.commands, s) })) {
		return false
	}
	return o.record >= r.record && (o.recordInput || !r.recordInput) && o.limits.generous(r.limits) == o.limits
}

// forAllOf reports whether o is for everybody whom r is for.
func (o *rule) forAllOf(r *rule) bool {
	if o.everyone || r.everyone {
		return o.everyone
	}
	for _, s := range r.who {
		if !slices.ContainsFunc(o.who, func(t *subject) bool { return t.includes(s) }) {
			return false
		}
	}
	return true
}

// includes reports whether everybody of o is in s, for all that the files know.
func (s *subject) includes(o *subject) bool {
	if s == o {
		return true
	}
	if s.realm || o.realm {
		return s.realm && o.realm && strings.HasPrefix(o.name, s.name+"/")
	}
	if len(o.users) > len(s.users) {
		return false
	}
	if len(o.users) == 1 {
		return slices.Contains(s.users, o.users[0])
	}
	all := make(map[string]bool, len(s.users))
	for _, user := range s.users {
		all[user] = true
	}
	return !slices.ContainsFunc(o.users, func(user string) bool { return !all[user] })
}

// openAllOf reports whether o speaks of every target that r speaks of.
func (o *rule) openAllOf(r *rule) bool {
	if o.everywhere || r.everywhere {
		return o.everywhere
	}
	for _, t := range r.opens() {
		if !slices.Contains(o.targets, t) && !(slices.Contains(o.targetLabs, t.lab) && (t.Kind == SSH || o.deny || o.opensTCP())) {
			return false
		}
	}
	return true
}

// covers reports whether every request that meets d meets c.
func (c *conditions) covers(d *conditions) bool {
	return coverNetworks(c.from, d.from) && c.times.covers(d.times) && c.mfa.covers(d.mfa) && c.approval == nil
}

func coverNetworks(a, b []netip.Prefix) bool {
	if len(a) == 0 || len(b) == 0 {
		return len(a) == 0
	}
	return !slices.ContainsFunc(b, func(inner netip.Prefix) bool {
		return !slices.ContainsFunc(a, func(outer netip.Prefix) bool {
			return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
		})
	})
}

func (x times) covers(y times) bool {
	if x.when != nil && (y.when == nil || slices.ContainsFunc(y.when, func(inner window) bool {
		return !slices.ContainsFunc(x.when, func(outer window) bool {
			return inner.days&^outer.days == 0 && outer.from <= inner.from && inner.to <= outer.to && outer.place.String() == inner.place.String()
		})
	})) {
		return false
	}
	a, b := x.valid, y.valid
	return (a.from.IsZero() || !b.from.IsZero() && !b.from.Before(a.from)) &&
		(a.until.IsZero() || !b.until.IsZero() && !b.until.After(a.until))
}

func (m *mfa) covers(o *mfa) bool {
	if m == nil || o == nil {
		return m == nil
	}
	if len(m.methods) > 0 && (len(o.methods) == 0 || slices.ContainsFunc(o.methods, func(method string) bool {
		return !slices.ContainsFunc(m.methods, func(want string) bool { return hasFactors(method, want) })
	})) {
		return false
	}
	return m.maxAge == 0 || o.maxAge != 0 && o.maxAge <= m.maxAge
}
