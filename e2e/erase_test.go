package e2e

import (
	"slices"
	"strings"
	"testing"

	"entry/e2e/testkit"
)

// TestErase: what a user did is erased by one order, on another server on the database once
// somebody confirms it there, on what runs once that is over, be it by kill -9; the logs of both have it consistent, and nobody
// else's recording goes.
func TestErase(t *testing.T) {
	beside(t)
	s := initSite(t)
	home := s.startHome()
	members, targets := []string{"alice", "bob"}, []string{home.Target(t, "home")}
	s.setPolicy(members, targets, recordAll())
	s.serve()
	other := s.secondServer(members, targets, recordAll())
	alice, bob := s.enrolled("alice"), s.enrolled("bob")
	here, there := s.client(alice), other.client(alice)
	here.master()
	testkit.MustRun(t, here.exec("echo here"))
	testkit.MustRun(t, s.client(bob).exec("echo bob"))
	testkit.MustRun(t, there.exec("echo there"))
	s.awaitSessions(2)
	other.awaitSessions(1)
	runs := testkit.Start(t, "a session that runs", here.exec("echo begun; sleep 600"))
	testkit.Eventually(t, "the session to run", func() bool { return strings.Contains(runs.Stdout.String(), "begun") })

	out := s.mustEntry("sessions", "erase", "--user", "alice", "--reason", "request 44", "--yes")
	if !strings.Contains(out, "Erased: 1 recording of user alice") || !strings.Contains(out, "Left: 1 recording still being recorded") {
		t.Errorf("%s", out)
	}
	of := func(s *site) (users []string) {
		for _, r := range s.sessions() {
			users = append(users, r.User+" "+r.State)
		}
		slices.Sort(users)
		return users
	}
	if got := of(s); !slices.Equal(got, []string{"alice live", "bob complete"}) {
		t.Errorf("here: %q", got)
	}
	// It goes on with what was left at once when it starts, and every hour.
	s.proc.Kill()
	s.serve()
	testkit.Eventually(t, "what ran to be erased", func() bool { return slices.Equal(of(s), []string{"bob complete"}) })
	// The other server keeps to its own log: that the database says so erases nothing there.
	ref := s.events("erasure.ordered")[0].Ref
	other.stop()
	other.serve()
	if out := other.mustEntry("sessions", "erasures"); !strings.Contains(out, "ordered at another server") || len(of(other)) != 1 {
		t.Errorf("%s%q", out, of(other))
	}
	if out := other.mustEntry("sessions", "erase", "--confirm", ref, "--yes"); !strings.Contains(out, "Erased: 1 recording of user alice") || len(of(other)) != 0 {
		t.Errorf("%s%q", out, of(other))
	}
	for s, want := range map[*site]string{s: "; 2 erased by operators' order", other: "; 1 erased by operators' order"} {
		if out := s.mustEntry("audit", "verify"); !strings.Contains(out, want) {
			t.Errorf("%s", out)
		}
	}
	for _, e := range append(s.events("recording.removed"), other.events("recording.removed")...) {
		if e.Ref != ref || e.User != "alice" || e.Reason != "erasure" || e.Detail != "request 44" {
			t.Errorf("%+v", e)
		}
	}
}
