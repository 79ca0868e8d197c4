package policy_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"entry/e2e/testkit/world"
	"entry/policy"
)

// The laws that hold for rules with every condition there is. Rules are drawn
// as text, requests are all of a small world.

func TestExplainSaysWhatIsDecided(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := world.Policy(t, world.Rules(t, 6))
		for key, r := range world.Requests(p) {
			e := p.Explain(r)
			g, err := p.Decide(r)
			if len(e.Rules) != len(p.Rules()) || e.Grant.Valid() != g.Valid() || (e.Denied == nil) != (err == nil) {
				t.Fatalf("%s: explained %v, decided %v", key, e.Denied, err)
			}
			blamed := err == nil || !e.Denied.ByDeny
			for _, v := range e.Verdicts {
				if v.Allowed != g.Allows(v.Capability) {
					t.Fatalf("%s: %s is explained as %v, decided %v", key, v.Capability, v.Allowed, g.Allows(v.Capability))
				}
				if v.Allowed && (v.Rule != g.RuleFor(v.Capability) || !v.Until.Equal(g.UntilFor(v.Capability))) {
					t.Fatalf("%s: %s is explained by %s, decided by %s", key, v.Capability, v.Rule, g.RuleFor(v.Capability))
				}
				if g.Valid() && !v.Allowed {
					no := g.Refusal(v.Capability)
					if no.ByDeny != (v.Rule != policy.RuleRef{}) || no.ByDeny && no.Rule != v.Rule || (no.Approval == nil) != (v.Approval == nil) ||
						v.Approval != nil && v.Approval.Rule != no.Approval.Rule {
						t.Fatalf("%s: the refusal of %s is explained by %v, decided by %v", key, v.Capability, v, no)
					}
				}
				blamed = blamed || v.Rule == e.Denied.Rule
			}
			if !blamed {
				t.Fatalf("%s: denied by %s, which explains nothing", key, e.Denied.Rule)
			}
		}
	})
}

func TestAnyAllowRuleOnlyAdds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := world.Rules(t, 4)
		more := world.Rule(t, "more")
		if strings.Contains(more, "deny: true") {
			return
		}
		before, after := world.Policy(t, rules), world.Policy(t, append(slices.Clone(rules), more))
		for key, r := range world.Requests(after) {
			old, _ := before.Decide(r)
			now, err := after.Decide(r)
			if lost := old.Capabilities() &^ now.Capabilities(); lost != 0 {
				t.Fatalf("%s: lost %s (%v)", key, lost, err)
			}
			if !old.Valid() {
				continue
			}
			if now.Record() < old.Record() || !now.Limits().Include(old.Limits()) {
				t.Fatalf("%s: recorded %s, was %s; limits %s, were %s", key, now.Record(), old.Record(), now.Limits(), old.Limits())
			}
			for _, c := range old.Capabilities().List() {
				was, is := old.UntilFor(c), now.UntilFor(c)
				if !is.IsZero() && (was.IsZero() || is.Before(was)) {
					t.Fatalf("%s: %s ends %s, before %s", key, c, is, was)
				}
			}
			if old.AllowsExec("id") && !now.AllowsExec("id") || old.AllowsForward("db", 2) && !now.AllowsForward("db", 2) {
				t.Fatalf("%s: a command or destination is gone", key)
			}
		}
	})
}

// Whoever follows Until or NextChange has neither more nor less than whoever
// asks all the time.
func TestUntilIsWhenItEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := world.Policy(t, world.Rules(t, 5))
		requests := world.Requests(p)
		key := rapid.SampledFrom(slices.Sorted(maps.Keys(requests))).Draw(t, "request")
		r := requests[key]
		r.Began = r.Time // the code was asked for then
		g, err := p.Decide(r)
		if err != nil {
			return
		}
		then := func(at time.Time) policy.Grant {
			later := r
			later.Time = at
			g, _ := p.Decide(later)
			return g
		}
		for _, c := range g.Capabilities().List() {
			end := g.UntilFor(c)
			if !end.IsZero() && then(end).Allows(c) {
				t.Fatalf("%s: %s ends at %s, and is still there", key, c, end)
			}
			for at := r.Time; at.Before(r.Time.Add(4*24*time.Hour)) && (end.IsZero() || at.Before(end)); at = at.Add(30 * time.Minute) {
				if !then(at).Allows(c) {
					t.Fatalf("%s: %s ends at %s, but isn't there at %s", key, c, end, at)
				}
			}
		}
		now := world.Decided(p, r)
		next := g.NextChange()
		for at := r.Time; at.Before(r.Time.Add(4*24*time.Hour)) && (next.IsZero() || at.Before(next)); at = at.Add(30 * time.Minute) {
			later := r
			later.Time = at
			if got := world.Decided(p, later); got != now {
				t.Fatalf("%s: next change %s, but at %s %s, was %s", key, next, at, got, now)
			}
		}
	})
}
