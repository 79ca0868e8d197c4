package bastion

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/bastion/ca"
	"entry/bastion/identity"
	"entry/configs"
	"entry/e2e/testkit"
	"entry/e2e/testkit/wire"
	"entry/session/group"
)

// A socket that says nothing, or a byte a second, is gone when the key
// exchange's time is over, not the whole login's.
func TestKeyExchangeGrace(t *testing.T) {
	for name, every := range map[string]time.Duration{"silent": 0, "a byte a second": time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &Server{cfg: &configs.Config{Login: configs.Login{Grace: 120 * time.Second}}, now: time.Now}
				near, far := net.Pipe()
				var peer sync.WaitGroup
				defer func() { far.Close(); peer.Wait() }()
				peer.Add(2)
				go func() { // takes entry's version
					defer peer.Done()
					b := make([]byte, 1024)
					for {
						if _, err := far.Read(b); err != nil {
							return
						}
					}
				}()
				go func() {
					defer peer.Done()
					if every == 0 {
						return
					}
					for _, b := range []byte("SSH-2.0-" + string(make([]byte, 240))) {
						if _, err := far.Write([]byte{b}); err != nil {
							return
						}
						time.Sleep(every) // in the bubble's time
					}
				}()
				began := time.Now()
				c, err := s.authenticate(group.New(context.Background(), nil), near, "id", netip.MustParseAddrPort("127.0.0.1:1"), "", (&ticket{a: newAdmission(configs.Default().Limits.Startups, 8, time.Now)}))
				if c != nil || err == nil {
					t.Fatal("authenticated")
				}
				if took := time.Since(began); took != kexGrace {
					t.Errorf("it took %s", took)
				}
			})
		})
	}
}

// Who is asked about the host key may look its fingerprint up: the login's time begins when
// the client has the key.
func TestReadingTheFingerprint(t *testing.T) {
	authority := testkit.Must(ca.GenerateFile(filepath.Join(t.TempDir(), "ca"), ""))(t)
	for name, c := range map[string]struct{ reads, took time.Duration }{
		"for as long as the login may take": {100 * time.Second, 100 * time.Second},
		"for ever":                          {time.Hour, 120 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				keys := testkit.Must(ca.OpenHostKeys(ca.HostKeysOptions{Dir: dir, CA: testkit.Must(ca.NewHostCA(authority))(t), Now: time.Now}))(t)
				defer keys.Close()
				s := &Server{cfg: &configs.Config{Name: "entry", Login: configs.Login{Grace: 120 * time.Second}}, now: time.Now, o: Options{HostKeys: keys}}
				near, far := wire.Pipe()
				var peer sync.WaitGroup
				defer peer.Wait()
				no := errors.New("that isn't it")
				peer.Go(func() {
					_, _, _, err := ssh.NewClientConn(far, "entry:22", &ssh.ClientConfig{HostKeyCallback: func(string, net.Addr, ssh.PublicKey) error {
						time.Sleep(c.reads) // in the bubble's time
						return no
					}})
					if err == nil {
						t.Error("in")
					}
				})
				began := time.Now()
				g := group.New(context.Background(), nil)
				l, err := s.authenticate(g, near, "id", netip.MustParseAddrPort("127.0.0.1:1"), "", &ticket{a: newAdmission(configs.Default().Limits.Startups, 8, time.Now)})
				if l != nil || err == nil {
					t.Fatal("authenticated")
				}
				if took := time.Since(began); took != c.took {
					t.Errorf("it took %s", took)
				}
				g.Wait()
			})
		})
	}
}

// The time for enrolment counts from when a right temporary passphrase opened
// it, once, and no timer outlives the login.
func TestEnrolmentGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{cfg: &configs.Config{Login: configs.Login{Grace: 120 * time.Second, EnrolmentGrace: 10 * time.Minute}}, admission: newAdmission(configs.Default().Limits.Startups, 8, time.Now)}
		tk, _ := s.admission.enter(context.Background(), netip.MustParseAddr("127.0.0.1"), func() {})
		near, far := net.Pipe()
		defer far.Close()
		l := &login{s: s, ctx: context.Background(), group: group.New(context.Background(), nil), conn: near, state: identity.NewConnState(), ticket: tk}
		l.begin("alice")
		time.Sleep(100 * time.Second)
		l.grace(s.cfg.Login.EnrolmentGrace)
		closed := make(chan time.Time)
		began := time.Now()
		go func() {
			_, _ = far.Read(make([]byte, 1))
			closed <- time.Now()
		}()
		if at := <-closed; at.Sub(began) != 10*time.Minute {
			t.Errorf("closed after %s", at.Sub(began))
		}
		l.grace(time.Hour)
		l.endGrace()
		l.grace(time.Hour) // after the end it begins nothing
		if l.timer.Stop() {
			t.Error("a timer is left")
		}
	})
}
