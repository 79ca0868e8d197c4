package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"entry/e2e/testkit"
)

// site is one installation of entry as an operator has it: a directory made by
// `entry init`, policy files, and the server.
type site struct {
	t    testing.TB
	dir  string
	port int
	proc *testkit.Program // nil while the server is down
}

// initSite makes the directory. Nothing runs yet.
func initSite(t testing.TB) *site {
	t.Helper()
	s := &site{t: t, dir: filepath.Join(testkit.ShortDir(t), "d"), port: testkit.FreePort(t)}
	if r := s.entry("init"); r.Code != 0 {
		t.Fatalf("entry init: %s", r)
	}
	s.configure(func(c map[string]any) {
		c["listeners"] = []any{map[string]any{"address": s.addr()}}
		// Everything runs on one loopback address here, like a lab behind one
		// NAT: the tests of the limits set their own.
		c["limits"] = map[string]any{"startups": "100:30:200", "per_source": 100, "events": "1000000:1000", "dial": patient(10*time.Second, 5*time.Minute)}
		c["login"] = map[string]any{"grace": patient(2*time.Minute, time.Hour)}
	})
	return s
}

// patient is a limit for a configuration: d, and longer on a busy machine, but
// no longer than entry.yaml accepts.
func patient(d, most time.Duration) string {
	return min(testkit.Bound(d), most).Round(time.Millisecond).String()
}

func (s *site) path(elem ...string) string {
	return filepath.Join(append([]string{s.dir}, elem...)...)
}

func (s *site) addr() string { return "127.0.0.1:" + strconv.Itoa(s.port) }

// entry runs one verb on this site's directory.
func (s *site) entry(args ...string) testkit.Result {
	s.t.Helper()
	return testkit.Run(s.t, command(built, append(args, "--dir", s.dir)...))
}

// mustEntry is entry for a verb that has to succeed; it gives its stdout.
func (s *site) mustEntry(args ...string) string {
	s.t.Helper()
	r := s.entry(args...)
	if r.Code != 0 {
		s.t.Fatalf("entry %s: %s", strings.Join(args, " "), r)
	}
	return r.Stdout
}

// configure edits entry.yaml as an operator would. Lost comments don't matter.
func (s *site) configure(edit func(c map[string]any)) {
	s.t.Helper()
	var c map[string]any
	if err := yaml.Unmarshal([]byte(testkit.ReadFile(s.t, s.path("entry.yaml"))), &c); err != nil {
		s.t.Fatal(err)
	}
	edit(c)
	out, err := yaml.Marshal(c)
	if err != nil {
		s.t.Fatal(err)
	}
	testkit.WriteFile(s.t, s.path("entry.yaml"), string(out))
}

// section gives a mapping of entry.yaml to edit, made if it isn't there.
func section(c map[string]any, name string) map[string]any {
	m, ok := c[name].(map[string]any)
	if !ok {
		m = map[string]any{}
		c[name] = m
	}
	return m
}

// setPolicy writes the only policy file: lab tinker with members, the given
// target lines and rules.
func (s *site) setPolicy(members []string, targets []string, rules ...string) {
	s.t.Helper()
	dir := s.path("policy.d")
	old, err := filepath.Glob(filepath.Join(dir, "*.y*ml"))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range old {
		if err := os.Remove(f); err != nil {
			s.t.Fatal(err)
		}
	}
	text := fmt.Sprintf("labs:\n  tinker:\n    members: [%s]\n    targets:\n%s\nrules:\n%s\n",
		strings.Join(members, ", "), strings.Join(targets, "\n"), strings.Join(rules, "\n"))
	testkit.WriteFile(s.t, filepath.Join(dir, "tinker.yaml"), text)
}

// startHome starts the lab's home machine, which trusts this site's user CA.
func (s *site) startHome(extra ...string) *testkit.SSHD {
	s.t.Helper()
	return testkit.StartSSHD(s.t, testkit.SSHDOptions{UserCA: s.path("keys", "user_ca.pub"), Extra: extra})
}

// serve starts the server and waits until it takes connections.
func (s *site) serve() {
	s.t.Helper()
	p := testkit.Start(s.t, "entry serve", command(built, "serve", "--config", s.path("entry.yaml")))
	s.proc = p
	s.t.Cleanup(func() {
		// One connection's panic doesn't end the server, but it is never fine;
		// a data race is reported when the run builds with -race.
		if m := regexp.MustCompile(`panic|DATA RACE`).FindString(p.Stderr.String()); m != "" {
			s.t.Errorf("the server's log has %q", m)
		}
	})
	s.awaitReady()
}

// logs waits for the server's own log to say it: what it does may be seen before that.
func (s *site) logs(pattern string) {
	s.t.Helper()
	s.proc.WaitFor(regexp.MustCompile(pattern))
}

func (s *site) awaitReady() {
	s.t.Helper()
	s.proc.WaitFor(regexp.MustCompile(`(?m)^ready`))
}

// stop ends the server as a service manager does and wants a clean exit.
func (s *site) stop() {
	s.t.Helper()
	s.proc.Signal(syscall.SIGTERM)
	if code := s.proc.Wait(); code != 0 {
		s.t.Fatalf("entry serve ended with %d after SIGTERM\n%s", code, testkit.Tail(s.proc.Stderr.String()))
	}
	s.proc = nil
}

// quickSite is a running site with one home machine, for members alice and
// bob, under the given rules.
func quickSite(t testing.TB, rules ...string) (*site, *testkit.SSHD) {
	t.Helper()
	s := initSite(t)
	home := s.startHome()
	s.setPolicy([]string{"alice", "bob"}, []string{home.Target(t, "home")}, rules...)
	s.serve()
	return s, home
}

// add makes an account, which has a temporary passphrase and nothing else.
func (s *site) add(name string) *person {
	s.t.Helper()
	temporary := strings.TrimSpace(s.mustEntry("user", "add", name))
	if len(temporary) < 16 || strings.ContainsAny(temporary, " \n") {
		s.t.Fatalf("user add prints %q, which is no passphrase", temporary)
	}
	return &person{t: s.t, name: name, temporary: temporary}
}

// enrolled makes an account whose owner has been through the first login.
func (s *site) enrolled(name string) *person {
	s.t.Helper()
	p := s.add(name)
	c, err := s.dial(p)
	if err != nil {
		s.t.Fatalf("first login of %s: %v (asked %q)", name, err, p.asked())
	}
	if err := c.Close(); err != nil {
		s.t.Fatal(err)
	}
	if p.phone == nil || p.passphrase == "" {
		s.t.Fatalf("first login of %s didn't enrol: asked %q", name, p.asked())
	}
	p.asked()
	return p
}

// event is one line of the audit log; only what the tests look at.
type event struct {
	Seq        uint64
	Time       time.Time
	Type       string
	Ref        string
	Conn       string
	Session    string
	User       string
	UserHash   string `json:"user_hash"`
	Target     string
	Login      string
	Method     string
	Key        string
	Policy     string
	Rule       string
	Capability string
	Program    string
	Dest       string `json:"destination"`
	Reason     string
	Detail     string
	Exit       *int
	Recording  *struct {
		ID       string
		Segments uint32
	}
	line string
}

// events reads the audit log, of all types or the given ones.
func (s *site) events(types ...string) []event {
	s.t.Helper()
	var out []event
	files, err := filepath.Glob(s.path("audit", "events-*.jsonl")) // a day or more before
	testkit.Check(s.t, err)
	all := ""
	for _, f := range append(files, s.path("audit", "events.jsonl")) {
		all += testkit.ReadFile(s.t, f)
	}
	for line := range strings.Lines(all) {
		if !strings.HasSuffix(line, "\n") {
			break // being written right now
		}
		e := event{line: line}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			s.t.Fatalf("event %q: %v", line, err)
		}
		if len(types) == 0 || slices.Contains(types, e.Type) {
			out = append(out, e)
		}
	}
	return out
}

// acknowledged are the events that the log's checkpoint covers: what is written behind
// them may still be taken back.
func (s *site) acknowledged() []event {
	s.t.Helper()
	lines := strings.Split(testkit.ReadFile(s.t, s.path("audit", "checkpoint")), "\n") // before the events
	if len(lines) < 3 {
		s.t.Fatalf("the checkpoint is %q", lines)
	}
	n, err := strconv.Atoi(lines[1])
	testkit.Check(s.t, err)
	all := s.events()
	if len(all) < n {
		s.t.Fatalf("%d events, of which %d are signed", len(all), n)
	}
	return all[:n]
}

// awaitEvent waits for an event of that type for which match holds.
func (s *site) awaitEvent(kind string, match func(event) bool) event {
	s.t.Helper()
	var found event
	ok := testkit.Within(testkit.Soon, func() bool {
		for _, e := range s.events(kind) {
			if match == nil || match(e) {
				found = e
				return true
			}
		}
		return false
	})
	if !ok {
		var all []string
		for _, e := range s.events() {
			all = append(all, e.line)
		}
		s.t.Fatalf("no matching event %s in\n%s", kind, strings.Join(all, ""))
	}
	return found
}

// recorded is a line of `entry sessions ls --json`.
type recorded struct {
	ID, User, Target, State string
	Start                   time.Time
	End                     *time.Time
}

// sessions lists the recordings, oldest first.
func (s *site) sessions() []recorded {
	s.t.Helper()
	all := decodeLines[recorded](s.t, s.mustEntry("sessions", "ls", "--json"))
	slices.Reverse(all)
	return all
}

func decodeLines[T any](t testing.TB, text string) []T {
	t.Helper()
	var out []T
	for line := range strings.Lines(text) {
		var v T
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		out = append(out, v)
	}
	return out
}

// awaitSessions waits until there are n recordings and each has ended.
func (s *site) awaitSessions(n int) []recorded {
	s.t.Helper()
	var all []recorded
	ok := testkit.Within(testkit.Soon, func() bool {
		all = s.sessions()
		return len(all) == n && !slices.ContainsFunc(all, func(r recorded) bool { return r.State == "live" })
	})
	if !ok {
		s.t.Fatalf("want %d ended sessions, have %+v", n, all)
	}
	return all
}

// export gives one recording in the given format, opened by the auditor's key.
func (s *site) export(id, format string) string {
	s.t.Helper()
	return s.mustEntry("sessions", "export", id, "--format", format, "--identity", s.path("auditor.key"))
}

// exportAll joins the text of all channels of a recording that have output.
func (s *site) exportAll(id string) string {
	s.t.Helper()
	var shown struct {
		Channels []struct {
			Number uint32 `json:"channel"`
		}
	}
	if err := json.Unmarshal([]byte(s.mustEntry("sessions", "show", id, "--json", "--identity", s.path("auditor.key"))), &shown); err != nil {
		s.t.Fatal(err)
	}
	var b strings.Builder
	for _, c := range shown.Channels {
		b.WriteString(s.mustEntry("sessions", "export", id, "--format", "text", "--channel", fmt.Sprint(c.Number), "--identity", s.path("auditor.key")))
	}
	return b.String()
}
