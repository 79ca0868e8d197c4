package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"entry/e2e/testkit"
)

// TestPatienceDoesNotFillTheSpool: a user's terminals, each within what a person reads,
// filled the disk in minutes or a day, and everybody was refused. Now a day has an end:
// beyond a second share what terminals show is a digest too, and others go on.
func TestPatienceDoesNotFillTheSpool(t *testing.T) {
	beside(t)
	s := initSite(t)
	home := s.startHome()
	s.setPolicy([]string{"alice", "bob"}, []string{home.Target(t, "home")}, recordAll())
	s.smallDisk("spool", "20m")
	s.configure(func(c map[string]any) {
		section(c, "recording")["reserve"] = "4MiB"
		section(c, "recording")["share"] = "256KiB"
	})
	s.serve()
	alice, bob := s.client(s.enrolled("alice")), s.client(s.enrolled("bob"))
	alice.master()
	bob.master()
	const noise = "head -c 2000000 /dev/urandom | base64 -w0"
	if r := testkit.Run(t, alice.exec(noise)); r.Code != 0 {
		t.Fatal(r)
	}
	s.awaitEvent("channel.closed", func(e event) bool { return strings.Contains(e.line, `"coverage":"partial"`) })
	var kept int64
	for range 20 { // until a terminal that shows a line is kept no more
		if r := testkit.Run(t, alice.home([]string{"-tt"}, noise)); r.Code != 0 {
			t.Fatal(r)
		}
		if r := testkit.Run(t, alice.home([]string{"-tt"}, "echo shown")); r.Code != 0 || !strings.Contains(r.Stdout, "shown") {
			t.Fatal(r)
		}
		ended := s.awaitEvent("session.ended", func(e event) bool {
			started := s.events("session.started")
			return e.Session == started[len(started)-1].Session
		})
		kept = 0
		files, err := filepath.Glob(s.path("spool", "*.rec"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			info, err := os.Stat(f)
			if err != nil {
				t.Fatal(err)
			}
			kept += info.Size()
		}
		if kept > 512<<10 && !strings.Contains(s.exportAll(ended.Session), "shown\n") {
			break
		}
	}
	if kept < 512<<10 || kept > 800<<10 {
		t.Errorf("%d bytes were kept of a user whose share is 256 KiB, want twice that, and what waits for the disk", kept)
	}
	if n := len(s.events("alarm.terminal-digested")); n == 0 {
		t.Error("no alarm")
	}
	if r := testkit.Run(t, alice.exec("echo in")); r.Code != 0 || r.Stdout != "in\n" {
		t.Errorf("the same user: %s", r)
	}
	if r := testkit.Run(t, bob.home([]string{"-tt"}, "echo shown to bob")); r.Code != 0 {
		t.Errorf("somebody else: %s", r)
	}
	s.awaitSessions(len(s.events("session.started")))
	if started := s.events("session.started"); !strings.Contains(s.exportAll(started[len(started)-1].Session), "shown to bob") {
		t.Error("what somebody else's terminal shows isn't kept")
	}
}
