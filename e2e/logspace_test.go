package e2e

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"entry/e2e/testkit"
)

// smallDisk mounts a file system of that size in a folder of the site.
func (s *site) smallDisk(folder, size string) {
	s.t.Helper()
	if err := os.MkdirAll(s.path(folder), 0o700); err != nil {
		s.t.Fatal(err)
	}
	testkit.MustRun(s.t, command("mount", "-t", "tmpfs", "-o", "size="+size+",mode=0700", "e2e", s.path(folder)))
	s.t.Cleanup(func() {
		// Lazily: the server closes its files a moment later.
		testkit.MustRun(s.t, command("umount", "-l", s.path(folder)))
	})
}

// leave fills a folder's file system but for that many bytes.
func (s *site) leave(folder, name string, bytes int64) {
	s.t.Helper()
	f, err := os.OpenFile(s.path(folder, name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 16<<10); ; {
		var st syscall.Statfs_t
		if err := syscall.Statfs(s.path(folder), &st); err != nil {
			s.t.Fatal(err)
		}
		if int64(st.Bavail)*st.Bsize <= bytes {
			return
		}
		if _, err := f.Write(block); err != nil {
			return // full
		}
	}
}

// TestLogDiskFull fills the disk of the audit log by degrees. The server, which
// once exited, refuses sessions at the reserve, ends them at half of it, keeps
// its portal, its operators and the rescuers as long as there is room for what
// they do, and says so; with the disk full it stays up, and goes on as before once
// there is room.
func TestLogDiskFull(t *testing.T) {
	beside(t)
	if os.Geteuid() != 0 {
		t.Log("only root can mount a small file system; nothing was tested")
		return
	}
	s := initSite(t)
	home := s.startHome()
	s.setPolicy([]string{"alice", "bob"}, []string{home.Target(t, "home")}, recordAll())
	s.smallDisk("audit", "24m")
	s.configure(func(c map[string]any) {
		section(c, "audit")["reserve"] = "8MiB"
		section(c, "operators")["rescue"] = []string{"bob"}
	})
	s.serve()
	rescuer := s.enrolled("bob")
	alice, bob := s.client(s.enrolled("alice")), s.client(rescuer)
	alice.master()
	bob.master()
	running := testkit.Start(t, "ssh", alice.exec(ticker))
	running.WaitFor(tick)
	space := func(want string) {
		t.Helper()
		s.awaitEvent("alarm.log-space", func(e event) bool { return e.Reason == want })
	}

	s.leave("audit", "filler", 6<<20)
	space("reserved")
	if r := testkit.Run(t, alice.exec("echo in")); r.Code != 255 || !strings.Contains(r.Stderr, "entry: the audit log is almost full, so nothing new can be started; tell your lab's administrator") {
		t.Errorf("a new session at the reserve: %s", r)
	}
	ticks := len(tick.FindAllString(running.Stdout.String(), -1))
	testkit.Eventually(t, "the running session goes on", func() bool { return len(tick.FindAllString(running.Stdout.String(), -1)) > ticks+2 })
	if r := testkit.Run(t, alice.ssh("entry", "targets")); r.Code != 0 {
		t.Errorf("the portal: %s", r)
	}

	s.leave("audit", "filler", 3<<20)
	space("scarce")
	if code := running.Wait(); code == 0 || !strings.Contains(running.Stderr.String(), "entry: the audit log is almost full, so all sessions end") {
		t.Errorf("the running session ended with %d: %q", code, running.Stderr.String())
	}
	for _, e := range s.events("session.started") {
		s.awaitEvent("session.ended", func(end event) bool { return end.Session == e.Session })
	}
	if r := testkit.Run(t, bob.exec("echo in")); r.Code != 0 || r.Stdout != "in\n" {
		t.Errorf("the rescuer: %s", r)
	}
	if r := testkit.Run(t, alice.ssh("entry", "targets")); r.Code != 0 {
		t.Errorf("the portal: %s", r)
	}
	s.mustEntry("user", "disable", "alice")
	s.mustEntry("user", "enable", "alice")

	s.leave("audit", "filler", 512<<10)
	space("spent")
	if r := testkit.Run(t, s.client(rescuer).ssh("entry", "targets")); r.Code != 255 || !strings.Contains(r.Stderr, "the disk is full, so nobody can log in; tell your lab's administrator") {
		t.Errorf("a login with nothing left: %s", r)
	}
	s.mustEntry("user", "ls")
	s.mustEntry("user", "disable", "alice") // operators may still take away

	s.leave("audit", "filler", 0)
	var refused testkit.Result
	testkit.Eventually(t, "an operator's change is refused", func() bool {
		refused = s.entry("user", "enable", "alice")
		return refused.Code != 0
	})
	if !regexp.MustCompile(`entry: [^\n]*(log|room|full)`).MatchString(refused.Stderr) {
		t.Errorf("on the full disk: %s", refused)
	}
	if err := os.Remove(s.path("audit", "filler")); err != nil {
		t.Fatal(err)
	}
	space("ample")
	s.mustEntry("user", "enable", "alice")
	if r := testkit.Run(t, s.client(rescuer).exec("echo in")); r.Code != 0 || r.Stdout != "in\n" {
		t.Errorf("with room again: %s", r)
	}
	s.logs(`THE AUDIT LOG'S DISK IS ALMOST FULL`)
	s.stop()
	s.mustEntry("audit", "verify")
}

// TestRotatedLog does to the log of a running server what logrotate does. Within
// two seconds it has ended what it can't put on record, and says why.
func TestRotatedLog(t *testing.T) {
	beside(t)
	for name, rotate := range map[string]string{
		"compress":     "mv %[1]s %[1]s.1 && gzip %[1]s.1",
		"copytruncate": "cp %[1]s %[1]s.1 && truncate -s 0 %[1]s",
		"overwritten":  "cp %[1]s %[1]s.1 && head -c $(stat -c %%s %[1]s.1) /dev/zero | dd of=%[1]s status=none conv=notrunc",
		"create":       "mv %[1]s %[1]s.1 && install -m 600 /dev/null %[1]s",
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := quickSite(t, recordAll())
			c := s.client(s.enrolled("alice"))
			c.master()
			running := testkit.Start(t, "ssh", c.exec(ticker))
			running.WaitFor(tick)
			testkit.MustRun(t, command("sh", "-c", fmt.Sprintf(rotate, s.path("audit", "events.jsonl"))))
			if code := running.Wait(); code == 0 {
				t.Error("the session went on to its end")
			}
			if code := s.proc.Wait(); code != 1 {
				t.Errorf("the server ended with %d", code)
			}
			if log := s.proc.Stderr.String(); !regexp.MustCompile(`events\.jsonl was .*must not be rotated|must not be rotated.*events\.jsonl (was|has)`).MatchString(log) {
				t.Errorf("the server's log doesn't say why:\n%s", log)
			}
			if r := s.entry("serve"); r.Code == 0 || !strings.Contains(r.Stderr, "events.jsonl") {
				t.Errorf("the next start: %s", r)
			}
			s.proc = nil
		})
	}
}

// TestFilesAreGone takes the database, and a recording of two, from a running
// server: each ends what it belongs to within two seconds, and says so in the log.
func TestFilesAreGone(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, recordAll())
	alice, bob := s.client(s.enrolled("alice")), s.client(s.enrolled("bob"))
	alice.master()
	bob.master()
	hers := testkit.Start(t, "ssh", alice.exec("sleep 300")) // idle
	first := s.awaitEvent("exec.requested", nil).Session
	his := testkit.Start(t, "ssh", bob.exec(ticker))
	his.WaitFor(tick)
	testkit.MustRun(t, command("sh", "-c", fmt.Sprintf("mv %[1]s %[1]s.1 && gzip %[1]s.1", s.path("spool", first+".key"))))
	if code := hers.Wait(); code == 0 || !strings.Contains(hers.Stderr.String(), "entry: the recording can't go on") {
		t.Errorf("the session whose key is gone ended with %d: %q", code, hers.Stderr.String())
	}
	s.awaitEvent("alarm.file-gone", func(e event) bool { return e.Reason == "recording" && e.Session == first })
	ticks := len(tick.FindAllString(his.Stdout.String(), -1))
	testkit.Eventually(t, "the other session goes on", func() bool { return len(tick.FindAllString(his.Stdout.String(), -1)) > ticks+2 })

	db := s.path("state", "entry.db")
	testkit.MustRun(t, command("sh", "-c", fmt.Sprintf("cp %[1]s %[1]s.new && mv %[1]s.new %[1]s", db)))
	if code := his.Wait(); code == 0 || !strings.Contains(his.Stderr.String(), "entry: the jump host's files were changed") {
		t.Errorf("the other session ended with %d: %q", code, his.Stderr.String())
	}
	if code := s.proc.Wait(); code != 1 || !strings.Contains(s.proc.Stderr.String(), "entry.db was replaced by another file") {
		t.Errorf("the server ended with %d:\n%s", code, s.proc.Stderr.String())
	}
	s.proc = nil
	s.awaitEvent("alarm.file-gone", func(e event) bool { return e.Reason == "database" })
}

// TestDatabaseDiskFull: a database that can't be written any more, so that nobody's
// account can be disabled, is an alarm in the log; what runs goes on and can be ended
// one by one.
func TestDatabaseDiskFull(t *testing.T) {
	beside(t)
	if os.Geteuid() != 0 {
		t.Log("only root can mount a small file system; nothing was tested")
		return
	}
	s := initSite(t)
	home := s.startHome()
	s.setPolicy([]string{"alice"}, []string{home.Target(t, "home")}, recordAll())
	s.smallDisk("state", "24m")
	s.serve()
	alice := s.client(s.enrolled("alice"))
	alice.master()
	running := testkit.Start(t, "ssh", alice.exec(ticker))
	running.WaitFor(tick)
	s.leave("state", "filler", 0)
	database := func(reason string) {
		t.Helper()
		s.awaitEvent("alarm.database", func(e event) bool { return e.Reason == reason })
	}
	// Whatever is noted leads to the next look at the database.
	testkit.MustRun(t, alice.ssh("entry", "targets"))
	database("unwritable")
	if r := s.entry("user", "disable", "alice"); r.Code != 1 || !strings.Contains(r.Stderr, "alice isn't disabled; until that is mended, end what they have open by entry sessions kill") {
		t.Errorf("an account was changed in a full database, or nobody says what to do: %s", r)
	}
	s.mustEntry("sessions", "kill", s.awaitEvent("session.started", func(event) bool { return true }).Session, "--reason", "the database is full")
	if code := running.Wait(); code == 0 || !strings.Contains(running.Stderr.String(), "the database is full") {
		t.Errorf("the session ended with %d: %q", code, running.Stderr.String())
	}
	testkit.Check(t, os.Remove(s.path("state", "filler")))
	testkit.MustRun(t, alice.ssh("entry", "targets"))
	database("writable")
	s.mustEntry("user", "disable", "alice")
}
