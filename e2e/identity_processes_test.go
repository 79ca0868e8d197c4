package e2e

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/e2e/testkit"
)

// secondServer is another `entry serve` on the accounts and keys of s, with an
// audit log, a spool and an admin socket of its own.
func (s *site) secondServer(members []string, targets []string, rules ...string) *site {
	s.t.Helper()
	other := initSite(s.t)
	other.configure(func(c map[string]any) {
		section(c, "database")["sqlite"] = s.path("state", "entry.db")
		keys := section(c, "keys")
		keys["secret"] = s.path("keys", "secret")
		keys["directory"] = s.path("keys", "hosts")
		keys["host_ca"] = map[string]any{"file": s.path("keys", "host_ca")}
		keys["user_ca"] = map[string]any{"file": s.path("keys", "user_ca")}
	})
	testkit.WriteFile(s.t, other.path("keys", "host_ca.pub"), testkit.ReadFile(s.t, s.path("keys", "host_ca.pub")))
	other.setPolicy(members, targets, rules...)
	other.serve()
	return other
}

// source is the nth loopback address for somebody elsewhere.
func source(n int) string { return fmt.Sprintf("127.%d.%d.%d", 1+n/62500, 1+n/250%250, 1+n%250) }

// TestSoakOneCodeOnceOverTwoServers: one right code, given over 1,000 connections (200 in short)
// from as many addresses to two server processes on one database, lets one of
// them in. All tries are open, and past the passphrase, before any gives it.
func TestSoakOneCodeOnceOverTwoServers(t *testing.T) {
	alone(t)
	tries := testkit.Long(200, 1000)
	first := initSite(t)
	home := first.startHome()
	wide := func(c map[string]any) {
		c["limits"] = map[string]any{"startups": fmt.Sprintf("%d:30:%d", 2*tries, 2*tries), "per_source": 100}
	}
	first.configure(wide)
	first.setPolicy([]string{"alice"}, []string{home.Target(t, "home")}, recordAll())
	first.serve()
	second := first.secondServer([]string{"alice"}, []string{home.Target(t, "home")}, recordAll())
	second.stop()
	second.configure(wide)
	second.serve()

	alice := first.enrolled("alice")
	// What is changed here holds there: the account is one.
	conn, err := second.dial(alice)
	if err != nil {
		t.Fatalf("the second server doesn't know alice: %v (asked %q)", err, alice.asked())
	}
	conn.Close()

	code := alice.phone.code(t)
	var (
		all, ready    sync.WaitGroup
		giveCode      = make(chan struct{})
		wins, refused atomic.Int64
		broken        atomic.Int64
		why           sync.Map
	)
	ready.Add(tries)
	slots := make(chan struct{}, 50) // handshakes at a time: two cores do them all
	for i := range tries {
		all.Go(func() {
			server := first
			if i%2 == 1 {
				server = second
			}
			atCode := sync.OnceFunc(ready.Done)
			defer atCode()
			slots <- struct{}{}
			free := sync.OnceFunc(func() { <-slots })
			defer free()
			asked := 0
			p := &person{t: t, name: "alice"}
			p.answering(func(prompt string) (string, bool) {
				asked++
				switch {
				case asked == 1 && askPassphrase.MatchString(prompt):
					return alice.passphrase, true
				case asked == 2 && askCode.MatchString(prompt):
					free()
					atCode()
					<-giveCode
					return code, true
				}
				return "", false
			})
			c, err := server.dialFrom(source(i), p)
			switch {
			case err == nil:
				wins.Add(1)
				c.Close()
			case asked >= 2:
				refused.Add(1)
			default:
				broken.Add(1)
				why.Store(err.Error(), true)
			}
		})
	}
	ready.Wait()
	began := time.Now()
	close(giveCode)
	all.Wait()
	t.Logf("%d tries against two processes: %d in, %d refused, %d never asked, in %s", tries, wins.Load(), refused.Load(), broken.Load(), time.Since(began).Round(time.Millisecond))
	if broken.Load() > 0 {
		why.Range(func(k, _ any) bool { t.Errorf("a connection ended before it was asked: %v", k); return true })
	}
	if wins.Load() != 1 || refused.Load() != int64(tries)-1 {
		reasons := map[string]int{}
		for _, s := range []*site{first, second} {
			for _, e := range s.events("login.failed") {
				reasons[e.Reason]++
			}
		}
		t.Errorf("one code let %d of %d in; refused for %v", wins.Load(), tries, reasons)
	}
	n := 0
	for _, s := range []*site{first, second} {
		for _, e := range s.events("login.succeeded") {
			if e.Method == "passphrase+otp" {
				n++
			}
		}
		s.mustEntry("audit", "verify")
	}
	if n != 2 { // the one before, and this
		t.Errorf("%d logins by code in the two logs, want 2", n)
	}
}

// TestTwoServersShareWhatCounts: a lock that one server's failures led to holds
// at the other, and a key remembered at one needs no code at the other.
func TestTwoServersShareWhatCounts(t *testing.T) {
	beside(t)
	first, home := quickSite(t, recordAll())
	second := first.secondServer([]string{"alice", "bob"}, []string{home.Target(t, "home")}, recordAll())
	alice := first.enrolled("alice")

	for i := range 3 {
		p := &person{t: t, name: "alice"}
		p.mistakes("guess 1", "000000", "guess 2", "000001", "guess 3", "000002", "")
		server := first
		if i == 1 {
			server = second
		}
		if c, err := server.dialFrom("127.0.0.9", p); err == nil {
			c.Close()
			t.Fatal("let in")
		}
	}
	for _, server := range []*site{first, second} {
		p := &person{t: t, name: "alice"}
		p.mistakes(alice.passphrase, "123456")
		if c, err := server.dialFrom("127.0.0.9", p); err == nil {
			c.Close()
			t.Error("let in while locked")
		}
		if asked := p.asked(); len(asked) != 3 || !strings.Contains(asked[2], "Too many failed logins") {
			t.Errorf("asked %q, want the lock", asked)
		}
	}

	signer := testkit.NewKeyFile(t, first.path("id"))
	first.mustEntry("user", "key", "add", "alice", first.path("id.pub"))
	if conn, err := first.dial(alice, ssh.PublicKeys(signer), alice.keyboard()); err != nil {
		t.Fatalf("%v: asked %q", err, alice.asked())
	} else {
		conn.Close()
	}
	alice.asked()
	conn, err := second.dial(alice, ssh.PublicKeys(signer), alice.keyboard())
	if err != nil {
		t.Fatalf("%v: asked %q", err, alice.asked())
	}
	conn.Close()
	if asked := alice.asked(); len(asked) != 0 {
		t.Errorf("the second server asked %q", asked)
	}
	// A verb on one server's directory takes the access away at both.
	first.mustEntry("user", "disable", "alice")
	if conn, err := second.dial(alice, ssh.PublicKeys(signer), alice.keyboard()); err == nil {
		conn.Close()
		t.Error("a disabled user gets in at the other server")
	}
	if _, err := os.Stat(second.path("state", "entry.db")); err == nil {
		t.Error("the second server has a database of its own")
	}
}
