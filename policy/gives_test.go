package policy

import (
	"strings"
	"testing"
	"time"
)

// An approval was bound to a rule's name: whatever the rule gave later, and wherever
// its target's name led to, it counted.
func TestAnApprovalIsOfWhatTheRuleGives(t *testing.T) {
	const rule = `rules:
  - name: out
    who: {labs: [tinker]}
    where: {targets: [home.tinker]}
    may: [exec, upload]
    exec: ["echo a", "echo b"]
    env: [LANG]
    record: full
    limits: {session: 1h}
    because: results
    approval: {approvers: [carol], for: 2h}
`
	now := at(t, "2026-03-02T12:00:00Z")
	before := parse(t, labsYAML, rule)
	given := Approval{By: "carol", Rule: "out", At: now, Until: now.Add(time.Hour), Gives: before.Gives("out", Seat{User: "alice", Target: "home.tinker"})}
	counts := func(p *Policy, user string) bool {
		_, no := ask(t, p, Request{User: user, Time: now, Approvals: []Approval{given}}, "home.tinker")
		return no == nil
	}
	if !counts(before, "alice") {
		t.Fatal("it doesn't count for what was approved")
	}
	given.Gives, before = "", parse(t, labsYAML, rule)
	if counts(before, "alice") {
		t.Error("one of nothing counts")
	}
	given.Gives = before.Gives("out", Seat{User: "alice", Target: "home.tinker"})
	for _, tt := range []struct {
		name, from, to string
		counts         bool
	}{
		{"other words", "because: results", "because: results of the beamtime", true},
		{"another order", `["echo a", "echo b"]`, `["echo b", "echo a"]`, true},
		{"one more approver", "[carol]", "[carol, bob]", true},
		{"a longer time", "for: 2h", "for: 3h", true},
		{"another rule before it", "rules:\n", "rules:\n  - {name: in, who: {labs: [tinker]}, where: {targets: [home.tinker]}, from: [198.51.100.0/24], may: [download], record: full}\n", true},
		{"any command", "    exec: [\"echo a\", \"echo b\"]\n", "", false},
		{"another command", "echo b", "echo c", false},
		{"a shell", "    may: [exec, upload]\n    exec: [\"echo a\", \"echo b\"]\n", "    may: [exec, upload, shell]\n", false},
		{"an agent", "[exec, upload]", "[exec, upload, agent]", false},
		{"more variables", "env: [LANG]", "env: [LANG, LC_ALL]", false},
		{"less of a recording", "record: full", "record: manifest", false},
		{"a longer session", "session: 1h", "session: 2h", false},
		{"no limit", "    limits: {session: 1h}\n", "", false},
	} {
		text := strings.ReplaceAll(rule, tt.from, tt.to)
		if text == rule {
			t.Fatalf("%s: nothing is replaced", tt.name)
		}
		if got := counts(parse(t, labsYAML, text), "alice"); got != tt.counts {
			t.Errorf("%s: it counts: %v", tt.name, got)
		}
	}
	for _, tt := range []struct{ name, from, to string }{
		{"another machine", "address: 10.0.0.5,", "address: 10.0.0.7,"},
		{"another port", "address: 10.0.0.5,", `address: "10.0.0.5:2022",`},
		{"another host key", "AAAAIJdIk3Lk2bzLyYy/xKJ9HCdYm22B0ukIEuBHH6tjd5dN", "AAAAIJdIk3Lk2bzLyYy/xKJ9HCdYm22B0ukIEuBHH6tjd5dM"},
		{"another account", "alice: [alice, analysis]", "alice: [root]"},
	} {
		labs := strings.ReplaceAll(labsYAML, tt.from, tt.to)
		if labs == labsYAML {
			t.Fatalf("%s: nothing is replaced", tt.name)
		}
		if counts(parse(t, labs, rule), "alice") {
			t.Errorf("%s: it counts", tt.name)
		}
	}
}
