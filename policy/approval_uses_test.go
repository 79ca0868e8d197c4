package policy

import (
	"strings"
	"testing"
	"time"
)

// An approval for few sessions, or for any number, never counts for more than
// the rule asks for now.
func TestApprovalForFewSessions(t *testing.T) {
	const rule = `
rules:
  - name: out
    who: {labs: [tinker]}
    where: {targets: [home.tinker]}
    may: [download]
    approval: {approvers: [carol], for: 2h, uses: USES}
`
	now := at(t, "2026-03-02T12:00:00Z")
	for _, tt := range []struct {
		rule   string
		given  int
		counts bool
	}{
		{"1", 1, true}, {"1", 0, false}, {"1", 2, false}, {"3", 2, true}, {"3", 3, true}, {"3", 4, false}, {"", 0, true}, {"", 1, true},
	} {
		text := rule
		if tt.rule == "" {
			text = strings.ReplaceAll(text, ", uses: USES", "")
		}
		p := parse(t, labsYAML, strings.ReplaceAll(text, "USES", tt.rule))
		a := Approval{By: "carol", Rule: "out", At: now, Until: now.Add(time.Hour), Uses: tt.given, Gives: p.Gives("out", Seat{User: "alice", Target: "home.tinker"})}
		g, no := ask(t, p, Request{User: "alice", Time: now, Approvals: []Approval{a}}, "home.tinker")
		if (no == nil) != tt.counts {
			t.Errorf("uses: %q, given for %d: %v", tt.rule, tt.given, no)
		}
		if tt.counts && (len(g.Approved()) != 1 || g.Approved()[0] != "out") {
			t.Errorf("it rests on %q", g.Approved())
		}
		home, _ := p.Target("home.tinker")
		q, ok := p.QuorumOf("out", Request{User: "alice", Target: home, Time: now, Approvals: []Approval{a}})
		if !ok || !p.Asks() || (len(q.By) == 1) != tt.counts || !q.Admits("carol") || q.Admits("alice") {
			t.Errorf("%+v %v", q, ok)
		}
		if _, ok := p.QuorumOf("in", Request{User: "alice", Target: home}); ok {
			t.Error("a rule that isn't there asks for approval")
		}
	}
}
