package bastion_test

import (
	"net/http"
	"strings"
	"testing"

	"entry/audit"
	"entry/e2e/testkit"
)

const oneSession = "approvers: [bob, root], for: 1h, wait: 10m, uses: 1"

// An approval for one session lets in one, with all its channels; the next one
// asks again, and what runs goes on.
func TestApprovalForOneSession(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{policy: fourEyes(oneSession)})
	c := s.login("alice")
	a := c.tries()
	r := s.waiting(t, 1)[0]
	if r.Uses != 1 {
		t.Errorf("%+v", r)
	}
	s.approve(t, r.ID, "bob")
	a.in(t)
	if e := s.log.Await(t, audit.ApprovalGiven, ""); e.Uses != 1 {
		t.Errorf("%+v", e)
	}

	// It is used up, though that session is over.
	a = c.tries()
	s.approve(t, s.waiting(t, 1)[0].ID, "bob")
	a.in(t)

	// Of two that wait, one gets in; the other waits on, or is told.
	first, second := c.tries(), s.login("alice").tries()
	first.await(t, "needs the approval")
	second.await(t, "needs the approval")
	started := len(s.log.All(audit.SessionStarted))
	s.approve(t, s.waiting(t, 1)[0].ID, "bob")
	testkit.Eventually(t, "one is in", func() bool { return len(s.log.All(audit.SessionStarted)) == started+1 })
	select {
	case <-first.done:
	case <-second.done:
	}
	if all := testkit.Must(s.server.Access().Given(t.Context()))(t); len(all) != 3 || all[0].Used+all[1].Used+all[2].Used != 3 {
		t.Errorf("%+v", all)
	}
	if n := len(s.log.All(audit.SessionStarted)); n != started+1 {
		t.Errorf("%d sessions by one approval", n-started)
	}
}

// What runs by an approval for one session opens more channels by it, and isn't
// what the next approval is for.
func TestSessionKeepsItsApproval(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{policy: fourEyes(oneSession)})
	a := s.login("alice").tries()
	s.approve(t, s.waiting(t, 1)[0].ID, "bob")
	a.in(t)
	long := make(chan struct{})
	go func() {
		defer close(long)
		inner := s.login("alice").jump("home")
		for range 3 {
			if out, said, err := run(t, inner, "say in"); out != "in" {
				t.Errorf("%q %q %v", out, said, err)
			}
			s.server.Access().SetPolicy(s.server.Access().Policy()) // it is decided anew
		}
	}()
	s.approve(t, s.waiting(t, 1)[0].ID, "bob")
	testkit.Finishes(t, "one connection with three channels", func() { <-long })
}

// Who became root approves as themselves, and it shows.
func TestApprovalAsRootShows(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{policy: fourEyes("approvers: [daemon, bob], for: 1h, need: 2")})
	s.login("alice").tries()
	id := s.waiting(t, 1)[0].ID
	// Debian's daemon is account 1.
	if code, text := s.operateAs(audit.Actor{UID: 0, LoginUID: 1, Name: "root"}, http.MethodPost, "/v1/approvals/"+id, ""); code != http.StatusOK || !strings.Contains(text, `"acting":{"daemon":"as root"}`) {
		t.Errorf("%d %s", code, text)
	}
	if e := s.log.Await(t, audit.ApprovalGiven, ""); e.Approver != "daemon" || e.Detail != "given by daemon (as root)" || e.Actor == nil || e.Actor.UID != 0 || e.Actor.LoginUID != 1 {
		t.Errorf("%+v", e)
	}
	if r := s.asked(t)[0]; r.Approved() != "daemon (as root)" {
		t.Errorf("%+v", r)
	}
	if code, text := s.operate(http.MethodGet, "/v1/approvals/given", ""); code != http.StatusOK || !strings.Contains(text, `"by":"daemon","acting":"as root"`) {
		t.Errorf("%d %s", code, text)
	}
	if out, said, status := s.login("bob").verb("", "approve"); status != 0 || !strings.Contains(out, "approved by 1 of 2: daemon (as root)") {
		t.Errorf("%q %q %d", out, said, status)
	}
}
