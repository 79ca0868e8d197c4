package access

import (
	"testing"
	"time"
)

// Who approved, how they acted and how long it holds is part of every line.
func TestApprovalsInWords(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	r := ApprovalRequest{ID: "k3f9a2xq", User: "alice", Target: "home.tinker", Source: "192.0.2.7", Rule: "visits", Approvers: []string{"bob", "carol"}, Need: 2, For: "1h", Until: noon}
	g := GivenApproval{ID: "k3f9a2xq", User: "alice", Target: "home.tinker", Source: "192.0.2.7", Rule: "visits", By: "bob", At: noon, Until: noon.Add(time.Hour)}
	same := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("\ngot  %s\nwant %s", got, want)
		}
	}
	same(r.Line(), "k3f9a2xq  alice on home.tinker from 192.0.2.7; approved by 0 of 2; approvers: bob, carol; waits until 12:00 UTC")
	r.By, r.Acting, r.Uses = []string{"daemon", "bob"}, map[string]string{"daemon": "as root"}, 1
	same(r.Line(), "k3f9a2xq  alice on home.tinker from 192.0.2.7; approved by 2 of 2 (daemon (as root), bob); approvers: bob, carol; waits until 12:00 UTC")
	same(r.Done(), "Approved: alice on home.tinker, 2 of 2, for one session that begins within 1h.")
	same(g.Line(), "k3f9a2xq  alice on home.tinker from 192.0.2.7, by rule visits; approved by bob at 2026-03-02 12:00 UTC, until 2026-03-02 13:00 UTC; any number of sessions")
	g.Uses, g.Used, g.Acting = 3, 1, "as root"
	same(g.Line(), "k3f9a2xq  alice on home.tinker from 192.0.2.7, by rule visits; approved by bob (as root) at 2026-03-02 12:00 UTC, until 2026-03-02 13:00 UTC; 1 of 3 sessions used")
	same(g.Withdrawn(), "Withdrawn: bob (as root)'s approval of alice on home.tinker. What was opened by it ends, or loses what it gave.")
}
