package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"entry/e2e/testkit"
)

// stockAge builds the age program of the library that entry uses: it is in no package that
// the tests need otherwise.
func stockAge(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "age")
	testkit.MustRun(t, exec.Command("go", "build", "-o", path, "filippo.io/age/cmd/age"))
	return path
}

// atAuditors copies what an auditor needs to another folder, and their identity alone with
// it.
func (s *site) atAuditors(identity string) *site {
	s.t.Helper()
	at := &site{t: s.t, dir: filepath.Join(testkit.ShortDir(s.t), "copy")}
	testkit.Check(s.t, os.MkdirAll(at.path("keys"), 0o700))
	testkit.Eventually(s.t, "a copy between two writes", func() bool {
		return testkit.Run(s.t, command("cp", "-a", s.path("entry.yaml"), s.path("audit"), s.path("spool"), at.dir)).Code == 0
	})
	testkit.MustRun(s.t, command("cp", "-a", s.path("keys", "auditors.pub"), s.path("keys", "audit.pub"), at.path("keys")))
	testkit.MustRun(s.t, command("cp", "-a", identity, at.path("auditor.key")))
	return at
}

// TestRewrap: what was recorded for one auditor opens for the next one, who has a key of
// ssh-keygen's, with entry and with stock age, once the former has sealed it to them away
// from the server; and no more for the former. The log, a bundle and the script for
// outsiders have it consistent throughout, over a restart too.
func TestRewrap(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, recordAll())
	c := s.client(s.enrolled("alice"))
	c.master()
	testkit.MustRun(t, c.exec("echo before"))
	id := s.awaitSessions(1)[0].ID
	first, carol, file := s.path("first.key"), s.path("carol"), s.path("keys", "auditors.pub")
	testkit.Check(t, os.Rename(s.path("auditor.key"), first))
	testkit.MustRun(t, command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", carol))
	opens := func(identity string) bool {
		t.Helper()
		r := s.entry("sessions", "export", id, "--format", "text", "--identity", identity)
		if r.Code != 0 && r.Code != 3 || r.Code == 0 && !strings.Contains(r.Stdout, "before") {
			t.Errorf("%s", r)
		}
		return r.Code == 0
	}
	age := stockAge(t)
	byAge := func(identity string) bool {
		t.Helper()
		r := testkit.Run(t, command(age, "-d", "-i", identity, s.path("spool", id+".key")))
		return r.Code == 0 && len(r.Stdout) == 32
	}
	who := func(what string, old, now bool) {
		t.Helper()
		if opens(first) != old || byAge(first) != old || opens(carol) != now || byAge(carol) != now {
			t.Errorf("%s: opens for who shouldn't, or not for who should", what)
		}
	}
	consistent := func(want string) {
		t.Helper()
		if out := s.mustEntry("audit", "verify"); !strings.Contains(out, want) {
			t.Errorf("%s", out)
		}
	}
	bundles := func(name string) {
		t.Helper()
		b := s.path(name)
		s.mustEntry("sessions", "bundle", id, "-o", b)
		testkit.MustRun(t, command(built, "verify-bundle", b, "--log-key", s.path("keys", "audit.pub")))
		testkit.MustRun(t, command("python3", "-I", "../audit/bundle/verify_bundle.py", b, "--log-key", s.path("keys", "audit.pub")))
	}
	reload := func(keys string) { // and nothing is written any more to what is copied then
		t.Helper()
		had := len(s.events("config.reloaded"))
		testkit.WriteFile(t, file, keys)
		s.proc.Signal(syscall.SIGHUP)
		testkit.Eventually(t, "config.reloaded", func() bool { return len(s.events("config.reloaded")) > had })
	}
	who("before", true, false)

	// Carol comes in.
	reload(testkit.ReadFile(t, file) + testkit.ReadFile(t, carol+".pub"))
	at := s.atAuditors(first)
	at.mustEntry("sessions", "rewrap", "-o", at.path("keys.new"), "--yes")
	who("sealed anew at the auditor's", true, false)
	s.mustEntry("sessions", "rewrap", "--take", at.path("keys.new"))
	who("handed in", true, true)
	consistent("; 1 sealed anew since")
	bundles("one.tar")

	// She takes the first one out.
	reload(testkit.ReadFile(t, carol+".pub"))
	at = s.atAuditors(carol)
	for answer, code := range map[string]int{"n": 3, "y": 0} {
		on := onTerminal(t, command(built, "sessions", "rewrap", "-o", at.path("keys.new"), "--dir", at.dir))
		on.expect(`1 recording of tinker will be open to\s+ssh-ed25519 AAAA`)
		on.expect(`and no more to\s+the key with the fingerprint [0-9a-f]{32}`)
		on.expect(`to the last letter \(or their fingerprints\), their owners'\? \[y/N\] `)
		on.sendLine(answer)
		if got := on.wait(); got != code || strings.Contains(on.text(), "sealing [") != (code == 0) {
			t.Errorf("answering %s: %d, %q", answer, got, on.text())
		}
		if _, err := os.Stat(at.path("keys.new")); (err == nil) != (code == 0) {
			t.Errorf("answering %s: %v", answer, err)
		}
		_ = os.Remove(at.path("keys.new"))
	}
	at.mustEntry("sessions", "rewrap", "-o", at.path("keys.new"), "--yes")
	before := testkit.ReadFile(t, s.path("spool", id+".key"))
	s.mustEntry("sessions", "rewrap", "--take", at.path("keys.new"))
	who("without the first", false, true)
	consistent("; 1 sealed anew since")
	bundles("two.tar")
	if events := s.events("recording.rewrapped"); len(events) != 2 || !strings.Contains(events[1].line, `"out":["`) || !strings.Contains(events[1].line, `"actor":{"uid":`) || len(s.events("recording.rewrap-done")) != 2 {
		t.Errorf("%+v", events)
	}
	s.stop()
	s.serve()
	consistent("; 1 sealed anew since")

	// Whoever puts the key of before back lets the first one in again.
	testkit.WriteFile(t, s.path("spool", id+".key"), before)
	who("the key of before", true, true)
	if r := s.entry("audit", "verify"); r.Code != 1 || !strings.Contains(r.Stderr, "is an earlier one") {
		t.Errorf("%s", r)
	}
	s.mustEntry("sessions", "rewrap", "--take", at.path("keys.new"))
	who("put in its place again", false, true)
	consistent("; 1 sealed anew since")
}

// TestRewrapKilled: handing in new keys, killed at each of its steps, leaves recordings that
// are consistent with the log and open to one set of auditors or the other; the same file
// again finishes it.
func TestRewrapKilled(t *testing.T) {
	alone(t)
	s, _ := quickSite(t, recordAll())
	c := s.client(s.enrolled("alice"))
	testkit.MustRun(t, c.exec("echo one"))
	testkit.MustRun(t, c.exec("echo two"))
	all := s.awaitSessions(2)
	s.stop()
	carol := s.path("carol")
	testkit.MustRun(t, command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", carol))
	s.mustEntry("sessions", "rewrap", "--add", carol+".pub", "-o", s.path("keys.new"), "--yes")
	next := func(i int) string { return all[i].ID + ".key.next" }
	kept := filepath.Join(testkit.ShortDir(t), "kept")
	testkit.MustRun(t, command("cp", "-a", s.dir, kept))
	for _, tt := range []struct {
		step, call, path string
		announced        int // how many the log has as sealed anew
		open             bool
	}{
		{"the first is being written", "fsync", s.path("spool", next(1)), 0, false},
		{"the last is being written", "fsync", s.path("spool", next(0)), 0, false},
		{"the log isn't durable", "renameat", "checkpoint.new", 0, false},
		{"none is in its place", "renameat", next(1), 2, true},
		{"one is in its place", "renameat", next(0), 2, true},
		{"that isn't durable, nor in the log", "fsync", s.path("spool"), 2, true},
	} {
		testkit.MustRun(t, command("rm", "-r", s.dir))
		testkit.MustRun(t, command("cp", "-a", kept, s.dir))
		r := testkit.Run(t, command("strace", "-f", "-qq", "-o", "/dev/null", "-P", tt.path, "-e", "trace="+tt.call, "-e", "inject="+tt.call+":signal=KILL:when=1",
			built, "sessions", "rewrap", "--take", s.path("keys.new"), "--dir", s.dir))
		if r.Code == 0 || strings.Contains(r.Stdout, "Sealed anew") {
			t.Fatalf("%s: not killed: %s", tt.step, r)
		}
		out := s.mustEntry("audit", "verify")
		if strings.Contains(out, "sealed anew since") != (tt.announced > 0) || strings.Contains(out, "was cut off") != tt.open {
			t.Errorf("%s: %s", tt.step, out)
		}
		for _, rec := range all {
			s.mustEntry("sessions", "export", rec.ID, "--format", "text")
		}
		s.serve() // and doesn't mind
		s.stop()
		if out := s.mustEntry("sessions", "rewrap", "--take", s.path("keys.new")); out != "Sealed anew: 2 recordings.\n" {
			t.Errorf("%s: %s", tt.step, out)
		}
		if out := s.mustEntry("audit", "verify"); !strings.Contains(out, "2 recordings consistent with the log; 2 sealed anew since\n") {
			t.Errorf("%s: %s", tt.step, out)
		}
		for _, rec := range all {
			s.mustEntry("sessions", "export", rec.ID, "--format", "text", "--identity", carol)
			if _, err := os.Stat(s.path("spool", rec.ID+".key.next")); err == nil {
				t.Errorf("%s: a key was left", tt.step)
			}
		}
	}
}
