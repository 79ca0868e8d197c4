package e2e

import (
	"fmt"
	"strings"
	"testing"

	"entry/e2e/testkit"
)

// TestApprovalsEndWithTheirApprover: what bob approved went on counting after his
// account was disabled.
func TestApprovalsEndWithTheirApprover(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, fourEyes("approvers: [bob], for: 1h, wait: 10m"))
	alice, bob := s.enrolled("alice"), s.enrolled("bob")
	c, b := s.client(alice), s.client(bob)
	b.master()
	c.master()
	p := testkit.Start(t, "ssh -J entry home", c.exec("echo in; exec sleep 1000"))
	id := p.WaitFor(waits)[2]
	w := b.portal("approve", id)
	w.giveCode(bob)
	w.expect(`Approved: 1 of 1`)
	testkit.Eventually(t, "alice is in", func() bool { return strings.Contains(p.Stdout.String(), "in\n") })
	s.mustEntry("user", "disable", "bob")
	if code := p.Wait(); code == 0 || !strings.Contains(p.Stderr.String(), "the approval for home.tinker is over; connect again to ask for another") {
		t.Errorf("exit %d, %q", code, p.Stderr.String())
	}
	e := s.awaitEvent("approval.withdrawn", func(e event) bool { return e.Ref == id && e.User == "alice" })
	if !strings.Contains(e.line, `"approver":"bob"`) || !strings.Contains(e.line, "the approver's account was disabled, removed or reset") {
		t.Error(e.line)
	}
	if out := s.mustEntry("approve", "--given"); out != "No approval is in force.\n" {
		t.Error(out)
	}
	s.mustEntry("user", "enable", "bob")
	q := testkit.Start(t, "ssh -J entry home", c.exec("echo in"))
	if again := q.WaitFor(waits)[2]; again == id {
		t.Error("the request of before is there again")
	}
	q.End()
}

// TestApprovalsAreOfWhatWasApproved: an approval was bound to the rule's name, whatever
// that gave later, and wherever its target's name led.
func TestApprovalsAreOfWhatWasApproved(t *testing.T) {
	beside(t)
	s := initSite(t)
	home, other := s.startHome(), s.startHome()
	rule := func(may string) string {
		return testkit.Rule("out", "who: {labs: [tinker]}", testkit.On("home"), may, "record: full",
			fmt.Sprintf("approval: {approvers: [%s], for: 1h, wait: 10m}", testkit.Me(t)), "because: data leaves here")
	}
	narrow, broad := rule(`may: [exec]`+"\n    exec: [\"echo in\"]"), rule("may: [exec]")
	set := func(home *testkit.SSHD, rule string) {
		s.setPolicy([]string{"alice"}, []string{home.Target(t, "home")}, rule)
	}
	set(home, narrow)
	s.serve()
	c := s.client(s.enrolled("alice"))
	c.master()
	asks := func(command string) *testkit.Program {
		p := testkit.Start(t, "ssh -J entry home", c.exec(command))
		s.mustEntry("approve", p.WaitFor(waits)[2])
		return p
	}
	if p := asks("echo in"); p.Wait() != 0 || p.Stdout.String() != "in\n" {
		t.Fatal(p.Stdout.String(), p.Stderr.String())
	}
	if r := testkit.Run(t, c.exec("echo in")); r.Code != 0 || strings.Contains(r.Stderr, "needs the approval") {
		t.Errorf("it holds for the next one: %s", r)
	}
	for _, change := range []struct {
		name string
		home *testkit.SSHD
		rule string
	}{{"any command", home, broad}, {"another machine", other, broad}} {
		set(change.home, change.rule)
		s.mustEntry("policy", "apply", "--yes")
		if p := asks("echo now"); p.Wait() != 0 || p.Stdout.String() != "now\n" {
			t.Errorf("%s: %q, %q", change.name, p.Stdout.String(), p.Stderr.String())
		}
	}
	if n := len(s.events("approval.given")); n != 3 {
		t.Errorf("%d approvals were asked for", n)
	}
}
