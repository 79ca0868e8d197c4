package e2e

import (
	"strings"
	"testing"
	"time"
)

// TestDisabledElsewhere: an operator's verb at one server ends what its user has
// open at another server on the same database, with stock clients, and says why
// on the terminal; others there don't notice.
func TestDisabledElsewhere(t *testing.T) {
	beside(t)
	first, home := quickSite(t, recordAll())
	second := first.secondServer([]string{"alice", "bob"}, []string{home.Target(t, "home")}, recordAll())
	shell := func(name string) *terminal {
		t.Helper()
		c := second.client(first.enrolled(name))
		c.master()
		w := onTerminal(t, c.home(nil))
		shellAnswers(w)
		return w
	}
	alice, bob := shell("alice"), shell("bob")
	first.mustEntry("user", "disable", "alice")
	alice.expect(`entry: your access was changed; connect again`)
	alice.wait()
	e := second.awaitEvent("session.ended", func(e event) bool { return e.User == "alice" })
	if e.Reason != "revoked" {
		t.Errorf("%+v", e)
	}
	disabled := first.awaitEvent("user.disabled", nil)
	t.Logf("ended %s after user.disabled", e.Time.Sub(disabled.Time).Round(time.Millisecond))
	shellAnswers(bob)
	second.mustEntry("audit", "verify")
	if live := second.mustEntry("sessions", "ls"); strings.Count(live, "live") != 1 {
		t.Errorf("live sessions:\n%s", live)
	}
}
