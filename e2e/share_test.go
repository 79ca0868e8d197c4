package e2e

import (
	"regexp"
	"strings"
	"testing"

	"entry/e2e/testkit"
)

// TestOneUserCannotFillTheSpool has a user print far more random text than there is
// room for. It became the end of everybody's sessions; now it is a digest beyond the
// user's share, the same user can go on, nobody else is refused, and only who asked
// for complete recordings is ended.
func TestOneUserCannotFillTheSpool(t *testing.T) {
	beside(t)
	s := initSite(t)
	home := s.startHome()
	s.setPolicy([]string{"alice", "bob"}, []string{home.Target(t, "home"), home.Target(t, "vault")}, recordAll(),
		testkit.Rule("complete", "who: {labs: [tinker]}", testkit.On("vault"), "may: [shell, exec]", "record: full", "record_complete: true"))
	s.smallDisk("spool", "48m")
	s.configure(func(c map[string]any) {
		section(c, "recording")["reserve"] = "8MiB"
		section(c, "recording")["share"] = "4MiB"
	})
	s.serve()
	alice, bob := s.client(s.enrolled("alice")), s.client(s.enrolled("bob"))
	alice.master()
	bob.master()
	const megabytes = 80
	r := testkit.Run(t, alice.exec("head -c 60000000 /dev/urandom | base64 -w0"))
	if r.Code != 0 || len(r.Stdout) != megabytes*1_000_000 {
		t.Fatalf("exit %d after %d bytes: %s", r.Code, len(r.Stdout), r.Stderr)
	}
	e := s.awaitEvent("channel.closed", func(e event) bool { return strings.Contains(e.line, `"coverage":"partial"`) })
	t.Logf("%s", e.line)
	if r := testkit.Run(t, alice.exec("echo in")); r.Code != 0 || r.Stdout != "in\n" {
		t.Errorf("the same user: %s", r)
	}
	if r := testkit.Run(t, bob.exec("echo in")); r.Code != 0 || r.Stdout != "in\n" {
		t.Errorf("somebody else: %s", r)
	}
	vault := func(c *client, command string) testkit.Result {
		c.target = "vault.tinker"
		return testkit.Run(t, c.exec(command))
	}
	if r := vault(bob, "head -c 6000000 /dev/urandom | base64 -w0"); r.Code == 0 || !strings.Contains(r.Stderr, "entry: everything on vault.tinker has to be recorded, and your share of recordings for today is used up") {
		t.Errorf("a complete recording beyond the share: exit %d after %d bytes, %q", r.Code, len(r.Stdout), r.Stderr)
	}
	if r := vault(alice, "echo in"); r.Code == 0 || !strings.Contains(r.Stderr, "your share of recordings for today is used up") {
		t.Errorf("a complete recording with the share used up: %s", r)
	}
	// A terminal that shows more than anybody reads raises an alarm, and what another of
	// the same user's shows beside it is kept.
	alice.target = "home.tinker"
	flood := testkit.Start(t, "flood", alice.home([]string{"-tt"}, "while head -c 60000 /dev/urandom | base64 -w0; do :; done"))
	alarm := s.awaitEvent("alarm.terminal-digested", func(e event) bool { return e.User == "alice" })
	t.Logf("%s", alarm.line)
	const first, last = "shown-0001", "shown-0400"
	if r := testkit.Run(t, alice.home([]string{"-tt"}, "seq -f shown-%04.0f 400")); r.Code != 0 || !strings.Contains(r.Stdout, last) {
		t.Errorf("a terminal beside a flood: %s", r)
	}
	flood.End()
	s.awaitSessions(6)
	started := s.events("session.started")
	kept := s.exportAll(started[len(started)-1].Session)
	if n := len(regexp.MustCompile(`shown-\d{4}`).FindAllString(kept, -1)); n != 400 || !strings.Contains(kept, first) || !strings.Contains(kept, last) {
		t.Errorf("%d lines of 400 were kept beside a flood", n)
	}
	if n := len(s.events("alarm.terminal-digested")); n != 1 {
		t.Errorf("%d alarms", n)
	}
	if shown := s.mustEntry("sessions", "show", e.Session, "--identity", s.path("auditor.key")); !strings.Contains(shown, "1 gap") {
		t.Errorf("sessions show doesn't say that something is missing:\n%s", shown)
	}
	s.stop()
	s.mustEntry("audit", "verify")
}
