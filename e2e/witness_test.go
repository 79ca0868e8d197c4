package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"entry/audit"
	"entry/e2e/testkit"
)

// oneWitness is a witness's process, started again where it was.
type oneWitness struct {
	s        *site
	dir, key string
	port     int
	proc     *testkit.Program
}

// newWitness makes a witness that knows the site's log, and starts it.
func (s *site) newWitness(name string) *oneWitness {
	s.t.Helper()
	w := &oneWitness{s: s, dir: filepath.Join(testkit.ShortDir(s.t), name), port: testkit.FreePort(s.t)}
	out := testkit.MustRun(s.t, command(built, "audit", "witness", "init", w.dir, "--name", name+".example")).Stdout
	m := regexp.MustCompile(`(?m)^      key: (\S+)$`).FindStringSubmatch(out)
	if m == nil {
		s.t.Fatalf("init prints no key: %q", out)
	}
	w.key = m[1]
	testkit.WriteFile(s.t, filepath.Join(w.dir, "logs"), testkit.ReadFile(s.t, s.path("keys", "audit.pub")))
	w.start()
	return w
}

func (w *oneWitness) url() string { return fmt.Sprint("http://127.0.0.1:", w.port) }

func (w *oneWitness) start() {
	w.s.t.Helper()
	w.proc = testkit.Start(w.s.t, "entry audit witness", command(built, "audit", "witness", w.dir, "--listen", fmt.Sprint("127.0.0.1:", w.port)))
	w.proc.WaitFor(regexp.MustCompile(`(?m)^ready 127\.0\.0\.1:\d+ ` + regexp.QuoteMeta(w.key) + `$`))
}

// TestWitnesses: two witnesses elsewhere cosign a server's log. One that is killed is an
// alarm, nobody is refused, and it has all of the log once it is back. What they have
// cosigned is found out to be taken away, by a start, where all of the machine is put
// back to an older state, and to be changed, by verify and by the witness itself, where
// a session is dropped and the log signed again with its own key.
func TestWitnesses(t *testing.T) {
	beside(t)
	s := initSite(t)
	w1, w2 := s.newWitness("w1"), s.newWitness("w2")
	s.configure(func(c map[string]any) {
		a := section(c, "audit")
		a["witnesses"] = []any{map[string]any{"url": w1.url(), "key": w1.key}, map[string]any{"url": w2.url(), "key": w2.key}}
		a["within"], a["need"] = "200ms", 2
	})
	home := s.startHome()
	s.setPolicy([]string{"alice", "bob"}, []string{home.Target(t, "home")}, recordAll())
	s.serve()
	alice := s.enrolled("alice")
	reached := regexp.MustCompile(`^(\d+) events consistent; no witness: .*; its checkpoints agree up to seq (\d+) .*\nwitnessed up to seq (\d+) by w1\.example \(.*\)\nwitnessed up to seq (\d+) by w2\.example \(.*\)\n`)
	covered := func() bool { // all of it, by both
		m := reached.FindStringSubmatch(s.entry("audit", "verify").Stdout)
		return m != nil && m[3] == m[1] && m[4] == m[1]
	}
	testkit.Eventually(t, "both cosign the whole log", covered)

	w2.proc.Kill()
	c := s.client(alice)
	if r := testkit.Run(t, c.exec("echo recorded")); r.Code != 0 {
		t.Fatalf("a session while a witness is down: %s", r)
	}
	e := s.awaitEvent("alarm.witness", nil)
	if !strings.Contains(e.line, `"reason":"unreachable"`) || !strings.Contains(e.line, "w2.example") {
		t.Errorf("the alarm is %s", e.line)
	}
	w2.start()
	s.awaitEvent("alarm.witness", func(e event) bool { return strings.Contains(e.line, `"reason":"well"`) })
	testkit.Eventually(t, "both cosign the whole log again", covered)
	if n := len(s.events("alarm.witness")); n != 2 {
		t.Errorf("%d alarms, want one and its end", n)
	}
	s.awaitSessions(1)
	s.stop()
	if !covered() {
		t.Errorf("what a server writes last isn't covered: %s", s.entry("audit", "verify"))
	}

	backup := filepath.Join(testkit.ShortDir(t), "d")
	testkit.MustRun(t, command("cp", "-a", s.dir, backup))
	s.serve()
	s.mustEntry("user", "add", "bob")
	testkit.Eventually(t, "both cosign what comes later", covered)
	s.proc.Signal(syscall.SIGKILL)
	s.proc.Wait()
	newest := filepath.Join(testkit.ShortDir(t), "d")
	testkit.MustRun(t, command("mv", s.dir, newest))
	testkit.MustRun(t, command("cp", "-a", backup, s.dir))
	if r := s.entry("audit", "verify"); r.Code != 0 {
		t.Errorf("all was put back, which its files can't tell: %s", r)
	}
	const old = "the witness w1.example has cosigned more records than the log has: the log was put back to an older state"
	for _, verb := range []string{"check", "serve"} {
		if r := s.entry(verb); r.Code != 1 || !strings.Contains(r.Stderr, old) || !strings.Contains(r.Stderr, "hint: ") {
			t.Errorf("%s, after all was put back: %s", verb, r)
		}
	}
	size := len(testkit.ReadFile(t, s.path("audit", "events.jsonl")))
	if r := s.entry("user", "disable", "alice"); r.Code != 1 || !strings.Contains(r.Stderr, old) || len(testkit.ReadFile(t, s.path("audit", "events.jsonl"))) != size {
		t.Errorf("an operator's verb, after all was put back: %s", r)
	}
	s.mustEntry("audit", "auditor-key", s.path("ada.key"))
	s.mustEntry("audit", "accept-gap", "--key", s.path("ada.key"), "--reason", "the disk was lost")
	known := strings.Count(testkit.ReadFile(t, filepath.Join(newest, "audit", "events.jsonl")), "\n")
	if r := s.entry("audit", "verify"); !strings.Contains(r.Stdout, fmt.Sprintf("after %d records of the log entry; accepted by", known)) {
		t.Errorf("a gap that only the witnesses know of: %s", r)
	}
	testkit.Check(t, os.RemoveAll(s.dir))
	testkit.MustRun(t, command("mv", newest, s.dir))
	s.serve()
	s.stop()

	id := s.sessions()[0].ID
	dropped := s.signAgain(func(e audit.Event) bool { return e.Session != id })
	files := []string{"audit", "verify", "--log", s.path("audit"), "--witness", s.path("witness"), "--public-key", s.path("keys", "audit.pub")}
	if r := testkit.Run(t, command(built, files...)); r.Code != 0 || dropped == 0 {
		t.Fatalf("%d records were dropped, and the log signed again: %s", dropped, r)
	}
	named := regexp.MustCompile(`^entry: events\.jsonl lines? \d+( to \d+: | is not the record that )the witness w1\.example cosigned.* and the log signed again\n`)
	if r := s.entry("audit", "verify"); r.Code != 1 || !strings.Contains(r.Stderr, "the audit log isn't the one that the database knows: its first ") {
		t.Errorf("a session was dropped, and the database is there: %s", r)
	}
	testkit.Check(t, os.Rename(s.path("state"), s.path("elsewhere")))
	for name, args := range map[string][]string{"by the key": append(files, "--witness", w1.key), "by the configuration": {"audit", "verify", "--dir", s.dir}} {
		if r := testkit.Run(t, command(built, args...)); r.Code != 1 || !named.MatchString(r.Stderr) {
			t.Errorf("a session was dropped, verified %s: %s", name, r)
		}
	}
	testkit.Check(t, os.Rename(s.path("elsewhere"), s.path("state")))
	testkit.Check(t, os.Remove(s.path("audit", "cosigned"))) // then the witness alone knows
	if r := testkit.Run(t, command(built, append(files, "--witness", w1.key)...)); r.Code != 1 || !strings.Contains(r.Stdout, "not witnessed by w1.example") {
		t.Errorf("without the cosignatures: %s", r)
	}
	if r := s.entry("check"); r.Code != 1 || !strings.Contains(r.Stderr, "the witness w1.example has cosigned") {
		t.Errorf("check, after a session was dropped: %s", r)
	}
}

// signAgain writes the log anew, with the events that keep says, as whoever has its key
// can, the directory of witnessed checkpoints too. It returns how many were left out.
func (s *site) signAgain(keep func(audit.Event) bool) (dropped int) {
	s.t.Helper()
	for _, d := range []string{"audit", "witness"} {
		testkit.Check(s.t, os.Rename(s.path(d), s.path("old-"+d)))
	}
	now := time.Now()
	l := testkit.Must(audit.Open(s.path("audit"), audit.Options{Key: testkit.Must(audit.ReadKey(s.path("keys", "audit.key")))(s.t),
		Witness: s.path("witness"), Now: func() time.Time { return now }}))(s.t)
	for e, err := range audit.Read(s.path("old-audit")) {
		testkit.Check(s.t, err)
		if now = e.Time; !keep(e) {
			dropped++
			continue
		}
		testkit.Check(s.t, l.Append(s.t.Context(), e))
	}
	for range dropped { // so that it is no shorter
		testkit.Check(s.t, l.Append(s.t.Context(), audit.Event{Type: audit.LoginFailed}))
	}
	testkit.Check(s.t, l.Close())
	testkit.MustRun(s.t, command("cp", "-a", s.path("old-audit", "cosigned"), s.path("audit", "cosigned")))
	return dropped
}
