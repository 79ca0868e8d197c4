package policy

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"entry/policy/strict"
)

// The laws that hold for rules with every condition there is. Rules are drawn
// as text, requests are all of a small world.

func lawRule(t *rapid.T, name string) string {
	pick := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }
	some := func(label string, of ...string) string {
		return "[" + strings.Join(rapid.SliceOfNDistinct(rapid.SampledFrom(of), 1, 2, rapid.ID[string]).Draw(t, label), ", ") + "]"
	}
	deny := rapid.IntRange(0, 3).Draw(t, "deny") == 0
	who := pick("who", "users: "+some("users", "ann", "ben", "cid"), "labs: "+some("labs", "one", "two"), "groups: [one/stewards]", "realms: "+some("realms", "uni", "uni/staff"))
	where := pick("where", "targets: "+some("targets", "home.one", "home.two"), "labs: "+some("whereLabs", "one", "two"))
	s := fmt.Sprintf("  - {name: %s, who: {%s}, where: {%s}", name, who, where)
	s += pick("from", "", "", ", from: [192.0.2.0/24]", ", from: [192.0.0.0/16, 203.0.113.0/24]")
	s += pick("when", "", "", `, when: {days: [mon-fri], hours: "08:00-18:00", zone: UTC}`, `, when: [{hours: "06:00-20:00", zone: UTC}]`, `, when: {days: [mon, tue], hours: "22:00-06:00", zone: Europe/Oslo}`)
	s += pick("valid", "", "", ", valid: {until: 2026-03-03, zone: UTC}", ", valid: {from: 2026-03-03, zone: UTC}", ", valid: {from: 2026-03-02, until: 2026-03-04, zone: UTC}")
	if deny {
		return s + ", deny: true" + pick("deny may", "", ", may: [agent]", ", may: [exec, download]") + "}\n"
	}
	s += pick("mfa", "", "", ", mfa: {methods: [otp]}", ", mfa: {methods: [publickey+otp], max_age: 1h}", ", mfa: {max_age: 2h}")
	s += pick("approval", "", "", "", ", approval: {approvers: [cid, dot], for: 4h}", ", approval: {approvers: [ann, ben, cid], need: 2, for: 90m}")
	s += pick("may", ", may: [agent]", ", may: [upload, agent]", ", may: [exec]", `, may: [exec], exec: [id]`, `, may: [exec], exec: [id, uptime]`,
		`, may: [forward-local], forward_local: ["db:1"]`, `, may: [forward-local, agent], forward_local: ["db:1", "db:2"]`)
	s += pick("record", "", ", record: manifest", ", record: metadata", ", record: full, record_input: true")
	s += pick("limits", "", ", limits: {session: 1h, day_down: 1MiB}", ", limits: {session: 2h, concurrent: 1}")
	return s + "}\n"
}

func lawRules(t *rapid.T, most int) []string {
	var out []string
	for i := range rapid.IntRange(0, most).Draw(t, "rules") {
		out = append(out, lawRule(t, fmt.Sprintf("r%d", i)))
	}
	return out
}

func lawPolicy(t *rapid.T, rules []string) *Policy {
	text := modelLabs
	if len(rules) > 0 {
		text += "rules:\n" + strings.Join(rules, "")
	}
	p, err := Parse(strict.File{Name: "l.yaml", Data: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// lawRequests are all requests of the world, without and with approvals by
// whatever rule of the policies asks; the first one's targets are asked for.
func lawRequests(ps ...*Policy) map[string]Request {
	p := ps[0]
	names := map[string]bool{}
	for _, p := range ps {
		for _, rule := range p.rules {
			names[rule.ref.Name] = true
		}
	}
	out := map[string]Request{}
	day := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC) // a Monday
	for _, user := range []string{"ann", "ben", "eve"} {
		for _, target := range []string{"home.one", "home.two"} {
			for _, source := range []string{"192.0.2.1", "192.0.3.1", "198.51.100.1", ""} {
				for _, hour := range []int{-100, 7, 12, 23, 28, 60} {
					for login := range 4 {
						r := Request{User: user, Realm: "local", Time: day.Add(time.Duration(hour) * time.Hour)}
						r.Target, _ = p.Target(target)
						if source != "" {
							r.Source = netip.MustParseAddr(source)
						}
						switch login {
						case 1:
							r.Realm, r.Method, r.CodeAt = "uni", "passphrase+otp", r.Time.Add(-90*time.Minute)
						case 2:
							r.Realm, r.Groups, r.Method, r.CodeAt = "uni", []string{"staff"}, "publickey+otp", r.Time
						case 3:
							r.Realm, r.Method, r.CodeAt = "", "publickey+remembered", r.Time.Add(-time.Minute)
						}
						out[fmt.Sprint(user, target, source, hour, login)] = r
						for _, name := range slices.Sorted(maps.Keys(names)) {
							for i, by := range []string{"ann", "ben", "cid"} {
								r.Approvals = append(r.Approvals, Approval{By: by, Rule: name, At: r.Time.Add(-time.Hour), Until: r.Time.Add(time.Duration(i+1) * time.Hour)})
							}
						}
						out[fmt.Sprint(user, target, source, hour, login, "approved")] = r
					}
				}
			}
		}
	}
	return out
}

// decided is all that a decision says but for names and places of rules.
func decided(p *Policy, r Request) string {
	r.Target, _ = p.Target(r.Target.FullName())
	g, err := p.Decide(r)
	var no *Denied
	waits := errors.As(err, &no) && no.Approval != nil
	if err != nil {
		return fmt.Sprint("denied ", waits)
	}
	return fmt.Sprint(g.Capabilities(), g.Record(), g.RecordInput(), g.Limits(), g.AllowsExec("id"), g.AllowsExec("uptime"), g.AllowsExec("sh"),
		g.AllowsForward("db", 1), g.AllowsForward("db", 2))
}

func TestExplainSaysWhatIsDecided(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := lawPolicy(t, lawRules(t, 6))
		for key, r := range lawRequests(p) {
			e := p.Explain(r)
			g, err := p.Decide(r)
			if len(e.Rules) != len(p.rules) || e.Grant.Valid() != g.Valid() || (e.Denied == nil) != (err == nil) {
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
					if no.ByDeny != (v.Rule != RuleRef{}) || no.ByDeny && no.Rule != v.Rule || (no.Approval == nil) != (v.Approval == nil) ||
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
		rules := lawRules(t, 4)
		more := lawRule(t, "more")
		if strings.Contains(more, "deny: true") {
			return
		}
		before, after := lawPolicy(t, rules), lawPolicy(t, append(slices.Clone(rules), more))
		for key, r := range lawRequests(after) {
			old, _ := before.Decide(r)
			now, err := after.Decide(r)
			if lost := old.Capabilities() &^ now.Capabilities(); lost != 0 {
				t.Fatalf("%s: lost %s (%v)", key, lost, err)
			}
			if !old.Valid() {
				continue
			}
			if now.Record() < old.Record() || now.Limits().generous(old.Limits()) != now.Limits() {
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
		p := lawPolicy(t, lawRules(t, 5))
		requests := lawRequests(p)
		key := rapid.SampledFrom(slices.Sorted(maps.Keys(requests))).Draw(t, "request")
		r := requests[key]
		r.Began = r.Time // the code was asked for then
		g, err := p.Decide(r)
		if err != nil {
			return
		}
		then := func(at time.Time) Grant {
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
		now := decided(p, r)
		next := g.NextChange()
		for at := r.Time; at.Before(r.Time.Add(4*24*time.Hour)) && (next.IsZero() || at.Before(next)); at = at.Add(30 * time.Minute) {
			later := r
			later.Time = at
			if got := decided(p, later); got != now {
				t.Fatalf("%s: next change %s, but at %s %s, was %s", key, next, at, got, now)
			}
		}
	})
}

func TestAShadowedRuleHasNoEffect(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := lawRules(t, 6)
		p := lawPolicy(t, rules)
		for i := range p.rules {
			by := p.shadow(i)
			if by == nil {
				continue
			}
			// A rule that is denied still makes the recording stricter.
			said := func(p *Policy, r Request) string {
				s := decided(p, r)
				if by.deny && !strings.HasPrefix(s, "denied") {
					r.Target, _ = p.Target(r.Target.FullName())
					g, _ := p.Decide(r)
					s = strings.Replace(s, fmt.Sprint(g.Record(), g.RecordInput()), "", 1)
				}
				return strings.NewReplacer("denied true", "denied", "denied false", "denied").Replace(s) // or waiting for its approval
			}
			without := lawPolicy(t, slices.Delete(slices.Clone(rules), i, i+1))
			for key, r := range lawRequests(p) {
				if old, now := said(p, r), said(without, r); old != now {
					t.Fatalf("%s: %s is said to shadow\n%s%s, without it %s", key, by.ref, rules[i], old, now)
				}
			}
		}
	})
}

// lawTweak changes some words of a rule, if it has any that can be.
func lawTweak(t *rapid.T, rule string) string {
	tweaks := [][2]string{{"[id]", "[id, uptime]"}, {"exec: [id, uptime]", "exec: [uptime]"}, {`["db:1"]`, `["db:2"]`}, {`, "db:2"`, ""},
		{"session: 1h", "session: 2h"}, {"record: metadata", "record: manifest"}, {", record_input: true", ""}, {"192.0.2.0/24", "192.0.3.0/24"}, {", 203.0.113.0/24", ""},
		{"08:00-18:00", "08:00-12:00"}, {"max_age: 1h", "max_age: 2h"}, {"[otp]", "[publickey]"}, {"need: 2, ", ""}, {"[agent]", "[agent, upload]"}, {"until: 2026-03-03", "until: 2026-03-02"},
		{"name: r", "name: rr"}, {", mfa: {max_age: 2h}", ""}, {", approval: {approvers: [cid, dot], for: 4h}", ""},
	}
	tweaks = slices.DeleteFunc(tweaks, func(w [2]string) bool { return !strings.Contains(rule, w[0]) })
	if len(tweaks) == 0 {
		return rule
	}
	words := rapid.SampledFrom(tweaks).Draw(t, "words")
	return strings.Replace(rule, words[0], words[1], 1)
}

// A difference between two decisions is listed for that user and target, and
// equal policies have none, whatever the order and names of rules.
func TestDiffIsComplete(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := lawRules(t, 4)
		changed := slices.Clone(rules)
		for range rapid.IntRange(0, 2).Draw(t, "edits") {
			at := rapid.IntRange(0, len(changed)).Draw(t, "at")
			if at < len(changed) && rapid.Bool().Draw(t, "tweak") {
				changed[at] = lawTweak(t, changed[at])
			} else if rapid.Bool().Draw(t, "insert") || at == len(changed) {
				changed = slices.Insert(changed, at, lawRule(t, fmt.Sprintf("new%d", len(changed))))
			} else {
				changed = slices.Delete(changed, at, at+1)
			}
		}
		names := map[string]bool{}
		for i, text := range changed {
			name, _, _ := strings.Cut(strings.TrimPrefix(text, "  - {name: "), ",")
			if names[name] {
				changed[i] = strings.Replace(text, name, fmt.Sprint("again", i), 1)
			}
			names[name] = true
		}
		a, b := lawPolicy(t, rules), lawPolicy(t, changed)
		changes := Diff(a, b)
		if len(changes) != len(Diff(b, a)) {
			t.Fatalf("%d changes, back again %d", len(changes), len(Diff(b, a)))
		}
		for key, r := range lawRequests(b, a) {
			old, now := decided(a, r), decided(b, r)
			if old == now {
				continue
			}
			if r.Realm == "" {
				// Not a realm that anybody has: a request that leaves it out.
				continue
			}
			named := func(c Change) bool {
				return slices.Contains(c.Targets, r.Target.FullName()) && slices.ContainsFunc(c.Users, func(user string) bool {
					return user == r.User || strings.HasPrefix(user, r.User+" of realm "+r.Realm) || user == "realm "+r.Realm || user == "realm "+r.Realm+"/staff"
				})
			}
			if !slices.ContainsFunc(changes, named) {
				t.Fatalf("%s: %s, was %s; changes: %v\n%s\n%s", key, now, old, changes, rules, changed)
			}
		}
		shuffled := rapid.Permutation(rules).Draw(t, "shuffled")
		for i := range shuffled {
			shuffled[i] = strings.Replace(shuffled[i], "name: ", "name: x", 1)
		}
		if same := Diff(a, lawPolicy(t, shuffled)); len(same) != 0 {
			t.Fatalf("the same rules in another order: %v", same)
		}
	})
}
