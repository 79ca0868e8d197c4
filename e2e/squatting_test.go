package e2e

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/e2e/testkit"
)

// TestSquatters: 1,000 sockets from 100 addresses that say nothing, renewed as
// they end, hold nobody out: who comes from a known network gets in at once, who
// comes from a new one within two tries.
func TestSquatters(t *testing.T) {
	alone(t)
	const sockets, addresses = 1000, 100
	s, _ := quickSite(t, recordAll())
	alice := s.enrolled("alice")
	signer := testkit.NewKeyFile(t, s.path("id"))
	s.mustEntry("user", "key", "add", "alice", s.path("id.pub"))
	// A key that was remembered once, per network: logins that need no code.
	login := func(source string) (time.Duration, error) {
		began := time.Now()
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}
		tcp, err := d.Dial("tcp", s.addr())
		if err != nil {
			return 0, err
		}
		c, err := s.handshake(tcp, "alice", ssh.PublicKeys(signer), alice.keyboard())
		if err != nil {
			return 0, err
		}
		return time.Since(began), c.Close()
	}
	const known = "127.201.0.1"
	if _, err := login(known); err != nil {
		t.Fatalf("%v: asked %q", err, alice.asked())
	}

	over := make(chan struct{})
	var squatting sync.WaitGroup
	for i := range sockets {
		squatting.Go(func() {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source(i % addresses))}}
			for {
				select {
				case <-over:
					return
				default:
				}
				c, err := d.Dial("tcp", s.addr())
				if err != nil {
					continue
				}
				closed := make(chan struct{})
				go func() { defer close(closed); _, _ = io.Copy(io.Discard, c) }()
				select {
				case <-closed:
				case <-over:
				}
				c.Close()
				<-closed
			}
		})
	}
	defer squatting.Wait()
	defer close(over)
	s.awaitEvent("connection.refused", nil)

	var times []time.Duration
	for i := range 30 {
		took, err := login(known)
		if err != nil {
			t.Errorf("login %d from a known network: %v", i, err)
			continue
		}
		times = append(times, took)
	}
	slices.Sort(times)
	if len(times) == 0 {
		t.FailNow()
	}
	t.Logf("from a known network beside %d silent sockets: %d of 30 in, median %s, slowest %s", sockets,
		len(times), times[len(times)/2].Round(time.Millisecond), times[len(times)-1].Round(time.Millisecond))

	in := 0
	const newcomers = 20
	for i := range newcomers {
		// Whoever has no remembered key at a network needs a code: it is enough to
		// be asked for one.
		for range 2 {
			asked := false
			tcp, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(fmt.Sprintf("127.202.0.%d", 1+i))}}).Dial("tcp", s.addr())
			if err != nil {
				continue
			}
			_, err = s.handshake(tcp, "alice", ssh.KeyboardInteractive(func(_, _ string, q []string, _ []bool) ([]string, error) {
				asked = asked || len(q) > 0 && strings.HasSuffix(q[0], "entry passphrase: ")
				return make([]string, len(q)), nil
			}))
			if err == nil {
				t.Fatal("in with empty answers")
			}
			if asked {
				in++
				break
			}
		}
	}
	t.Logf("from new networks: %d of %d are asked within two tries", in, newcomers)
	if in < newcomers*8/10 {
		t.Error("newcomers are kept out")
	}
}

// TestCourse: thirty people behind one address log in at the same time, under
// the default limits, each with OpenSSH's pace of typing nothing for a while.
func TestCourse(t *testing.T) {
	alone(t)
	const people = 30
	s, _ := quickSite(t, recordAll())
	var names []string
	for i := range people {
		names = append(names, fmt.Sprintf("student%d", i))
		s.add(names[i])
	}
	// Nobody answers before all have been asked: all sit there together.
	var all, ready sync.WaitGroup
	ready.Add(people)
	for _, name := range names {
		all.Go(func() {
			there := sync.OnceFunc(ready.Done)
			defer there()
			tcp, err := net.Dial("tcp", s.addr())
			if err != nil {
				t.Error(err)
				return
			}
			asked := false
			_, err = s.handshake(tcp, name, ssh.KeyboardInteractive(func(_, _ string, q []string, _ []bool) ([]string, error) {
				asked = true
				there()
				ready.Wait()
				return make([]string, len(q)), nil
			}))
			if !asked {
				t.Errorf("%s was never asked: %v", name, err)
			}
		})
	}
	all.Wait()
}

// TestCourseAtTheHostKey: thirty people behind one address whose clients ask about the
// host key, as PuTTY does and OpenSSH without the line for known_hosts, all look its
// fingerprint up, and go on.
func TestCourseAtTheHostKey(t *testing.T) {
	alone(t)
	const people = 30
	s := initSite(t)
	home := s.startHome()
	s.setPolicy([]string{"alice"}, []string{home.Target(t, "home")}, recordAll())
	s.configure(func(c map[string]any) {
		delete(section(c, "limits"), "startups")
		delete(section(c, "limits"), "per_source")
	})
	s.serve()
	var all, ready sync.WaitGroup
	ready.Add(people)
	for i := range people {
		all.Go(func() {
			there := sync.OnceFunc(ready.Done)
			defer there()
			tcp, err := net.Dial("tcp", s.addr())
			if err != nil {
				t.Error(err)
				return
			}
			defer tcp.Close()
			asked := false
			c := s.clientConfig(fmt.Sprintf("student%d", i), ssh.KeyboardInteractive(func(_, _ string, q []string, _ []bool) ([]string, error) {
				asked = true
				return make([]string, len(q)), nil
			}))
			check := c.HostKeyCallback
			c.HostKeyCallback = func(host string, from net.Addr, key ssh.PublicKey) error {
				there()
				ready.Wait() // until all sit there together
				return check(host, from, key)
			}
			testkit.Check(t, tcp.SetDeadline(testkit.Deadline(testkit.Soon)))
			if _, _, _, err := ssh.NewClientConn(tcp, "entry:22", c); !asked {
				t.Errorf("student%d was never asked: %v", i, err)
			}
		})
	}
	all.Wait()
}

// TestStrangersAtTheSameAddress: ten silent sockets, or connections that are opened
// and closed five times a second, from the address that an owner shares with them,
// don't keep a remembered key out.
func TestStrangersAtTheSameAddress(t *testing.T) {
	beside(t)
	s := initSite(t)
	home := s.startHome()
	s.setPolicy([]string{"alice"}, []string{home.Target(t, "home")}, recordAll())
	s.configure(func(c map[string]any) { delete(c, "limits") })
	s.serve()
	alice := s.enrolled("alice")
	signer := testkit.NewKeyFile(t, s.path("id"))
	s.mustEntry("user", "key", "add", "alice", s.path("id.pub"))
	in := func() error {
		c, err := s.dial(alice, ssh.PublicKeys(signer), alice.keyboard())
		if err != nil {
			return err
		}
		return c.Close()
	}
	if err := in(); err != nil { // remembered from here on
		t.Fatalf("%v: asked %q", err, alice.asked())
	}
	alice.asked()
	open := func() net.Conn {
		c, err := net.Dial("tcp", s.addr())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for range 100 { // more than anybody may who never logs in
		open().Close()
	}
	if err := in(); err != nil {
		t.Errorf("after 100 connections that came to nothing: %v", err)
	}
	for range 10 {
		defer open().Close()
	}
	for i := range 8 {
		if err := in(); err != nil {
			t.Errorf("login %d beside ten silent sockets: %v", i, err)
		}
	}
	if asked := alice.asked(); len(asked) != 0 {
		t.Errorf("the remembered key is asked %q", asked)
	}
}

// TestRefusedConnectionsAreTold: a connection that gets no place reads why, with
// OpenSSH and PuTTY, and the server's log has a line.
func TestRefusedConnectionsAreTold(t *testing.T) {
	beside(t)
	s := initSite(t)
	home := s.startHome()
	s.setPolicy([]string{"alice"}, []string{home.Target(t, "home")}, recordAll())
	s.configure(func(c map[string]any) { c["limits"] = map[string]any{"per_source": 1} })
	s.serve()
	c := s.client(s.add("alice"))
	// Eight times as many as may be silent sit at a prompt.
	over := make(chan struct{})
	var sitting, ready sync.WaitGroup
	for range 8 {
		ready.Add(1)
		sitting.Go(func() {
			there := sync.OnceFunc(ready.Done)
			defer there()
			tcp, err := net.Dial("tcp", s.addr())
			if err != nil {
				t.Error(err)
				return
			}
			_, err = s.handshake(tcp, "alice", ssh.KeyboardInteractive(func(_, _ string, q []string, _ []bool) ([]string, error) {
				there()
				<-over
				return make([]string, len(q)), nil
			}))
			if err == nil {
				t.Error("in with empty answers")
			}
		})
	}
	defer sitting.Wait()
	defer close(over)
	ready.Wait()
	const want = "entry: too many connections from your address have not logged in; try again in a minute"
	if r := testkit.Run(t, c.ssh("entry")); r.Code != 255 || !strings.Contains(r.Stderr, want) {
		t.Errorf("ssh: %s", r)
	}
	if r := testkit.Run(t, c.command("plink", "-ssh", "-batch", "-P", strconv.Itoa(s.port), "alice@127.0.0.1")); !strings.Contains(r.Stderr, want) {
		t.Errorf("plink: %s", r)
	}
	testkit.Eventually(t, "a line in the server's log", func() bool { return strings.Contains(s.proc.Stderr.String(), `"reason":"per-source"`) })
}
