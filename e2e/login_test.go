package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"entry/e2e/testkit"
)

// mistakes lets p answer the prompts of one login with the given answers, in
// order; after the last one p gives up.
func (p *person) mistakes(answers ...string) {
	p.answering(func(string) (string, bool) {
		if len(answers) == 0 {
			return "", false
		}
		next := answers[0]
		answers = answers[1:]
		return next, true
	})
}

func TestNobodyGetsInUnasked(t *testing.T) {
	beside(t)
	s, home := quickSite(t, recordAll())
	alice := s.enrolled("alice")
	c := s.client(alice)
	for name, options := range map[string][]string{
		"none":                   {"-o", "PreferredAuthentications=none"},
		"batch":                  {"-o", "BatchMode=yes"},
		"password":               {"-o", "PreferredAuthentications=password"},
		"unknown key":            {"-o", "PreferredAuthentications=publickey", "-i", unknownKey(t)},
		"hostbased":              {"-o", "PreferredAuthentications=hostbased"},
		"gssapi":                 {"-o", "PreferredAuthentications=gssapi-with-mic"},
		"none for alice+home":    {"-o", "PreferredAuthentications=none", "-l", "alice+home"},
		"none for nobody":        {"-o", "PreferredAuthentications=none", "-l", "mallory"},
		"none, no session":       {"-o", "PreferredAuthentications=none", "-N"},
		"batch, as a jump":       {"-o", "BatchMode=yes", "-W", "home:22"},
		"batch with a forward":   {"-o", "BatchMode=yes", "-N", "-L", fmt.Sprintf("127.0.0.1:%d:home:22", testkit.FreePort(t))},
		"batch with a user's -R": {"-o", "BatchMode=yes", "-N", "-R", "127.0.0.1:0:127.0.0.1:1"},
	} {
		t.Run(name, func(t *testing.T) {
			alice.asked()
			r := testkit.Run(t, c.ssh(append(slices.Clone(options), "entry")...))
			if r.Code != 255 || r.Stdout != "" || !strings.Contains(r.Stderr, "Permission denied") {
				t.Errorf("%s", r)
			}
			if asked := alice.asked(); len(asked) != 0 && !strings.Contains(name, "key") {
				t.Errorf("asked %q", asked)
			}
		})
	}
	// The whole jump with these options in the configuration file, as a script
	// would have them.
	c.appendConfig("Match all", "    BatchMode yes")
	if r := testkit.Run(t, c.exec("echo in")); r.Code != 255 || r.Stdout != "" {
		t.Errorf("jump in batch mode: %s", r)
	}
	// Names that no stock client would send.
	for _, name := range []string{"", "a/../b;$(id)", "alice+", "+home", "alice+home+home", "alice\x00", "ALICE", strings.Repeat("a", 5000)} {
		if c, err := s.dialAs(name); err == nil {
			c.Close()
			t.Errorf("%q is in", testkit.Clip(name))
		}
	}
	if n := home.Logins(); n != 0 {
		t.Errorf("%d logins at home", n)
	}
	if in := s.events("session.started"); len(in) != 0 {
		t.Errorf("sessions: %+v", in)
	}
}

func unknownKey(t testing.TB) string {
	t.Helper()
	path := testkit.ShortDir(t) + "/id"
	testkit.NewKeyFile(t, path)
	return path
}

func TestWrongAnswers(t *testing.T) {
	beside(t)
	s := initSite(t)
	home := s.startHome()
	names := []string{"alice", "bob", "carol", "dave", "erin", "frank"}
	s.setPolicy(names, []string{home.Target(t, "home")}, recordAll())
	s.serve()

	notAccepted := regexp.MustCompile(`Not accepted\. entry passphrase: $`)
	t.Run("wrong passphrase, then right with the same code, which is used up, and the next one", func(t *testing.T) {
		p := s.enrolled("alice")
		code := p.phone.code(t)
		p.mistakes("not my passphrase", code, p.passphrase, code, p.passphrase, p.phone.code(t))
		c, err := s.dial(p)
		if err != nil {
			t.Fatalf("%v: asked %q", err, p.asked())
		}
		defer c.Close()
		asked := p.asked()
		if len(asked) != 6 || !notAccepted.MatchString(asked[2]) || asked[4] != "Code already used, wait for the next one. entry passphrase: " {
			t.Errorf("asked %q", asked)
		}
	})
	t.Run("wrong code", func(t *testing.T) {
		p := s.enrolled("bob")
		p.mistakes(p.passphrase, p.phone.wrong(t), p.passphrase, p.phone.code(t))
		c, err := s.dial(p)
		if err != nil {
			t.Fatalf("%v: asked %q", err, p.asked())
		}
		defer c.Close()
		// The verdict is the same as for a wrong passphrase.
		if asked := p.asked(); len(asked) != 4 || !notAccepted.MatchString(asked[2]) {
			t.Errorf("asked %q", asked)
		}
	})
	t.Run("a code used before", func(t *testing.T) {
		p := s.enrolled("carol")
		c, err := s.dial(p)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for _, used := range []string{p.phone.used(t), p.phone.used(t)[:3] + " " + p.phone.used(t)[3:], " " + p.phone.used(t) + " "} {
			p.asked()
			p.mistakes(p.passphrase, used)
			if c, err := s.dial(p); err == nil {
				c.Close()
				t.Fatalf("code %q was accepted twice", used)
			}
			if asked := p.asked(); len(asked) != 3 || !strings.Contains(strings.ToLower(asked[2]), "already used, wait for the next one") {
				t.Errorf("asked %q", asked)
			}
		}
		// Only after a right passphrase.
		p.mistakes("guess", p.phone.used(t))
		if c, err := s.dial(p); err == nil {
			c.Close()
			t.Fatal("let in")
		}
		if asked := p.asked(); len(asked) != 3 || !notAccepted.MatchString(asked[2]) {
			t.Errorf("asked %q", asked)
		}
	})
	t.Run("three dialogues, then the connection closes", func(t *testing.T) {
		p := s.enrolled("dave")
		p.mistakes("a", "000000", "b", "000000", "c", "000000", "d", "000000", "e", "000000")
		w := s.client(p)
		r := testkit.Run(t, w.exec("echo in"))
		asked := p.asked()
		if r.Code != 255 || r.Stdout != "" {
			t.Errorf("%s", r)
		}
		if n := strings.Count(strings.Join(asked, "\n"), "passphrase: "); n != 3 {
			t.Errorf("%d dialogues: %q", n, asked)
		}
	})
	t.Run("unknown names look the same", func(t *testing.T) {
		p := s.enrolled("erin")
		nobody := &person{t: t, name: "mallory"}
		for _, who := range []*person{p, nobody} {
			who.mistakes("a wrong passphrase", "000000", "b", "000000")
			if c, err := s.dial(who); err == nil {
				c.Close()
				t.Fatal("let in")
			}
		}
		a, b := p.asked(), nobody.asked()
		if !slices.Equal(a, b) {
			t.Errorf("a known name sees %q, an unknown one %q", a, b)
		}
		e := s.awaitEvent("login.failed", func(e event) bool { return e.UserHash != "" })
		if strings.Contains(e.line, "mallory") {
			t.Errorf("an unknown name is logged in clear: %s", e.line)
		}
	})
	t.Run("an empty answer ends the dialogue", func(t *testing.T) {
		p := s.enrolled("frank")
		p.mistakes("", "", "", "", "", "")
		if c, err := s.dial(p); err == nil {
			c.Close()
			t.Fatal("let in")
		}
		if asked := p.asked(); len(asked) > 2 {
			t.Errorf("asked %q", asked)
		}
		s.awaitEvent("login.abandoned", func(e event) bool { return e.User == "frank" || e.UserHash != "" })
		for _, who := range []*person{p, {t: t, name: "mallory"}} {
			who.mistakes("", "")
			r := testkit.Run(t, s.client(who).exec("echo in"))
			if r.Code != 255 || !strings.Contains(r.Stderr, "entry: nothing was typed, so you are not logged in. If you don't have what is asked for, ask your lab's administrator.") {
				t.Errorf("%s: %s", who.name, r)
			}
		}
	})
	if n := home.Logins(); n != 0 {
		t.Errorf("%d logins at home", n)
	}
}

func TestExpiredTemporaryPassphrase(t *testing.T) {
	beside(t)
	s := initSite(t)
	home := s.startHome()
	s.setPolicy([]string{"alice"}, []string{home.Target(t, "home")}, recordAll())
	s.configure(func(c map[string]any) { section(c, "login")["temporary_passphrase"] = "1m" })
	s.serve()
	added := time.Now()
	alice := s.add("alice")
	if said := s.mustEntry("user", "show", "alice"); strings.Contains(said, "temporary passphrase expired") {
		t.Errorf("expired at once: %s", said)
	}
	// A minute is the least that entry.yaml accepts.
	testkit.EventuallyWithin(t, 90*time.Second, "the temporary passphrase expires", func() bool {
		return time.Since(added) > time.Minute && strings.Contains(s.mustEntry("user", "show", "alice"), "temporary passphrase expired")
	})
	alice.mistakes(alice.temporary, "123456")
	if c, err := s.dial(alice); err == nil {
		c.Close()
		t.Fatal("let in")
	}
	if asked := unbroken(alice.asked()); !regexp.MustCompile(`(?i)temporary passphrase expired on .*administrator`).MatchString(asked) {
		t.Errorf("asked %q", asked)
	}
	// A reset gives a new one, which expires as well: nothing else changes.
	if r := s.entry("user", "reset", "alice"); r.Code != 0 || strings.TrimSpace(r.Stdout) == alice.temporary {
		t.Errorf("reset: %s", r)
	}
	if r := s.entry("user", "reset", "nobody"); r.Code != 4 {
		t.Errorf("reset of nobody: %s", r)
	}
	if r := s.entry("user", "add", "alice"); r.Code != 1 {
		t.Errorf("adding alice twice: %s", r)
	}
	if r := s.entry("user", "add", "Not A Name"); r.Code != 2 {
		t.Errorf("adding a bad name: %s", r)
	}
}

func TestRecoveryCode(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, recordAll())
	alice := s.enrolled("alice")
	if len(alice.recovery) < 8 {
		t.Fatalf("recovery codes %q", alice.recovery)
	}
	code, old := alice.recovery[0], alice.phone
	first := true
	alice.answering(func(prompt string) (string, bool) {
		if first && askCode.MatchString(prompt) {
			first = false
			alice.phone = nil // the lost one
			return code, true
		}
		return alice.rightAnswer(prompt)
	})
	c, err := s.dial(alice)
	if err != nil {
		t.Fatalf("%v: asked %q", err, alice.asked())
	}
	defer c.Close()
	if alice.phone == nil || alice.phone.secret == old.secret {
		t.Error("a recovery code must lead to a new authenticator")
	}
	alice.asked()
	for _, used := range []string{code, old.code(t)} {
		alice.mistakes(alice.passphrase, used)
		if c, err := s.dial(alice); err == nil {
			c.Close()
			t.Errorf("%q was accepted after the recovery", used)
		}
	}
	s.awaitEvent("recovery.used", nil)
}

// TestOneCodeOnce races one right code over many connections.
func TestOneCodeOnce(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, recordAll())
	alice := s.enrolled("alice")
	code := alice.phone.code(t)
	const tries = 12
	var (
		all  sync.WaitGroup
		mu   sync.Mutex
		wins int
	)
	for range tries {
		all.Go(func() {
			p := &person{t: t, name: "alice"}
			p.mistakes(alice.passphrase, code)
			c, err := s.dial(p)
			if err != nil {
				return
			}
			mu.Lock()
			wins++
			mu.Unlock()
			c.Close()
		})
	}
	all.Wait()
	if wins != 1 {
		t.Errorf("one code let %d of %d connections in", wins, tries)
	}
	if n := len(s.events("login.succeeded")); n != 2 { // the enrolment and this
		t.Errorf("%d logins in the log, want 2", n)
	}
}

// TestLoginGrace: whoever doesn't answer is thrown out, and doesn't keep
// others from getting in.
func TestLoginGrace(t *testing.T) {
	beside(t)
	s := initSite(t)
	home := s.startHome()
	s.setPolicy([]string{"alice"}, []string{home.Target(t, "home")}, recordAll())
	grace := min(testkit.Bound(10*time.Second), 45*time.Second)
	s.configure(func(c map[string]any) { section(c, "login")["grace"] = grace.String() })
	s.serve()
	var silent []net.Conn
	for range 40 {
		c, err := net.Dial("tcp", s.addr())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		silent = append(silent, c)
	}
	began := time.Now()
	alice := s.enrolled("alice")
	if took := time.Since(began); took > grace-time.Second {
		t.Errorf("a login beside 40 silent connections took %s", took)
	}
	// This one begins the dialogue and then only sits there.
	over := make(chan struct{})
	alice.answering(func(string) (string, bool) {
		<-over
		return "", false
	})
	ended := make(chan error, 1)
	go func() {
		c, err := s.dial(alice)
		if err == nil {
			err = c.Close()
		}
		ended <- err
	}()
	s.awaitEvent("login.abandoned", func(e event) bool { return e.User == "" || e.User == "alice" })
	close(over)
	if err := <-ended; err == nil {
		t.Error("let in")
	}
	for _, c := range silent {
		if err := c.SetReadDeadline(testkit.Deadline(testkit.Soon)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal("a silent connection is still open")
		}
	}
}
