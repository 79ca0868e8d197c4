package bastion_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/bastion"
	"entry/bastion/identity"
	"entry/configs"
	"entry/e2e/testkit"
	"entry/e2e/testkit/logbook"
)

// prompter collects what a client is asked and gives up at once, or answers
// the code.
type prompter struct {
	s     *site
	user  string // whose code is answered; "" answers nothing
	asked []string
}

func (p *prompter) method() ssh.AuthMethod {
	return ssh.KeyboardInteractive(func(_, _ string, q []string, _ []bool) ([]string, error) {
		p.asked = append(p.asked, q...)
		out := make([]string, len(q))
		for i := range q {
			if p.user != "" && strings.HasSuffix(q[i], "one-time code: ") {
				out[i] = p.s.code(p.user)
			}
		}
		return out, nil
	})
}

// forged claims one key and signs with another, or not at all.
type forged struct {
	claims ssh.PublicKey
	signer ssh.Signer
}

func (f forged) PublicKey() ssh.PublicKey { return f.claims }
func (f forged) Sign(r io.Reader, data []byte) (*ssh.Signature, error) {
	if f.signer == nil {
		return nil, errors.New("no such private key here")
	}
	return f.signer.Sign(r, data)
}

// An offered key proves nothing: not to be its owner, and not the first factor.
func TestOfferedIsNotProven(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	alice, bob := enrolled.keys["alice"], enrolled.keys["bob"]
	login := func(user string, keys []ssh.Signer, answers string) (*prompter, error) {
		p := &prompter{s: s, user: answers}
		_, err := s.tryDial(&ssh.ClientConfig{User: user, HostKeyCallback: s.hostCheck(), Auth: []ssh.AuthMethod{ssh.PublicKeys(keys...), p.method()}})
		return p, err
	}
	for name, tt := range map[string]struct {
		user    string
		keys    []ssh.Signer
		answers string // whose code
		first   string // prompt
	}{
		"offered, not signed":            {"alice", []ssh.Signer{forged{claims: alice.PublicKey()}}, "alice", "entry passphrase: "},
		"another's key for my name":      {"bob", []ssh.Signer{alice}, "bob", "entry passphrase: "},
		"my key for another's name":      {"alice", []ssh.Signer{bob}, "alice", "entry passphrase: "},
		"another's offered, then my own": {"bob", []ssh.Signer{forged{claims: alice.PublicKey()}, alice, bob}, "alice", "entry one-time code: "},
		"no such user":                   {"nobody", []ssh.Signer{alice}, "alice", "entry passphrase: "},
	} {
		p, err := login(tt.user, tt.keys, tt.answers)
		if err == nil || len(p.asked) == 0 || p.asked[0] != tt.first {
			t.Errorf("%s: %v, asked %q", name, err, p.asked)
		}
	}
	if _, err := login("alice", []ssh.Signer{forged{claims: alice.PublicKey(), signer: bob}}, "alice"); err == nil {
		t.Error("a signature by another key is taken")
	}
	if got := s.log.All(audit.LoginSucceeded); len(got) != 0 {
		t.Fatalf("logged in: %+v", got)
	}
	// The same, rightly: A is offered, B proven.
	if _, err := login("bob", []ssh.Signer{forged{claims: alice.PublicKey()}, bob}, "bob"); err != nil {
		t.Error(err)
	}
	if e := s.log.Await(t, audit.LoginSucceeded, ""); e.User != "bob" || e.Key != ssh.FingerprintSHA256(bob.PublicKey()) {
		t.Errorf("%+v", e)
	}
}

func TestKeysThatAreNoFactor(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	cert := &ssh.Certificate{Key: enrolled.keys["alice"].PublicKey(), CertType: ssh.UserCert, ValidPrincipals: []string{"alice"}, ValidBefore: ssh.CertTimeInfinity}
	if err := cert.SignCert(zeros{}, enrolled.keys["alice"]); err != nil {
		t.Fatal(err)
	}
	signer := testkit.Must(ssh.NewCertSigner(cert, enrolled.keys["alice"]))(t)
	p := &prompter{s: s, user: "alice"}
	if _, err := s.tryDial(&ssh.ClientConfig{User: "alice", HostKeyCallback: s.hostCheck(), Auth: []ssh.AuthMethod{ssh.PublicKeys(signer), p.method()}}); err == nil || p.asked[0] != "entry passphrase: " {
		t.Errorf("a certificate: %v, asked %q", err, p.asked)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestNoMethodAlone(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	for name, methods := range map[string][]ssh.AuthMethod{
		"none":     nil,
		"password": {ssh.Password(passphrase)},
		"key":      {ssh.PublicKeys(enrolled.keys["alice"])},
		"silence":  {ssh.KeyboardInteractive(func(_, _ string, q []string, _ []bool) ([]string, error) { return make([]string, len(q)), nil })},
		"too many answers": {ssh.KeyboardInteractive(func(_, _ string, q []string, _ []bool) ([]string, error) {
			return make([]string, len(q)+1), nil
		})},
	} {
		for _, user := range []string{"alice", "alice+home", "nobody", "", "+", "+home"} {
			if _, err := s.tryDial(&ssh.ClientConfig{User: user, HostKeyCallback: s.hostCheck(), Auth: methods}); err == nil {
				t.Errorf("%s lets %q in", name, user)
			}
		}
	}
	if got := s.log.All(audit.LoginSucceeded, audit.SessionStarted); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

// People type passphrases where a name is asked for.
func TestUnknownNamesStandNowhereInClear(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	secret := "correct horse battery staple"
	for _, user := range []string{secret, secret + "+home", "alice+" + secret + "+home", strings.Repeat(secret, 500), "Alice", "alice ", "älice", "alice\x00"} {
		p := &prompter{s: s, user: "alice"}
		if _, err := s.tryDial(&ssh.ClientConfig{User: user, HostKeyCallback: s.hostCheck(), Auth: []ssh.AuthMethod{ssh.PublicKeys(enrolled.keys["alice"]), p.method()}}); err == nil {
			t.Errorf("%.40q gets in", user)
		}
	}
	events := s.log.All()
	if len(events) == 0 {
		t.Fatal("no events")
	}
	for _, e := range events {
		b := testkit.Must(json.Marshal(e))(t)
		if strings.Contains(string(b), "horse") || e.User != "" || e.UserHash == "" {
			t.Errorf("%s", b)
		}
	}
}

func TestTargetInTheName(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	direct := func(name string) *ssh.Client {
		c := s.login(name)
		return c.whole()
	}
	out, _, err := run(t, direct("alice+home"), "say hello")
	if out != "hello" || exitStatus(err) != 3 {
		t.Errorf("%q, %v", out, err)
	}
	if e := s.log.Await(t, audit.SessionStarted, ""); e.Conn != s.log.Await(t, audit.LoginSucceeded, "").Conn || e.Login != "worker" {
		t.Errorf("%+v", e)
	}
	for name, reason := range map[string]string{"alice+": "unknown-target", "alice+nowhere": "unknown-target", "alice+127.0.0.1": "unknown-target"} {
		_, said, err := run(t, direct(name), "say hello")
		if exitStatus(err) != 255 {
			t.Errorf("%s: %v", name, err)
		}
		e := s.refusedWith(t, strings.TrimSuffix(said, "\n"), audit.JumpRefused, reason)
		if e.Destination != strings.TrimPrefix(name, "alice+") {
			t.Errorf("%s: %+v", name, e)
		}
	}
	// Nothing else opens on such a connection than what home allows.
	c := s.login("alice+home")
	if _, err := c.open(jumpTo("home", 22)); err == nil {
		t.Error("a jump on a connection that leads to home already")
	}
}

func TestListenerOfOneTarget(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{bound: "home.tinker"})
	c := s.login("alice")
	if out, _, err := run(t, c.whole(), "say hello"); out != "hello" {
		t.Errorf("%q, %v", out, err)
	}
	if _, err := s.tryDial(s.config("alice+home")); err == nil {
		t.Error("a name with a target gets in by a listener that has one")
	}
}

// 500 sockets that say nothing, from one source: somebody else's login is as
// quick as ever.
func TestSlowSockets(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{options: func(o *bastion.Options) {
		o.Config.Limits.Startups, o.Config.Limits.PerSource = configs.Default().Limits.Startups, 8
	}})
	from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	var sockets []net.Conn
	defer func() {
		for _, nc := range sockets {
			nc.Close()
		}
	}()
	for range 500 {
		nc, err := from.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		sockets = append(sockets, nc)
		_, _ = nc.Write([]byte("S")) // entry may have closed it
	}
	began := time.Now()
	c := s.login("alice")
	if took := time.Since(began); took > testkit.Bound(2*time.Second) {
		t.Errorf("a login took %s", took)
	}
	c.Close()
	e := s.log.Await(t, audit.ConnectionRefused, "per-source")
	if !strings.HasPrefix(e.Source, "127.0.0.2:") {
		t.Errorf("%+v", e)
	}
	if n := len(s.log.All(audit.ConnectionRefused)); n > 3 {
		t.Errorf("%d events for one flood", n)
	}
}

// Who comes with keys alone that open nothing leaves one event a minute, with the name
// of an account or the hash of another, and what was offered.
func TestKeysThatOpenNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	try := func(user string, more ...ssh.AuthMethod) {
		t.Helper()
		stranger := testkit.Must(ssh.NewSignerFromKey(testkit.Must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)))(t)
		if _, err := s.tryDial(&ssh.ClientConfig{User: user, HostKeyCallback: s.hostCheck(), Auth: append([]ssh.AuthMethod{ssh.PublicKeys(stranger)}, more...)}); err == nil {
			t.Fatal("logged in")
		}
	}
	const why = identity.ReasonUnknownKey
	try("alice")
	e := s.log.Await(t, audit.LoginFailed, why)
	if e.User != "alice" || e.UserHash != "" || !strings.HasPrefix(e.Key, "SHA256:") || !strings.HasPrefix(e.Source, "127.0.0.1:") || e.Conn == "" || e.Detail != "1 key offered, the last of them noted" {
		t.Errorf("%+v", e)
	}
	for range 3 {
		try("alice")
	}
	if n := len(s.log.All(audit.LoginFailed)); n != 1 {
		t.Errorf("%d events in a minute", n)
	}
	var all []audit.Event
	for n := 1; n < 3; { // the server may be done with the last of them only once the minute is over
		s.clock.Advance(time.Minute)
		try("evelyn+home")
		testkit.Eventually(t, "one more event", func() bool { all = s.log.All(audit.LoginFailed); return len(all) > n })
		n = len(all)
	}
	if e := all[2]; e.User != "" || e.UserHash == "" || strings.Contains(fmt.Sprintf("%+v", all), "evelyn") || !strings.Contains(all[1].Detail, " such connections since the last such event") {
		t.Errorf("%+v", all)
	}
	s.clock.Advance(time.Minute)
	try("alice", (&prompter{s: s}).method()) // whose dialogue says more
	s.log.Await(t, audit.LoginAbandoned, "empty-answer")
	for _, e := range s.log.All(audit.LoginFailed)[len(all):] {
		if e.User == "alice" {
			t.Errorf("%+v", e)
		}
	}
}

// The grace ends a dialogue in the middle, and gives its place back.
func TestGrace(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{options: func(o *bastion.Options) { o.Config.Login.Grace, o.Config.Limits.PerSource = time.Second, 1 }})
	release := make(chan struct{})
	var once sync.Once
	_, err := s.tryDial(&ssh.ClientConfig{User: "alice", HostKeyCallback: s.hostCheck(), Auth: []ssh.AuthMethod{
		ssh.KeyboardInteractive(func(_, _ string, q []string, _ []bool) ([]string, error) {
			// Answered only once the connection is gone.
			go func() {
				s.log.Await(t, audit.LoginAbandoned, "no-answer")
				once.Do(func() { close(release) })
			}()
			<-release
			return make([]string, len(q)), nil
		})}})
	if err == nil {
		t.Fatal("logged in")
	}
	if e := s.log.Await(t, audit.LoginAbandoned, "no-answer"); e.User != "alice" || e.UserHash != "" {
		t.Errorf("alice left without an answer, and the log says %+v", e)
	}
	testkit.Eventually(t, "the place is given back", func() bool {
		c, err := s.tryDial(s.config("alice"))
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// A defect in one connection ends that connection, seals what it had begun,
// and shows nobody a stack.
func TestPanic(t *testing.T) {
	t.Parallel()
	for _, typ := range []audit.Type{audit.LoginSucceeded, audit.SessionStarted, audit.JumpRefused} {
		t.Run(string(typ), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, options{})
			var once sync.Once
			s.log.Before(func(e audit.Event) {
				if e.Type == typ {
					once.Do(func() { panic("a defect") })
				}
			})
			if c, err := s.tryDial(s.config("alice")); err == nil {
				if inner, err := c.inner("home", nil); err == nil {
					_, _, _ = run(t, inner, "say in")
				}
				_, _ = c.open(jumpTo("nowhere", 22))
				testkit.Finishes(t, "the connection's end", func() { _ = c.Wait() })
			}
			if out, _, err := run(t, s.login("alice").jump("home"), "say in"); out != "in" {
				t.Fatalf("afterwards: %q, %v", out, err)
			}
			testkit.Eventually(t, "one session is left", func() bool { return len(s.server.Access().Sessions()) <= 1 && s.home.open() <= 1 })
		})
	}
}

// Whatever can't be logged doesn't happen, and the user reads no internals.
func TestUnwritableLog(t *testing.T) {
	t.Parallel()
	for _, typ := range []audit.Type{audit.LoginSucceeded, audit.SessionStarted, audit.ChannelOpened, audit.ExecRequested} {
		t.Run(string(typ), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, options{})
			s.log.Refuse(func(e audit.Event) bool { return e.Type == typ })
			c, err := s.tryDial(s.config("alice"))
			if (err != nil) != (typ == audit.LoginSucceeded) {
				t.Fatal(err)
			}
			said := fmt.Sprint(err)
			if err == nil {
				inner, err := c.inner("home", nil)
				if err != nil {
					t.Fatal(err)
				}
				out, errs, err := run(t, inner, "say in")
				if out != "" || err == nil {
					t.Errorf("%q, %q, %v", out, errs, err)
				}
				said = errs
			}
			if strings.Contains(said, logbook.ErrFull.Error()) || strings.Contains(said, s.dir) {
				t.Errorf("the user is told %q", said)
			}
			testkit.Eventually(t, "nothing is left", func() bool { return len(s.server.Access().Sessions()) == 0 && s.home.open() == 0 })
		})
	}
}
