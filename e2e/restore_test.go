package e2e

import (
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/crypto/ssh"

	"entry/e2e/testkit"
)

// keepDatabase copies the database of a stopped server, as a backup does.
func (s *site) keepDatabase(to string) {
	s.t.Helper()
	if err := os.MkdirAll(s.path(to), 0o700); err != nil {
		s.t.Fatal(err)
	}
	for _, f := range []string{"entry.db", "entry.db-wal", "entry.db-shm"} {
		b, err := os.ReadFile(s.path("state", f))
		if err != nil {
			continue
		}
		testkit.WriteFile(s.t, s.path(to, f), string(b))
	}
}

// putBack puts a kept database back.
func (s *site) putBack(from string) {
	s.t.Helper()
	for _, f := range []string{"entry.db", "entry.db-wal", "entry.db-shm"} {
		_ = os.Remove(s.path("state", f))
		if b, err := os.ReadFile(s.path(from, f)); err == nil {
			if err := os.WriteFile(s.path("state", f), b, 0o600); err != nil {
				s.t.Fatal(err)
			}
		}
	}
}

// TestRestoredDatabase: an older entry.db brings no disabled user back, no spent
// recovery code and no used one-time code, and says so in log and on standard
// error. After kill -9 nothing is said, and nobody loses anything.
func TestRestoredDatabase(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, recordAll())
	alice, bob := s.enrolled("alice"), s.enrolled("bob")
	s.stop()
	s.keepDatabase("backup")
	s.serve()
	s.mustEntry("user", "disable", "bob")
	oneTime := alice.phone.code(t)
	alice.answering(func(prompt string) (string, bool) {
		if askCode.MatchString(prompt) {
			return oneTime, true
		}
		return alice.rightAnswer(prompt)
	})
	c, err := s.dial(alice)
	if err != nil {
		t.Fatalf("%v: asked %q", err, alice.asked())
	}
	c.Close()
	s.proc.Signal(syscall.SIGKILL)
	s.proc.Wait()
	s.serve()
	if alarms := s.events("alarm.database-behind"); len(alarms) != 0 {
		t.Errorf("alarms after a crash that lost nothing: %+v", alarms)
	}
	code := alice.recovery[0]
	first, old := true, alice.phone
	alice.answering(func(prompt string) (string, bool) {
		if first && askCode.MatchString(prompt) {
			first, alice.phone = false, nil
			return code, true
		}
		return alice.rightAnswer(prompt)
	})
	if c, err = s.dial(alice); err != nil {
		t.Fatalf("%v: asked %q", err, alice.asked())
	}
	c.Close()
	s.stop()

	s.putBack("backup")
	before := len(s.events("alarm.database-behind"))
	for _, verb := range [][]string{{"check"}, {"user", "ls"}, {"user", "show", "bob"}, {"check"}} {
		r := s.entry(verb...)
		for _, want := range []string{
			`warning: the next start raises an ALARM: bob: any login \(disabled\)`,
			`warning: the next start raises an ALARM: alice: .*an authenticator`,
			`warning: the next start raises an ALARM: the database was of `,
		} {
			if r.Code != 0 || !regexp.MustCompile(want).MatchString(r.Stderr) {
				t.Errorf("%q doesn't say %s: %s", verb, want, r)
			}
		}
		if verb[0] == "user" && !regexp.MustCompile(`(?m)^(bob|state) +disabled`).MatchString(r.Stdout) {
			t.Errorf("%q: bob isn't shown as after a start: %s", verb, r)
		}
	}
	if n := len(s.events("alarm.database-behind")); n != before {
		t.Errorf("who only asks has written %d alarms", n-before)
	}
	s.serve()
	for _, used := range []string{code, oneTime, old.code(t)} {
		alice.answering(nil)
		alice.mistakes(alice.passphrase, used)
		if c, err := s.dial(alice); err == nil {
			c.Close()
			t.Errorf("%q was accepted though it is used up, or its device is gone", used)
		}
	}
	if c, err := s.dial(bob); err == nil {
		c.Close()
		t.Error("bob is back")
	}
	out := s.mustEntry("user", "show", "bob")
	if !strings.Contains(out, "disabled") {
		t.Errorf("%s", out)
	}
	var said []string
	for _, e := range s.events("alarm.database-behind") {
		said = append(said, e.User+": "+e.Detail)
	}
	all := strings.Join(said, "\n")
	for _, want := range []string{
		`bob: the database was older than this log; taken away again: any login \(disabled\)`,
		`alice: the database was older than this log; taken away again: .*an authenticator.*; a new start: entry user reset`,
		`: the database was of .*: what this log took from accounts was taken again; what it gave them since was not`,
	} {
		if !regexp.MustCompile(want).MatchString(all) {
			t.Errorf("no alarm says %s:\n%s", want, all)
		}
	}
	s.logs(`ALARM: bob: any login \(disabled\)`)
	s.stop()
	s.mustEntry("audit", "verify")
	s.serve()
	if now := s.events("alarm.database-behind"); len(now) != len(said) {
		t.Errorf("the next start does it again: %d alarms", len(now))
	}
	s.stop()
}

// TestDatabasePutBackWhileItRuns: an older state that is put into the database of a running
// server, through SQLite itself, ends that, and gives nobody anything back.
func TestDatabasePutBackWhileItRuns(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, recordAll())
	bob := s.enrolled("bob")
	key := s.remembered(bob, s.path("id"))
	testkit.BackUpSQLite(t, s.path("state", "entry.db"), s.path("old.db"))
	s.mustEntry("user", "disable", "bob")
	testkit.RestoreSQLite(t, s.path("state", "entry.db"), s.path("old.db"))
	proc := s.proc
	if code := proc.Wait(); code == 0 {
		t.Error("the server ended as if nothing had been")
	}
	if said := proc.Stderr.String(); !strings.Contains(said, "an older state was put back into it: start the server again") {
		t.Errorf("it said %q", said)
	}
	s.awaitEvent("alarm.file-gone", func(e event) bool { return e.Reason == "database" })
	s.serve()
	if c, err := s.dialAs("bob", ssh.PublicKeys(key)); err == nil {
		c.Close()
		t.Error("bob is back")
	}
	s.awaitEvent("alarm.database-behind", func(e event) bool { return e.User == "bob" })
	s.stop()
	s.mustEntry("audit", "verify")
}

// TestDatabasePutBackBesideAnotherServer: until the other server on a database that was put
// back starts, `entry check` names its log, while this one runs as well; its own start
// then says nothing of the first one's.
func TestDatabasePutBackBesideAnotherServer(t *testing.T) {
	beside(t)
	first, home := quickSite(t, recordAll())
	second := first.secondServer([]string{"alice", "bob"}, []string{home.Target(t, "home")}, recordAll())
	first.add("bob")
	first.stop()
	second.stop()
	first.keepDatabase("backup")
	first.serve()
	second.serve()
	second.mustEntry("user", "disable", "bob")
	first.stop()
	second.stop()
	first.putBack("backup")
	first.serve()
	const unheld = "and no server has held it since against the log"
	if r := first.entry("check"); r.Code != 0 || !strings.Contains(r.Stderr, unheld) {
		t.Errorf("check while the server runs: %s", r)
	}
	second.serve()
	if said := second.proc.Stderr.String(); strings.Contains(said, unheld) || !strings.Contains(said, "ALARM: the database was of") {
		t.Errorf("the second server says of the first, which has held its log against the database: %s", said)
	}
	if out := first.mustEntry("user", "show", "bob"); !strings.Contains(out, "disabled") {
		t.Errorf("bob is back: %s", out)
	}
	for _, s := range []*site{first, second} {
		if r := s.entry("check"); r.Code != 0 || strings.Contains(r.Stderr, "no server has held") {
			t.Errorf("once both have held theirs against it: %s", r)
		}
	}
}

// TestLogOlderThanItsDatabase: a log that was put back refuses the start and says
// what to do, also where no witness could tell.
func TestLogOlderThanItsDatabase(t *testing.T) {
	beside(t)
	s := initSite(t)
	s.configure(func(c map[string]any) { section(c, "audit")["witness"] = "" })
	s.setPolicy([]string{"alice"}, []string{`      home: {address: "127.0.0.1:1", host_keys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"], default_login: w}`}, recordAll())
	s.mustEntry("user", "add", "alice")
	if err := os.CopyFS(s.path("old"), os.DirFS(s.path("audit"))); err != nil {
		t.Fatal(err)
	}
	s.mustEntry("user", "disable", "alice")
	if err := os.RemoveAll(s.path("audit")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(s.path("old"), s.path("audit")); err != nil {
		t.Fatal(err)
	}
	for _, verb := range [][]string{{"check"}, {"serve"}, {"user", "enable", "alice"}} {
		r := s.entry(verb...)
		if r.Code == 0 || !strings.Contains(r.Stderr, "the audit log is older than the database: it has ") || !strings.Contains(r.Stderr, "put the newest copy of the log's directory back; where records are lost for good, an auditor signs that: entry audit accept-gap") {
			t.Errorf("%q: %s", verb, r)
		}
	}
}

// TestFurtherServerWithTheSameLogKey: a second server on a database, whose keys were
// copied from the first, log key included, is told what it needs, and not only of a log
// that was lost.
func TestFurtherServerWithTheSameLogKey(t *testing.T) {
	beside(t)
	s := initSite(t)
	s.mustEntry("user", "add", "alice")
	s.configure(func(c map[string]any) {
		section(c, "audit")["directory"], section(c, "audit")["witness"] = s.path("audit2"), s.path("witness2")
	})
	for _, verb := range []string{"check", "serve"} {
		if r := s.entry(verb); r.Code != 1 || !strings.Contains(r.Stderr, "if this is a further server on that database, it needs a log key and a name of its own: entry init --dir NEW --origin NAME makes them, keys/audit.key and keys/audit.pub there") {
			t.Errorf("%s: %s", verb, r)
		}
	}
	if r := testkit.Run(t, command(built, "init", "--dir", s.path("NEW"), "--origin", "second.example.org/log")); r.Code != 0 {
		t.Fatal(r)
	}
	s.configure(func(c map[string]any) {
		section(c, "audit")["key"], section(c, "audit")["public_key"] = s.path("NEW", "keys", "audit.key"), s.path("NEW", "keys", "audit.pub")
	})
	s.mustEntry("check")
	if out := s.mustEntry("user", "show", "alice"); !strings.Contains(out, "temporary passphrase until") {
		t.Errorf("%s", out)
	}
}

// TestDatabaseBesideAnotherTimesLog: an older entry.db under the write-ahead log that a
// crash left lets nobody back in: nothing starts, check and serve say what to do, and
// done so, what was taken away is taken away again.
func TestDatabaseBesideAnotherTimesLog(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, recordAll())
	bob := s.enrolled("bob")
	s.stop()
	s.keepDatabase("backup")
	s.serve()
	s.mustEntry("user", "disable", "bob")
	s.stop()
	s.serve() // it notes the log's position, and nothing of accounts
	s.proc.Signal(syscall.SIGKILL)
	s.proc.Wait()
	if err := os.WriteFile(s.path("state", "entry.db"), []byte(testkit.ReadFile(t, s.path("backup", "entry.db"))), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, verb := range [][]string{{"check"}, {"serve"}, {"user", "enable", "bob"}, {"serve"}} {
		r := s.entry(verb...)
		if r.Code != 1 || !strings.Contains(r.Stderr, "the database isn't whole") || !strings.Contains(r.Stderr, "hint: remove entry.db-wal and entry.db-shm, and put a whole copy of entry.db back") {
			t.Errorf("%q: %s", verb, r)
		}
	}
	s.putBack("backup")
	s.serve()
	if c, err := s.dial(bob); err == nil {
		c.Close()
		t.Error("bob is back")
	}
	s.logs(`ALARM: bob: any login \(disabled\)`)
	s.stop()
}
