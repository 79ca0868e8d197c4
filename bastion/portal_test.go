package bastion_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/bastion"
	"entry/e2e/testkit"
)

// withHistory lets the portal read the site's log.
func withHistory(s **site) func(*bastion.Options) {
	return func(o *bastion.Options) {
		o.Config.Address = "entry.example.org:2222"
		o.History = func(context.Context, int) iter.Seq2[audit.Event, error] {
			return func(yield func(audit.Event, error) bool) {
				for _, e := range (*s).log.All() {
					if !yield(e, nil) {
						return
					}
				}
			}
		}
	}
}

// portalSite is a site whose policy has a web service and a closed machine too.
func portalSite(t *testing.T) *site {
	t.Helper()
	var s *site
	s = newSite(t, options{options: withHistory(&s), policy: func(s *site) string {
		return s.policyText(`      workbench: {kind: tcp, address: "127.0.0.1:1", ports: [8888]}
      desktop: {address: "127.0.0.1:1", host_keys: ["`+s.home.key()+`"]}
`, "") + `  - {name: web, who: {labs: [tinker]}, where: {targets: [workbench.tinker]}, may: [forward-local], record: metadata}
`
	}})
	return s
}

// session opens a portal session on c.
func (c *client) session() *ssh.Session {
	c.s.t.Helper()
	sess, err := (&ssh.Client{Conn: c.Conn}).NewSession()
	if err != nil {
		c.s.t.Fatal(err)
	}
	c.s.t.Cleanup(func() { sess.Close() })
	return sess
}

// verb runs one portal command without a terminal.
func (c *client) verb(stdin, command string) (stdout, stderr string, status int) {
	c.s.t.Helper()
	sess := c.session()
	var out, errs bytes.Buffer
	sess.Stdin, sess.Stdout, sess.Stderr = strings.NewReader(stdin), &out, &errs
	var err error
	testkit.Finishes(c.s.t, command, func() { err = sess.Run(command) })
	return out.String(), errs.String(), statusOf(c.s.t, err)
}

func statusOf(t testing.TB, err error) int {
	t.Helper()
	var exit *ssh.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitStatus()
	}
	t.Fatalf("no exit status: %v", err)
	return -1
}

// talk is a portal session at a terminal.
type talk struct {
	t    testing.TB
	sess *ssh.Session
	in   io.Writer

	seen testkit.Output
	from int // what await has gone past
}

// talk begins one; command "" is the portal's own prompt.
func (c *client) talk(command string) *talk {
	c.s.t.Helper()
	k := &talk{t: c.s.t, sess: c.session()}
	k.sess.Stdout, k.sess.Stderr = &k.seen, &k.seen
	k.in = testkit.Must(k.sess.StdinPipe())(c.s.t)
	testkit.Check(c.s.t, k.sess.RequestPty("xterm", 50, 200, ssh.TerminalModes{}))
	start := k.sess.Shell
	if command != "" {
		start = func() error { return k.sess.Start(command) }
	}
	testkit.Check(c.s.t, start())
	return k
}

// await waits for text that was not awaited before and returns what came up to
// its end.
func (k *talk) await(want string) string {
	k.t.Helper()
	got := ""
	if !testkit.Within(testkit.Soon, func() bool {
		rest := k.seen.String()[k.from:]
		i := strings.Index(rest, want)
		if i >= 0 {
			got = rest[:i+len(want)]
			k.from += len(got)
		}
		return i >= 0
	}) {
		k.t.Fatalf("no %q after %q", want, k.seen.String()[k.from:])
	}
	return got
}

func (k *talk) say(line string) {
	k.t.Helper()
	testkit.Must(io.WriteString(k.in, line+"\r"))(k.t)
}

func (k *talk) answer(prompt, line string) string {
	k.t.Helper()
	got := k.await(prompt)
	k.say(line)
	return got
}

// ends waits for the session's end and gives its exit status.
func (k *talk) ends() int {
	k.t.Helper()
	var err error
	testkit.Finishes(k.t, "the portal session", func() { err = k.sess.Wait() })
	return statusOf(k.t, err)
}

func TestPortalVerbs(t *testing.T) {
	t.Parallel()
	s := portalSite(t)
	c := s.login("alice")
	for _, x := range []struct {
		command string
		status  int
		out     []string // all in the standard output
		errs    []string // all in the standard error
	}{
		{"help", 0, []string{"ssh entry targets", "ssh entry enroll", "ssh entry doctor", "Exit status"}, nil},
		{"help keys", 0, []string{"ssh entry keys add [KEY]", "one-time code"}, nil},
		{"keys --help", 0, []string{"ssh entry keys forget NUMBER|FINGERPRINT|all"}, nil},
		{"home", 2, nil, []string{"entry: home.tinker is a machine, not a command here. From your own computer: ssh -J entry home\n"}},
		{"targest", 2, nil, []string{"entry: no such command; did you mean ssh entry targets? All: ssh entry help\n"}},
		{"devices", 2, nil, []string{"entry: no such command; did you mean ssh entry enroll? All: ssh entry help\n"}},
		{"Passphrase", 2, nil, []string{"did you mean ssh entry passwd?"}},
		{"status", 2, nil, []string{"did you mean ssh entry doctor?"}},
		{"where", 2, nil, []string{"did you mean ssh entry targets?"}},
		{"help devices", 4, nil, []string{"did you mean ssh entry enroll?"}},
		{"help telnet", 4, nil, []string{"no such command"}},
		{"frobnicate; rm -rf /", 2, nil, []string{"entry: no such command; try: ssh entry help"}},
		{"targets", 0, []string{"home.tinker", "ssh -J entry home", "ssh -N -L 8888:workbench:8888 entry", "desktop.tinker", "isn't open to you; ask your lab's administrator"}, nil},
		{"targets now", 2, nil, []string{"use: ssh entry targets"}},
		{"sessions", 0, []string{"No session of yours"}, nil},
		{"phone +46701234567", 1, nil, []string{"No SMS are sent here"}},
		{"config", 0, []string{"ssh entry config openssh", "ssh entry config browser", "entry.reg"}, nil},
		{"config opensh", 2, nil, []string{"no such file; did you mean ssh entry config openssh?"}},
		{"config telnet", 2, nil, []string{"use: ssh entry config"}},
		{"config openssh putty", 2, nil, []string{"use: ssh entry config"}},
		{"config openssh", 0, []string{"HostName entry.example.org\n    Port 2222\n    User alice", "Host home home.tinker", "    User worker", "ControlMaster auto"}, nil},
		{"config putty", 0, []string{"Windows Registry Editor Version 5.00\r\n", `"UserName"="worker"`}, nil},
		{"config winscp", 0, []string{"UserName=alice+home.tinker\r\n"}, nil},
		{"config mobaxterm", 0, []string{"[Bookmarks]\r\n"}, nil},
		{"config vscode", 0, []string{`"remote.SSH.connectTimeout": 120`}, nil},
		{"config browser", 0, []string{`["workbench","workbench.tinker"]`}, nil},
		{"enroll", 2, nil, []string{"use: ssh entry enroll [NAME]"}},
		{"enroll remove", 2, nil, []string{"use:"}},
		{"keys frob", 2, nil, []string{"use: ssh entry keys"}},
		{"passwd now", 2, nil, []string{"use: ssh entry passwd"}},
		{"recovery now", 2, nil, []string{"use: ssh entry recovery"}},
		{"doctor now", 2, nil, []string{"use: ssh entry doctor"}},
	} {
		out, errs, status := c.verb("", x.command)
		if status != x.status || len(x.out) == 0 && out != "" || len(x.errs) == 0 && errs != "" {
			t.Errorf("%s: status %d\nstdout %q\nstderr %q", x.command, status, out, errs)
		}
		for _, w := range x.out {
			if !strings.Contains(out, w) {
				t.Errorf("%s: no %q in %q", x.command, w, out)
			}
		}
		for _, w := range x.errs {
			if !strings.Contains(errs, w) {
				t.Errorf("%s: no %q in %q", x.command, w, errs)
			}
		}
	}
	if out, _, _ := c.verb("", "config known_hosts"); !strings.Contains(out, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(s.hostCA)))) || !strings.HasPrefix(out, "@cert-authority entry,") {
		t.Errorf("known_hosts: %q", out)
	}
}

func TestOwnSessionsAreListed(t *testing.T) {
	t.Parallel()
	s := portalSite(t)
	bob := s.login("bob")
	home := bob.jump("home")
	run(t, home, "say bob")
	home.Close()
	c := s.login("alice")
	home = c.jump("home")
	run(t, home, "say done")
	home.Close()
	s.log.Await(t, audit.SessionEnded, "")
	testkit.Eventually(t, "the session is over", func() bool { return len(s.server.Access().Sessions()) == 0 })
	out, _, status := c.verb("", "sessions")
	if status != 0 || strings.Count(out, "\n") != 1 || !strings.Contains(out, "home.tinker") || !strings.Contains(out, "ended") {
		t.Errorf("status %d: %q", status, out)
	}
	for _, e := range s.log.All(audit.SessionStarted) {
		if mine := e.User == "alice"; strings.Contains(out, e.Session) != mine {
			t.Errorf("session %s of %s in %q", e.Session, e.User, out)
		}
	}
	live := testkit.Must(c.jump("home").NewSession())(t)
	defer live.Close()
	testkit.Check(t, live.Start("wait"))
	testkit.Eventually(t, "a live session", func() bool {
		out, _, _ := c.verb("", "sessions")
		return strings.Contains(out, "live ")
	})
}

func TestPortalAtATerminal(t *testing.T) {
	t.Parallel()
	s := portalSite(t)
	c := s.login("alice")
	k := c.talk("")
	greeting := k.await("entry> ")
	for _, want := range []string{"logged in to entry as alice", "1. targets", "6. enroll", "home.tinker", "quit leaves"} {
		if !strings.Contains(greeting, want) {
			t.Errorf("no %q in %q", want, greeting)
		}
	}
	k.say("1")
	if got := k.await("entry> "); !strings.Contains(got, "ssh -J entry home") {
		t.Errorf("%q", got)
	}
	k.say("help config")
	if got := k.await("entry> "); !strings.Contains(got, "    config openssh|") {
		t.Errorf("in the shell commands have no ssh in front: %q", got)
	}
	k.say("nonsense")
	k.await("no such command; try: help")
	k.await("entry> ")
	k.answer("", "")
	k.await("entry> ")
	k.say("config putty")
	if got := k.await("entry> "); strings.Contains(got, "\r\r") || !strings.Contains(got, "Windows Registry") {
		t.Errorf("%q", got)
	}
	testkit.Check(t, k.sess.WindowChange(10, 40))
	k.say("quit")
	if status := k.ends(); status != 0 {
		t.Errorf("status %d", status)
	}
	// Readable for a screen reader: no cursor movement, no colour, no bell.
	for _, r := range k.seen.String() {
		if r < ' ' && r != '\r' && r != '\n' {
			t.Fatalf("control character %q in %q", r, k.seen.String())
		}
	}
	// Ctrl-C and Ctrl-D leave.
	for _, key := range []string{"\x03", "\x04"} {
		k := c.talk("")
		k.await("entry> ")
		testkit.Must(io.WriteString(k.in, key))(t)
		if status := k.ends(); status != 0 {
			t.Errorf("%q: status %d", key, status)
		}
	}
}

func TestPortalEndsWhenNobodyAnswers(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{options: func(o *bastion.Options) { o.PortalIdle = 100 * time.Millisecond }})
	c := s.login("alice")
	k := c.talk("")
	k.await("no answer for 100ms")
	if status := k.ends(); status != 1 {
		t.Errorf("status %d", status)
	}
	// Without a terminal, and with one that hangs up, alike.
	sess := c.session()
	var errs bytes.Buffer
	sess.Stderr = &errs
	testkit.Must(sess.StdinPipe())(t)
	var err error
	testkit.Finishes(t, "keys add", func() { err = sess.Run("keys add") })
	if statusOf(t, err) != 1 || !strings.Contains(errs.String(), "no answer") {
		t.Errorf("%v: %q", err, errs.String())
	}
}

func TestPortalInputIsBounded(t *testing.T) {
	t.Parallel()
	s := portalSite(t)
	c := s.login("alice")
	_, errs, status := c.verb(strings.Repeat("A", 100<<10), "keys add")
	if status != 1 {
		t.Errorf("status %d: %q", status, errs)
	}
	k := c.talk("")
	k.await("entry> ")
	// x/term stops taking characters; the line still ends.
	k.say(strings.Repeat("x", 20<<10))
	k.await("no such command")
	k.say("quit")
	if status := k.ends(); status != 0 {
		t.Errorf("status %d", status)
	}
	if out, errs, status := c.verb("-----BEGIN OPENSSH PRIVATE KEY-----\nx\n", "keys add"); status != 1 || out != "" || !strings.Contains(errs, "private key") {
		t.Errorf("status %d: %q", status, errs)
	}
}

// A client that goes away in the middle of a question leaves nothing behind;
// goleak looks at the end of all tests.
func TestPortalClientLeaves(t *testing.T) {
	t.Parallel()
	s := portalSite(t)
	c := s.login("alice")
	k := c.talk("keys add")
	k.await("Public key")
	testkit.Check(t, k.sess.Close())
	if out, _, status := c.verb("", "targets"); status != 0 || out == "" {
		t.Errorf("status %d", status)
	}
	k = c.talk("keys add")
	k.await("Public key")
	c.Close()
}

func TestPortalChangesNothingWithoutACode(t *testing.T) {
	t.Parallel()
	s := portalSite(t)
	c := s.login("alice")
	key := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(newKey().PublicKey())))
	before := len(s.log.All())
	for command, stdin := range map[string]string{
		"enroll tablet": "000000\n000000\n000000\n", "passwd": "000000\n000000\n000000\n", "recovery": "\n", "keys add " + key: "", "keys add": key + "\n",
	} {
		_, errs, status := c.verb(stdin, command)
		if status == 0 {
			t.Errorf("%s was done: %q", command, errs)
		}
	}
	for _, e := range s.log.All()[before:] {
		switch e.Type {
		case audit.AuthenticatorEnrolled, audit.PassphraseChanged, audit.RecoveryCreated, audit.KeyAdded:
			t.Errorf("%+v", e)
		}
	}
}

// What `config openssh` prints is what ssh reads.
func TestConfigIsReadByOpenSSH(t *testing.T) {
	t.Parallel()
	s := portalSite(t)
	out, _, _ := s.login("alice").verb("", "config openssh")
	path := filepath.Join(t.TempDir(), "entry.conf")
	testkit.Check(t, os.WriteFile(path, []byte(out), 0o600))
	got := string(testkit.Must(exec.Command("ssh", "-F", path, "-G", "home").Output())(t))
	for _, want := range []string{"hostname home.tinker\n", "user worker\n", "proxyjump entry\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %s", want, got)
		}
	}
}
