package bastion_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"entry/audit"
	"entry/bastion"
	"entry/bastion/access"
	"entry/e2e/testkit"
	"entry/e2e/testkit/policies"
)

func TestPolicyChangesWhileTheyWait(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		after func(string) string
		then  func(*testing.T, *site, *attempt)
	}{
		"no approval any more": {func(p string) string { return strings.Replace(p, "approval:", "# ", 1) },
			func(t *testing.T, _ *site, a *attempt) { a.in(t) }},
		"no access any more": {func(p string) string { return strings.Replace(p, "[alice, bob]", "[bob]", 1) },
			func(t *testing.T, s *site, a *attempt) {
				a.out(t, "entry: home.tinker isn't open to you; ask your lab's administrator")
				s.log.Await(t, audit.AccessRefused, "denied")
			}},
		"others": {func(p string) string { return strings.Replace(p, "approvers: [bob]", "approvers: [carol]", 1) },
			func(t *testing.T, s *site, a *attempt) {
				a.await(t, "entry: the policy changed: home.tinker now needs the approval of carol")
				r := s.waiting(t, 1)[0]
				if _, err := s.server.Access().Approve(context.Background(), r.ID, "bob", ""); !errors.Is(err, access.ErrNotApprover) {
					t.Errorf("bob: %v", err)
				}
				s.approve(t, r.ID, "carol")
				a.in(t)
			}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, options{policy: fourEyes(byBob)})
			a := s.login("alice").tries()
			s.waiting(t, 1)
			a.await(t, "needs the approval")
			s.server.Access().SetPolicy(policies.Parse(t, tt.after(fourEyes(byBob)(s))))
			tt.then(t, s, a)
			s.waiting(t, 0)
		})
	}
}

func TestDisabledWhileTheyWait(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{policy: fourEyes(byBob)})
	jump, whole := s.login("alice").tries(), s.triesWhole("alice")
	jump.await(t, "needs the approval")
	whole.await(t, "needs the approval")
	if code, text := s.operate(http.MethodPost, "/v1/users/alice/disable", ""); code != http.StatusOK {
		t.Fatalf("%d %s", code, text)
	}
	s.waiting(t, 0)
	jump.ends(t)
	whole.ends(t)
	if jump.stdout != "" || whole.stdout != "" || len(s.log.All(audit.SessionStarted)) != 0 {
		t.Errorf("%+v %+v", jump, whole)
	}
	s.log.Await(t, audit.AccessRefused, "revoked")
}

// A flood of one user's connections is one request, and has an end.
func TestWaitingIsBounded(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{policy: fourEyes("approvers: [carol], for: 1h")})
	c := s.login("alice")
	var all []*attempt
	for range 8 {
		a := c.tries()
		a.await(t, "needs the approval")
		all = append(all, a)
	}
	c.tries().out(t, "too many connections wait for approval already")
	s.log.Await(t, audit.ApprovalMissing, "too-many-waiting")
	bob := s.login("bob").tries()
	r := s.waiting(t, 2)
	// A request can be listed a moment before it is on record.
	testkit.Eventually(t, "both are on record", func() bool { return len(s.log.All(audit.ApprovalRequested)) >= 2 })
	if n := len(s.log.All(audit.ApprovalRequested)); n != 2 {
		t.Errorf("%d requests on record", n)
	}
	for _, r := range r {
		s.approve(t, r.ID, "carol")
	}
	for _, a := range append(all, bob) {
		a.in(t)
	}
}

// Who waits has logged in, and takes no place from those who haven't.
func TestWaitingTakesNoStartupPlace(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{policy: fourEyes("approvers: [carol], for: 1h"), options: func(o *bastion.Options) { o.Config.Limits.PerSource = 2 }})
	for range 4 {
		s.triesWhole("alice").await(t, "needs the approval")
	}
	s.login("bob")
}

func TestApprovalForAForward(t *testing.T) {
	t.Parallel()
	w := startWorkbench(t, &workbench{hello: []string{"hello"}})
	s := newSite(t, options{policy: withWorkbench(w, "    approval: {approvers: [bob], for: 1h}\n    because: beta\n")})
	c := s.login("alice")
	for range 10 { // a browser tries again and again
		said := c.refused(bench())
		if !strings.Contains(said, "workbench.tinker needs the approval of bob (beta); try again once they have given it, until ") || !strings.Contains(said, "ssh entry approve ") {
			t.Fatalf("%q", said)
		}
		s.refusedWith(t, said, audit.AccessRefused, "needs-approval")
	}
	// ssh -W has but that channel, and stays.
	held := make(chan error, 1)
	go func() {
		ch, err := c.open(jumpTo("workbench", 80))
		if err == nil {
			err = ch.Close()
		}
		held <- err
	}()
	r := s.waiting(t, 1)[0]
	if w.count() != 0 {
		t.Error("the target was dialled")
	}
	s.approve(t, r.ID, "bob")
	testkit.Finishes(t, "the channel that was held", func() {
		if err := <-held; err != nil {
			t.Error(err)
		}
	})
	if ch := testkit.Must(c.open(bench()))(t); ch.Close() != nil {
		t.Error("close")
	}
	s.waiting(t, 0)
	if n := len(s.log.All(audit.ApprovalRequested)); n != 1 {
		t.Errorf("%d requests on record", n)
	}

	// The request goes with the connection that asked.
	s.clock.Advance(2 * time.Hour)
	c = s.login("alice")
	c.refused(bench())
	s.waiting(t, 1)
	c.Close()
	s.waiting(t, 0)
	s.log.Await(t, audit.ApprovalMissing, "left")
}

// An approval may give more than what its user has without it: they ask in the
// portal.
// TestWhatNeedsApprovalIsListed: as a way that is open once others agree, not as a
// denial, and with a file for it.
func TestWhatNeedsApprovalIsListed(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{policy: fourEyes("approvers: [bob, carol], for: 1h")})
	c := s.login("alice")
	for command, want := range map[string]string{
		"targets":        "ssh -J entry home (asks for the approval of 1 of bob, carol)\n",
		"config openssh": "Host home",
	} {
		if out, said, status := c.verb("", command); status != 0 || !strings.Contains(out, want) || strings.Contains(out, "denied") {
			t.Errorf("%s: %q %q %d", command, out, said, status)
		}
	}
}

func TestAskForMore(t *testing.T) {
	t.Parallel()
	forMore := func(wait string) func(*site) string {
		return func(s *site) string {
			return strings.Replace(s.policyText("", ""), "may: [shell, exec, upload, download]", "may: [agent]", 1) + `  - name: out
    who: {labs: [tinker]}
    where: {targets: [home.tinker]}
    may: [exec]
    approval: {approvers: [bob], for: 1h, wait: ` + wait + `}
`
		}
	}
	s := newSite(t, options{policy: forMore("1s")})
	c := s.login("alice")
	if _, said, err := run(t, c.jump("home"), "say in"); err == nil || !strings.Contains(said, "you may not run commands on home.tinker without the approval of bob") {
		t.Errorf("%q, %v", said, err)
	}
	if out, said, status := c.verb("", "ask home"); status != 3 || !strings.HasPrefix(out, "entry: home.tinker needs the approval of bob. Waiting until ") ||
		!strings.HasPrefix(said, "entry: bob didn't approve in time") {
		t.Errorf("%q %q %d", out, said, status)
	}
	s.server.Access().SetPolicy(policies.Parse(t, forMore("10m")(s)))
	var out string
	status := make(chan int, 1)
	go func() {
		var code int
		out, _, code = c.verb("", "ask home.tinker")
		status <- code
	}()
	s.approve(t, s.waiting(t, 1)[0].ID, "bob")
	if code := <-status; code != 0 || !strings.HasSuffix(out, "entry: approved by bob\n") {
		t.Errorf("%q %d", out, code)
	}
	if out, said, _ := run(t, c.jump("home"), "say in"); out != "in" {
		t.Errorf("%q %q", out, said)
	}
	if out, _, status := c.verb("", "ask home"); status != 0 || out != "home.tinker needs nobody's approval.\n" {
		t.Errorf("%q %d", out, status)
	}
	if _, said, status := c.verb("", "ask nowhere"); status != 4 || !strings.Contains(said, "no target") {
		t.Errorf("%q %d", said, status)
	}
	if _, _, status := c.verb("", "ask"); status != 2 {
		t.Errorf("%d", status)
	}
}
