package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/e2e/testkit"
)

// silent opens a jump to home that nobody logs in to. It returns once entry has opened it.
func silent(c *ssh.Client) error {
	ch, reqs, err := c.OpenChannel("direct-tcpip", ssh.Marshal(struct {
		Host       string
		Port       uint32
		Originator string
		From       uint32
	}{"home", 22, "127.0.0.1", 65535}))
	if err != nil {
		return err
	}
	_ = ch // its end is the connection's
	go ssh.DiscardRequests(reqs)
	return nil
}

// stockHome is a home that takes as many connections without a login as OpenSSH's default.
func (s *site) stockHome() *testkit.SSHD {
	s.t.Helper()
	return testkit.StartSSHD(s.t, testkit.SSHDOptions{UserCA: s.path("keys", "user_ca.pub"), Before: []string{"MaxStartups 10:30:100"}})
}

// TestSilentJumpsTakeNothingFromOthers: whoever opens a hundred jumps and says nothing in
// them has no connection to the target, whose sshd would turn others away for them.
func TestSilentJumpsTakeNothingFromOthers(t *testing.T) {
	beside(t)
	s := initSite(t)
	home := s.stockHome()
	s.setPolicy([]string{"alice", "bob"}, []string{home.Target(t, "home")}, recordAll())
	s.serve()
	alice, bob := s.remembered(s.enrolled("alice"), s.path("ida")), s.remembered(s.enrolled("bob"), s.path("idb"))
	const most = 32 // at a time, of one user
	opened := make(chan error, 100)
	for range 2 {
		c, err := s.dialAs("alice", ssh.PublicKeys(alice))
		testkit.Check(t, err)
		defer c.Close()
		for range 50 {
			go func() { opened <- silent(c) }()
		}
	}
	for range most {
		testkit.Check(t, testkit.Receive(t, "a silent jump", opened))
	}
	for i := range 20 {
		c, err := s.dialAs("bob", ssh.PublicKeys(bob))
		testkit.Check(t, err)
		p, err := s.jump(c, "home", "cat")
		if err == nil {
			err = p.echoes()
		}
		if err != nil {
			t.Errorf("bob's session %d: %v", i, err)
		}
		testkit.Check(t, c.Close())
	}
	if n := strings.Count(home.Stderr.String(), "Connection from "); n != 20 {
		t.Errorf("home had %d connections for 20 sessions", n)
	}
}

// TestManySessionsAtOnce: thirty sessions that one user begins at once, as parallel
// copies do, all open at a home with OpenSSH's defaults.
func TestManySessionsAtOnce(t *testing.T) {
	beside(t)
	s := initSite(t)
	home := s.stockHome()
	s.setPolicy([]string{"alice"}, []string{home.Target(t, "home")}, recordAll())
	s.serve()
	key := s.remembered(s.enrolled("alice"), s.path("id"))
	var conns []*ssh.Client
	for range 10 {
		c, err := s.dialAs("alice", ssh.PublicKeys(key))
		testkit.Check(t, err)
		defer c.Close()
		conns = append(conns, c)
	}
	parallel(t, 30, 30, func(i int) error {
		p, err := s.jump(conns[i%len(conns)], "home", "cat")
		if err != nil {
			return err
		}
		return p.echoes()
	})
	if n := len(s.events("session.started")); n != 30 {
		t.Errorf("%d sessions of 30", n)
	}
}

// TestAbandonedLogins: whoever opens jumps and leaves in the midst of their logins gives the
// target no login that failed, for which its sshd would shut entry out, and with it everybody.
func TestAbandonedLogins(t *testing.T) {
	beside(t)
	s := initSite(t)
	home := s.stockHome()
	s.setPolicy([]string{"alice"}, []string{home.Target(t, "home")}, recordAll())
	s.serve()
	alice := s.remembered(s.enrolled("alice"), s.path("id"))
	count := func(what string) int { return strings.Count(home.Stderr.String(), what) }
	for range 15 {
		c, err := s.dialAs("alice", ssh.PublicKeys(alice))
		testkit.Check(t, err)
		before := count("Connection from ")
		for range 4 {
			go func() { _, _ = through(c, "home", 22, s.clientConfig("w")) }() // it ends with c
		}
		testkit.Eventually(t, "the target has a connection", func() bool { return count("Connection from ") > before })
		testkit.Check(t, c.Close())
	}
	testkit.Eventually(t, "each has logged in", func() bool { return count("Accepted publickey") == count("Connection from ") })
	if n := len(regexp.MustCompile(`(closed|reset|Disconnected).*\[preauth\]`).FindAllString(home.Stderr.String(), -1)); n != 0 {
		t.Errorf("%d of %d connections ended before they had logged in", n, count("Connection from "))
	}
}

// failedLogin is how long a login that failed counts.
const failedLogin = 10 * time.Second

// TestFailedLogins: of one user's logins that fail at a target, which its sshd counts against
// entry's address, there are two in ten seconds, and nobody else waits for them.
func TestFailedLogins(t *testing.T) {
	beside(t)
	s := initSite(t)
	other := initSite(t)
	home := testkit.StartSSHD(t, testkit.SSHDOptions{UserCA: other.path("keys", "user_ca.pub")})
	s.setPolicy([]string{"alice", "bob"}, []string{home.Target(t, "home")}, recordAll())
	s.serve()
	alice, bob := s.remembered(s.enrolled("alice"), s.path("ida")), s.remembered(s.enrolled("bob"), s.path("idb"))
	c, err := s.dialAs("alice", ssh.PublicKeys(alice))
	testkit.Check(t, err)
	defer c.Close()
	began := time.Now()
	for range 6 {
		go func() { _, _ = s.jump(c, "home", "true") }() // it is told why not, or ends with c
	}
	count := func(what string) int { return strings.Count(home.Stderr.String(), what) }
	failed := func(n int) {
		t.Helper()
		testkit.Eventually(t, "a login has failed", func() bool { return count("closed by authenticating user") >= n })
	}
	failed(2)
	b, err := s.dialAs("bob", ssh.PublicKeys(bob))
	testkit.Check(t, err)
	defer b.Close()
	_, _ = s.jump(b, "home", "true") // it is told why not
	failed(3)
	if n := count("Connection from "); n != 3 && time.Since(began) < failedLogin {
		t.Errorf("home had %d connections: of them two may be alice's, and one bob's", n)
	}
}

// TestFilesRunShort: a user who opens as many connections as a policy lets them comes to
// the end of the files that the server may have open. It refuses new ones in words, says
// in both logs who has the most, and everything that is open goes on; it once ended.
func TestFilesRunShort(t *testing.T) {
	beside(t)
	s := initSite(t)
	home := s.startHome()
	s.setPolicy([]string{"alice", "bob"}, []string{home.Target(t, "home")}, recordAll(), // the more generous of the two counts
		testkit.Rule("many", "may: [shell, exec]", "record: full", "limits: {connections: 1000}"))
	s.configure(func(c map[string]any) { section(c, "limits")["connections"] = 1000 })
	s.serve()
	alice, bob := s.remembered(s.enrolled("alice"), s.path("ida")), s.remembered(s.enrolled("bob"), s.path("idb"))
	at, err := s.dialAs("bob", ssh.PublicKeys(bob))
	testkit.Check(t, err)
	p, err := s.jump(at, "home", "cat")
	testkit.Check(t, err)
	testkit.MustRun(t, command("prlimit", "--pid", fmt.Sprint(s.proc.Cmd.Process.Pid), "--nofile=240:240"))
	var conns []*ssh.Client
	said := ""
	for len(conns) < 240 {
		c, err := s.dialAs("alice", ssh.PublicKeys(alice))
		if err != nil {
			said = err.Error()
			break
		}
		conns = append(conns, c)
	}
	if !strings.Contains(said, "entry: too many files are open at this server, so nothing new can be started") || len(conns) < 100 {
		t.Errorf("connection %d: %q", len(conns)+1, said)
	}
	e := s.awaitEvent("alarm.files", func(e event) bool { return true })
	if e.User != "alice" || e.Reason != "reserve" {
		t.Errorf("%s", e.line)
	}
	s.awaitEvent("connection.refused", func(e event) bool { return e.Reason == "files" })
	s.logs(`FILES RUN SHORT.*alice`)
	// What is open goes on, in words where it wants more; so do operators and the portal.
	testkit.Check(t, p.echoes())
	for len(s.events("access.refused")) == 0 && !t.Failed() { // a few may still find a file
		if _, err := s.jump(at, "home", "cat"); err != nil {
			t.Errorf("a refused session isn't told inside: %v", err)
		}
	}
	refused := s.awaitEvent("access.refused", func(e event) bool { return e.Reason == "files" })
	if refused.User != "bob" || refused.Target != "home.tinker" {
		t.Errorf("%s", refused.line)
	}
	portal, err := at.NewSession()
	testkit.Check(t, err)
	if out, err := portal.CombinedOutput("targets"); err != nil || !strings.Contains(string(out), "home.tinker") {
		t.Errorf("%v: %s", err, out)
	}
	s.mustEntry("user", "disable", "alice")
	testkit.Eventually(t, "there is room again", func() bool {
		c, err := s.dialAs("bob", ssh.PublicKeys(bob))
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	s.stop()
	s.mustEntry("audit", "verify")
}
