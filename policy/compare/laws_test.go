package compare

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"entry/e2e/testkit/world"
	"entry/policy"
)

func TestAShadowedRuleHasNoEffect(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := world.Rules(t, 6)
		p := world.Policy(t, rules)
		for i, r := range p.Rules() {
			by := shadow(p, r)
			if !by.Valid() {
				continue
			}
			// A rule that is denied still makes the recording stricter.
			said := func(p *policy.Policy, r policy.Request) string {
				s := world.Decided(p, r)
				if by.Deny() && !strings.HasPrefix(s, "denied") {
					r.Target, _ = p.Target(r.Target.FullName())
					g, _ := p.Decide(r)
					s = strings.Replace(s, fmt.Sprint(g.Record(), g.RecordInput(), g.RecordComplete(), g.Bulk()), "", 1)
				}
				return strings.NewReplacer("denied true", "denied", "denied false", "denied").Replace(s) // or waiting for its approval
			}
			without := world.Policy(t, slices.Delete(slices.Clone(rules), i, i+1))
			for key, r := range world.Requests(p) {
				if old, now := said(p, r), said(without, r); old != now {
					t.Fatalf("%s: %s is said to shadow\n%s%s, without it %s", key, by.Ref(), rules[i], old, now)
				}
			}
		}
	})
}

// lawTweak changes some words of a rule, if it has any that can be.
func lawTweak(t *rapid.T, rule string) string {
	tweaks := [][2]string{{"[id]", "[id, uptime]"}, {"exec: [id, uptime]", "exec: [uptime]"}, {`["db:1"]`, `["db:2"]`}, {`, "db:2"`, ""},
		{"session: 1h", "session: 2h"}, {"record: metadata", "record: manifest"}, {", record_input: true", ""}, {", record_complete: true", ""}, {", uses: 1", ""}, {"connections: 2", "connections: 3"}, {"192.0.2.0/24", "192.0.3.0/24"}, {", 203.0.113.0/24", ""},
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
		rules := world.Rules(t, 4)
		changed := slices.Clone(rules)
		for range rapid.IntRange(0, 2).Draw(t, "edits") {
			at := rapid.IntRange(0, len(changed)).Draw(t, "at")
			if at < len(changed) && rapid.Bool().Draw(t, "tweak") {
				changed[at] = lawTweak(t, changed[at])
			} else if rapid.Bool().Draw(t, "insert") || at == len(changed) {
				changed = slices.Insert(changed, at, world.Rule(t, fmt.Sprintf("new%d", len(changed))))
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
		a, b := world.Policy(t, rules), world.Policy(t, changed)
		changes := Diff(a, b)
		if back := Diff(b, a); len(changes) != len(back) {
			t.Fatalf("changes: %v\nback again: %v", changes, back)
		}
		for key, r := range world.Requests(b, a) {
			old, now := world.Decided(a, r), world.Decided(b, r)
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
		if same := Diff(a, world.Policy(t, shuffled)); len(same) != 0 {
			t.Fatalf("the same rules in another order: %v", same)
		}
	})
}
