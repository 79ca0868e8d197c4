package e2e

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"entry/e2e/testkit"
)

// TestLostLogBeginsAnew: a log that is older than its witness and its database
// starts nothing, and says what to do. With an auditor's key it begins anew; the
// gap is shown by every verification, which fails unless the gap is named.
func TestLostLogBeginsAnew(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, recordAll())
	alice := s.enrolled("alice")
	c := s.client(alice)
	if r := testkit.Run(t, c.exec("echo recorded")); r.Code != 0 {
		t.Fatalf("%s", r)
	}
	s.awaitSessions(1)
	s.stop()
	key := s.path("ada.key")
	public := s.mustEntry("audit", "auditor-key", key)
	if !strings.HasPrefix(public, "ada+") {
		t.Errorf("%q", public)
	}
	accept := func() testkit.Result {
		return s.entry("audit", "accept-gap", "--key", key, "--reason", "the disk was lost")
	}
	if r := accept(); r.Code == 0 || !strings.Contains(r.Stderr, "the log can go on") {
		t.Errorf("a gap in a whole log: %s", r)
	}
	if err := os.CopyFS(s.path("copy"), os.DirFS(s.path("audit"))); err != nil {
		t.Fatal(err)
	}
	s.mustEntry("user", "add", "bob")
	s.mustEntry("user", "disable", "bob")
	if err := os.RemoveAll(s.path("audit")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(s.path("copy"), s.path("audit")); err != nil {
		t.Fatal(err)
	}
	if r := s.entry("serve"); r.Code == 0 || !strings.Contains(r.Stderr, "the log was put back to an older state") || !strings.Contains(r.Stderr, "entry audit accept-gap") {
		t.Errorf("an older log: %s", r)
	}
	if r := accept(); r.Code != 0 {
		t.Fatalf("%s", r)
	}
	s.serve()
	if r := s.entry("user", "show", "bob"); !strings.Contains(r.Stdout, "disabled") {
		t.Errorf("the database is older now: %s", r)
	}
	s.mustEntry("user", "disable", "alice")
	s.stop()
	s.serve() // and again
	s.stop()

	r := s.entry("audit", "verify")
	m := regexp.MustCompile(`(?m)^gap ([0-9a-f]{16}): the log begins anew at .*, after \d+ records of the log entry; accepted by the key ada\+[0-9a-f]{8}: the disk was lost$`).FindStringSubmatch(r.Stdout)
	if r.Code != 1 || m == nil || !strings.Contains(r.Stderr, "the log has a gap") {
		t.Fatalf("%s", r)
	}
	if r := s.entry("audit", "verify", "--gap", strings.Repeat("0", 16)); r.Code != 1 {
		t.Errorf("another gap: %s", r)
	}
	if r := s.entry("audit", "verify", "--gap", m[1]); r.Code != 0 || !strings.Contains(r.Stdout, m[0]) || !strings.Contains(r.Stdout, "1 recording") {
		t.Errorf("the gap is named: %s", r)
	}
	old := []string{"audit", "verify", "--log", s.path("audit", "before"), "--public-key", s.path("audit", "before", "audit.pub")}
	if r := testkit.Run(t, command(built, old...)); r.Code != 0 {
		t.Errorf("the log before: %s", r)
	}
}

// TestLostLogAndOlderDatabase: the disk is lost, the log begins anew from its copy, and
// the database is older than that: nobody whom the log before had disabled gets in.
func TestLostLogAndOlderDatabase(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, recordAll())
	bob := s.enrolled("bob")
	key := s.path("ada.key")
	s.mustEntry("audit", "auditor-key", key)
	s.stop()
	s.keepDatabase("backup")
	s.serve()
	s.mustEntry("user", "disable", "bob")
	s.stop()
	testkit.MustRun(t, command("cp", "-a", s.path("audit"), s.path("copy")))
	s.mustEntry("user", "add", "late")
	testkit.MustRun(t, command("rm", "-r", s.path("audit")))
	testkit.MustRun(t, command("mv", s.path("copy"), s.path("audit")))
	s.putBack("backup")
	s.mustEntry("audit", "accept-gap", "--key", key, "--reason", "the disk was lost")
	for _, when := range []string{"put back before the gap", "put back after it"} {
		s.serve()
		if c, err := s.dial(bob); err == nil {
			c.Close()
			t.Errorf("%s: bob is back", when)
		}
		if text := s.proc.Stderr.String(); !strings.Contains(text, "ALARM: bob: any login (disabled)") {
			t.Errorf("%s: the server's log: %s", when, text)
		}
		s.stop()
		s.putBack("backup")
	}
}
