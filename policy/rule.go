package policy

import (
	"net/netip"
	"slices"
	"strings"

	"entry/policy/strict"
)

// Rule is one rule of a policy, for those who compare rules with each other.
// The zero Rule is none; no method but Valid may be called on it.
type Rule struct{ r *rule }

// Valid reports whether r is a rule at all.
func (r Rule) Valid() bool { return r.r != nil }

// Ref names the rule.
func (r Rule) Ref() RuleRef { return r.r.ref }

// Place is where it stands.
func (r Rule) Place() strict.Place { return r.r.place }

// Deny reports whether it takes away rather than gives.
func (r Rule) Deny() bool { return r.r.deny }

// Whole reports whether it is a deny rule that refuses access as a whole.
func (r Rule) Whole() bool { return r.r.whole }

// May is what it gives, with what that implies, or takes away.
func (r Rule) May() Capabilities { return r.r.may }

// Record is the least recording that it asks for, and whether with what is
// typed.
func (r Rule) Record() (level Record, input bool) { return r.r.record, r.r.recordInput }

// RecordComplete reports whether r wants sessions to end rather than go on with
// less in their recording.
func (r Rule) RecordComplete() bool { return r.r.complete }

// Bulk is what it asks for of output without a terminal.
func (r Rule) Bulk() Bulk { return r.r.bulk }

// Limits are its own.
func (r Rule) Limits() Limits { return r.r.limits }

// Commands are the only ones that its exec stands for, nil for any.
func (r Rule) Commands() []string { return slices.Clone(r.r.commands) }

// Destinations are what its capability c, a forward, is limited to, as the
// files have it; "*" is anything.
func (r Rule) Destinations(c Capability) []string {
	var out []string
	for _, d := range r.r.destinations(c) {
		out = append(out, d.words())
	}
	return out
}

// Opens are the targets that it speaks of.
func (r Rule) Opens() []*Target { return r.r.opens() }

// ForSomebody reports whether it speaks of anybody at all.
func (r Rule) ForSomebody() bool { return r.r.forSomebody() }

// Conditions are what it asks of a request besides its user and target, in
// words; "" if nothing. The same conditions have the same words.
func (r Rule) Conditions() string { return r.r.words() }

// Covers reports whether every request that meets o's conditions meets r's, for
// all that can be told from the two.
func (r Rule) Covers(o Rule) bool { return r.r.covers(&o.r.conditions) }

// Includes reports whether r speaks of everybody and everything of whom and
// which o speaks, for all that the files know.
func (r Rule) Includes(o Rule) bool { return r.r.forAllOf(o.r) && r.r.openAllOf(o.r) }

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
