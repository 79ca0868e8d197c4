package e2e

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestDisabledElsewhere: an operator's verbs at one server end one session, then all
// that its user has open at another server on the same database, with stock clients,
// and say why on the terminal; others there don't notice.
func TestDisabledElsewhere(t *testing.T) {
	beside(t)
	first, home := quickSite(t, recordAll())
	second := first.secondServer([]string{"alice", "bob"}, []string{home.Target(t, "home")}, recordAll())
	var aliceHas *client
	shell := func(name string) *terminal {
		t.Helper()
		c := second.client(first.enrolled(name))
		c.master()
		if name == "alice" {
			aliceHas = c
		}
		w := onTerminal(t, c.home(nil))
		shellAnswers(w)
		return w
	}
	alice, bob := shell("alice"), shell("bob")
	// One session of alice's ends by an operator's order at the first server, and no other.
	one := second.awaitEvent("session.started", func(e event) bool { return e.User == "alice" }).Session
	again := onTerminal(t, aliceHas.home(nil))
	shellAnswers(again)
	watch := onTerminal(t, command(built, "sessions", "watch", one, "--identity", second.path("auditor.key"), "--dir", second.dir))
	watch.expect(`entry: ` + one + `, alice on home\.tinker`)
	if shown := second.mustEntry("sessions", "show", one, "--identity", second.path("auditor.key")); !regexp.MustCompile(`(?m)^coverage +1 channel open so far$`).MatchString(shown) || !strings.Contains(shown, ", open: this is what there is of it so far\n") || strings.Contains(shown, "partial") {
		t.Errorf("sessions show of one that runs:\n%s", shown)
	}
	said := first.mustEntry("sessions", "kill", strings.ToLower(one), "--reason", "home is needed – Grüße")
	if want := "Ended: session " + one + ", at another server on the database.\n"; said != want {
		t.Errorf("%q, want %q", said, want)
	}
	alice.expect(`entry: an administrator ended this session: home is needed – Grüße\r?\n`)
	alice.wait()
	watch.expect(`entry: session ` + one + ` ended at \S+Z \(killed\): (\S+ as )?root ended it, "home is needed – Grüße"\r?\n`)
	watch.wait()
	for where, s := range map[string]*site{"here": first, "there": second} {
		e := s.awaitEvent("session.killed", nil)
		if e.Session != one || e.Detail != "home is needed – Grüße" || !strings.Contains(e.line, `"actor":{"uid":`) {
			t.Errorf("%s: %+v", where, e)
		}
	}
	if r := second.entry("sessions", "kill", one[:len(one)-1], "--reason", "again"); r.Code != 4 || !strings.Contains(r.Stderr, "session "+one+" is over already, since ") || !strings.Contains(r.Stderr, `root ended it, "home is needed – Grüße"`) {
		t.Errorf("%d %q", r.Code, r.Stderr)
	}
	if list := second.mustEntry("sessions", "ls", "--state", "killed"); strings.Count(list, " killed ") != 1 || !strings.Contains(list, one) {
		t.Errorf("sessions ls --state killed:\n%s", list)
	}
	if shown := second.mustEntry("sessions", "show", one, "--identity", second.path("auditor.key")); !regexp.MustCompile(`(?m)^state +killed$`).MatchString(shown) || !regexp.MustCompile(`(?m)^ended by +\S+Z by .*root: "home is needed – Grüße"$`).MatchString(shown) {
		t.Errorf("sessions show:\n%s", shown)
	}
	shellAnswers(again)
	alice = again

	first.mustEntry("user", "disable", "alice")
	alice.expect(`entry: your access was changed; connect again`)
	alice.wait()
	e := second.awaitEvent("session.ended", func(e event) bool { return e.User == "alice" && e.Session != one })
	if e.Reason != "revoked" {
		t.Errorf("%+v", e)
	}
	disabled := first.awaitEvent("user.disabled", nil)
	t.Logf("ended %s after user.disabled", e.Time.Sub(disabled.Time).Round(time.Millisecond))
	shellAnswers(bob)
	// One session runs at the second server, and others are on record there: what all
	// their IDs begin with names none, and "last" doesn't either.
	for name, want := range map[string]string{one[:4]: `"` + one[:4] + `" is the start of 3 session IDs`, "last": `"last" isn't taken here`} {
		if r := second.entry("sessions", "kill", name, "--reason", "a slip"); r.Code != 2 || !strings.Contains(r.Stderr, want) {
			t.Errorf("sessions kill %s: %d %q", name, r.Code, r.Stderr)
		}
	}
	shellAnswers(bob)
	second.mustEntry("audit", "verify")
	if live := second.mustEntry("sessions", "ls"); strings.Count(live, "live") != 1 {
		t.Errorf("live sessions:\n%s", live)
	}
}
