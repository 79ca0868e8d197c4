package e2e

import (
	"os"
	"strings"
	"testing"

	"entry/e2e/testkit"
)

// TestDatabaseDisk: where the database's disk is full or read-only, every verb that
// would change it, the start and check say so, with the place and what to do, and blame
// nothing else; what can be read is. With room again all goes on.
func TestDatabaseDisk(t *testing.T) {
	beside(t)
	if os.Geteuid() != 0 {
		t.Log("only root can mount a small file system; nothing was tested")
		return
	}
	s := initSite(t)
	s.smallDisk("state", "4m")
	s.mustEntry("user", "add", "alice")
	db := s.path("state", "entry.db")
	refused := func(want string) {
		t.Helper()
		for _, verb := range [][]string{{"user", "disable", "alice"}, {"serve"}, {"check"}} {
			r := s.entry(verb...)
			if r.Code != 1 || !strings.Contains(r.Stderr, want) || strings.Contains(r.Stderr, "audit log") || strings.Contains(r.Stderr, "(14)") {
				t.Errorf("%q: %s", verb, r)
			}
		}
		for _, verb := range [][]string{{"user", "ls"}, {"user", "show", "alice"}} {
			if r := s.entry(verb...); r.Code != 0 || !strings.Contains(r.Stdout, "temporary passphrase until") {
				t.Errorf("%q: %s", verb, r)
			}
		}
	}
	s.leave("state", "fill", 0)
	refused("no space left on the disk of " + db + ", where 0 bytes are free: free some, then try again")
	testkit.Check(t, os.Remove(s.path("state", "fill")))
	testkit.MustRun(t, command("mount", "-o", "remount,ro", s.path("state")))
	refused(db + " is on a read-only file system: mount it writable")
	testkit.MustRun(t, command("mount", "-o", "remount,rw", s.path("state")))
	s.mustEntry("user", "disable", "alice")

	s.smallDisk("small", "4m")
	logs, spool := s.path("small", "audit"), s.path("small", "spool")
	s.configure(func(c map[string]any) {
		section(c, "audit")["directory"] = logs
		section(c, "recording")["directory"] = spool
	})
	r := s.entry("check") // neither folder is there yet, and all is said at once
	if r.Code != 1 || strings.Count(r.Stderr, "too little space on the disk of "+s.path("small")) != 2 {
		t.Errorf("%s", r)
	}
}
