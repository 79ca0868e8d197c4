package bastion_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/bastion/access"
	"entry/e2e/testkit"
	"entry/e2e/testkit/logbook"
)

// fourEyes is a policy under which somebody has to approve; rule is the
// approval's fields.
func fourEyes(approval string) func(*site) string {
	return func(s *site) string {
		return s.policyText("", "    approval: {"+approval+"}\n    because: data leaves here\n")
	}
}

const byBob = "approvers: [bob], for: 1h, wait: 10m"

// banners collects what a client is shown before it is logged in.
type banners struct {
	mu   sync.Mutex
	text string
	n    int // empty ones
}

func (b *banners) show(text string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.text += text; text == "" {
		b.n++
	}
	return nil
}

func (b *banners) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text
}

func (b *banners) await(t testing.TB, want string) {
	t.Helper()
	testkit.Eventually(t, "banner "+want, func() bool { return strings.Contains(b.String(), want) })
}

// attempt is an access that may have to wait.
type attempt struct {
	banners
	done   chan struct{}
	stdout string
	stderr string
	err    error // of the connection, or of the command on it
}

// tries opens home on c and runs a command there; nothing of it is waited for.
func (c *client) tries() *attempt {
	a := &attempt{done: make(chan struct{})}
	go func() {
		defer close(a.done)
		var inner *ssh.Client
		inner, a.err = c.inner("home", &ssh.ClientConfig{HostKeyCallback: c.s.hostCheck(), BannerCallback: a.show})
		if a.err == nil {
			a.stdout, a.stderr, a.err = run(c.s.t, inner, "say in")
		}
	}()
	return a
}

// triesWhole is tries for a connection that leads to home as a whole.
func (s *site) triesWhole(user string) *attempt {
	a := &attempt{done: make(chan struct{})}
	cfg := s.config(user + "+home")
	cfg.BannerCallback = a.show
	cfg.Auth[1] = ssh.KeyboardInteractive(func(_, said string, questions []string, _ []bool) ([]string, error) {
		answers := make([]string, len(questions))
		for i := range answers {
			answers[i] = s.code(user)
		}
		return answers, a.show(said)
	})
	go func() {
		defer close(a.done)
		var c *client
		if c, a.err = s.tryDial(cfg); a.err == nil {
			a.stdout, a.stderr, a.err = run(s.t, c.whole(), "say in")
		}
	}()
	return a
}

func (a *attempt) ends(t testing.TB) {
	t.Helper()
	testkit.Finishes(t, "the access", func() { <-a.done })
}

// in wants the access to have been given.
func (a *attempt) in(t testing.TB) {
	t.Helper()
	if a.ends(t); a.stdout != "in" {
		t.Errorf("not let in: %q %q %v, told %q", a.stdout, a.stderr, a.err, a)
	}
}

// out wants the access to have been refused with these words.
func (a *attempt) out(t testing.TB, want string) {
	t.Helper()
	if a.ends(t); a.stdout != "" || exitStatus(a.err) != 255 || !strings.Contains(a.stderr, want) {
		t.Errorf("%q %q %v, want status 255 and %q", a.stdout, a.stderr, a.err, want)
	}
}

// waiting waits until n people ask and gives their requests.
func (s *site) waiting(t testing.TB, n int) []access.ApprovalRequest {
	t.Helper()
	testkit.Eventually(t, "requests", func() bool { return len(s.asked(t)) == n })
	return s.asked(t)
}

// asked are those who ask now.
func (s *site) asked(t testing.TB) []access.ApprovalRequest {
	t.Helper()
	return testkit.Must(s.server.Access().Approvals(context.Background()))(t)
}

func (s *site) approve(t testing.TB, id, by string) access.ApprovalRequest {
	t.Helper()
	return testkit.Must(s.server.Access().Approve(context.Background(), id, by, ""))(t)
}

func TestApproval(t *testing.T) {
	t.Parallel()
	for name, try := range map[string]func(*site) *attempt{
		"jump":         func(s *site) *attempt { return s.login("alice").tries() },
		"alice+home":   func(s *site) *attempt { return s.triesWhole("alice") },
		"multiplexing": func(s *site) *attempt { c := s.login("alice"); c.tries(); return c.tries() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, options{policy: fourEyes(byBob)})
			a := try(s)
			r := s.waiting(t, 1)[0]
			if r.User != "alice" || r.Target != "home.tinker" || r.Source != "127.0.0.1" || r.Need != 1 || len(r.By) != 0 || r.Because != "data leaves here" {
				t.Errorf("%+v", r)
			}
			a.await(t, "entry: home.tinker needs the approval of bob (data leaves here). Waiting until ")
			a.await(t, "ssh entry approve "+r.ID)

			own := s.login("alice")
			if out, said, status := own.verb("", "approve"); status != 0 || out != "Nobody waits for your approval.\n" {
				t.Errorf("%q %q %d", out, said, status)
			}
			if out, said, status := own.verb("", "approve "+r.ID); status != 4 || out != "" || !strings.Contains(said, "no request of that ID waits for you") {
				t.Errorf("approves their own: %q %q %d", out, said, status)
			}
			bob := s.login("bob")
			if out, _, _ := bob.verb("", "approve"); !strings.Contains(out, r.ID+"  alice to home.tinker from 127.0.0.1") {
				t.Errorf("bob sees %q", out)
			}
			k := bob.talk("approve " + r.ID)
			if said := k.answer("entry one-time code: ", "000000"); !strings.Contains(said, "alice wants to reach home.tinker from 127.0.0.1, by rule all (tinker.yaml:") {
				t.Errorf("bob reads %q", said)
			}
			k.answer("entry one-time code: ", s.code("bob"))
			k.await("Approved: 1 of 1.")
			k.ends()
			a.in(t)
			a.await(t, "entry: approved by bob")
			asked, given, started := s.log.Await(t, audit.ApprovalRequested, ""), s.log.Await(t, audit.ApprovalGiven, ""), s.log.Await(t, audit.SessionStarted, "")
			if asked.User != "alice" || asked.Ref != r.ID || given.User != "alice" || given.Approver != "bob" || given.Ref != r.ID || given.Source != "127.0.0.1" || given.Until == nil {
				t.Errorf("%+v\n%+v", asked, given)
			}
			if started.User != "alice" || started.Approver != "bob" {
				t.Errorf("%+v", started)
			}
			if n := len(s.log.All(audit.ApprovalRequested)); n != 1 {
				t.Errorf("%d requests on record", n)
			}
			s.waiting(t, 0)
			own.tries().in(t) // it holds for more than one connection
		})
	}
}

func TestApprovalNeedsDistinctPeople(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{policy: fourEyes("approvers: [alice, bob, carol, dave], need: 2, for: 1h")})
	a := s.login("alice").tries()
	id := s.waiting(t, 1)[0].ID
	for _, by := range []string{"alice", "eve", ""} {
		if _, err := s.server.Access().Approve(context.Background(), id, by, ""); !errors.Is(err, access.ErrNotApprover) {
			t.Errorf("%q approves: %v", by, err)
		}
	}
	if _, err := s.server.Access().Approve(context.Background(), "nonsense", "bob", ""); !errors.Is(err, access.ErrNoRequest) {
		t.Errorf("%v", err)
	}
	for range 100 { // as often as it is given: it stays one
		if r := s.approve(t, id, "carol"); len(r.By) != 1 {
			t.Fatalf("%+v", r)
		}
	}
	a.await(t, "entry: approved by carol; more are needed")
	if r := s.approve(t, strings.ToUpper(id), "bob"); len(r.By) != 2 {
		t.Errorf("%+v", r)
	}
	a.in(t)
	if e := s.log.Await(t, audit.SessionStarted, ""); e.Approver != "bob, carol" {
		t.Errorf("%+v", e)
	}
}

func TestNobodyApproves(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{policy: fourEyes("approvers: [bob], for: 1h, wait: 1s")})
	a := s.login("alice").tries()
	a.out(t, "entry: bob didn't approve in time; ask them and connect again (ref ")
	s.refusedWith(t, strings.TrimSpace(a.stderr), audit.ApprovalMissing, "not-approved")
	s.waiting(t, 0)
	s.idle(t, 0)
	s.triesWhole("alice").out(t, "didn't approve in time")
}

func TestClientLeavesWhileItWaits(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{policy: fourEyes(byBob)})
	c := s.login("alice")
	a := c.tries()
	id := s.waiting(t, 1)[0].ID
	c.Close()
	s.waiting(t, 0)
	if e := s.log.Await(t, audit.ApprovalMissing, "left"); e.User != "alice" || e.Target != "home.tinker" {
		t.Errorf("%+v", e)
	}
	if _, err := s.server.Access().Approve(context.Background(), id, "bob", ""); !errors.Is(err, access.ErrNoRequest) {
		t.Errorf("%v", err)
	}
	a.ends(t)

	// The connection stays, the channel goes: the next beat finds out.
	c = s.login("alice")
	ch := testkit.Must(c.open(jumpTo("home", 22)))(t)
	go func() {
		conn, _, _, err := ssh.NewClientConn(channelConn{ch}, "home:22", &ssh.ClientConfig{HostKeyCallback: s.hostCheck()})
		if err == nil {
			conn.Close()
		}
	}()
	s.waiting(t, 1)
	ch.Close()
	s.waiting(t, 0)
}

// dialFrom is login from another address of this machine.
func (s *site) dialFrom(ip, user string) *client {
	s.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
	nc := testkit.Must(d.Dial("tcp", s.addr))(s.t)
	conn, chans, reqs, err := ssh.NewClientConn(nc, "entry:22", s.config(user))
	if err != nil {
		s.t.Fatal(err)
	}
	go ssh.DiscardRequests(reqs)
	s.t.Cleanup(func() { conn.Close() })
	return &client{Conn: conn, s: s, channels: chans}
}

func TestApprovalIsBound(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{policy: func(s *site) string {
		other := "      other: {address: \"" + s.home.addr + "\", host_keys: [\"" + s.home.key() + "\"], default_login: worker}\n"
		return strings.Replace(s.policyText(other, "    approval: {approvers: [alice, bob], for: 1h, wait: 2h}\n"), "[home.tinker]", "[home.tinker, other.tinker]", 1)
	}})
	c := s.login("alice")
	a := c.tries()
	s.approve(t, s.waiting(t, 1)[0].ID, "bob")
	a.in(t)
	c.tries().in(t)

	// Another source, another target, another user, another time.
	s.dialFrom("127.0.0.2", "alice").tries()
	if r := s.waiting(t, 1)[0]; r.Source != "127.0.0.2" {
		t.Errorf("%+v", r)
	}
	go func() { _, _ = c.inner("other", nil) }()
	s.waiting(t, 2)
	s.login("bob").tries()
	s.waiting(t, 3)
	s.clock.Advance(time.Hour)
	c.tries()
	if r := s.waiting(t, 4); len(r[0].By)+len(r[1].By)+len(r[2].By)+len(r[3].By) != 0 {
		t.Errorf("%+v", r)
	}
}

// What runs by an approval ends with it, and says so.
func TestApprovalEnds(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{policy: fourEyes(byBob)})
	c := s.login("alice")
	a := c.tries()
	s.approve(t, s.waiting(t, 1)[0].ID, "bob")
	a.in(t)
	said := begin(t, c.jump("home"))
	s.clock.Advance(time.Hour)
	s.server.Access().SetPolicy(s.server.Access().Policy()) // the watch would see it within a minute of real time
	if text := said(); !strings.Contains(text, "needs the approval of bob") && !strings.Contains(text, "the approval for home.tinker is over") {
		t.Errorf("the user is told %q", text)
	}
	s.idle(t, 0)
}

// An operator approves as the person that the kernel knows.
func TestApprovalByAnAccount(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{policy: fourEyes("approvers: [root, bob], for: 1h")})
	a := s.login("alice").tries()
	id := s.waiting(t, 1)[0].ID
	if code, text := s.operate(http.MethodGet, "/v1/approvals", ""); code != http.StatusOK || !strings.Contains(text, id) {
		t.Errorf("%d %s", code, text)
	}
	if code, text := s.operate(http.MethodPost, "/v1/approvals/nonsense", ""); code != http.StatusNotFound {
		t.Errorf("%d %s", code, text)
	}
	// root who logged in as somebody else is somebody else.
	if code, text := s.operateAs(audit.Actor{UID: 0, LoginUID: 1, Name: "root"}, http.MethodPost, "/v1/approvals/"+id, ""); code != http.StatusForbidden {
		t.Errorf("%d %s", code, text)
	}
	if code, text := s.operate(http.MethodPost, "/v1/approvals/"+id, ""); code != http.StatusOK {
		t.Fatalf("%d %s", code, text)
	}
	a.in(t)
	if e := s.log.Await(t, audit.ApprovalGiven, ""); e.Approver != "root" || e.Actor == nil || e.Actor.Name != "root" {
		t.Errorf("%+v", e)
	}
}

// Without the log nobody waits, and nothing is approved.
func TestApprovalWithoutALog(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{policy: fourEyes(byBob)})
	c := s.login("alice")
	a := c.tries()
	r := s.waiting(t, 1)[0]
	s.log.Refuse(func(e audit.Event) bool { return e.Type == audit.ApprovalGiven })
	if _, err := s.server.Access().Approve(context.Background(), r.ID, "bob", ""); !errors.Is(err, logbook.ErrFull) {
		t.Errorf("%v", err)
	}
	if r := s.asked(t); len(r) != 1 || len(r[0].By) != 0 {
		t.Errorf("%+v", r)
	}
	c.Close()
	a.ends(t)
	s.waiting(t, 0)
	s.log.Refuse(func(e audit.Event) bool { return e.Type == audit.ApprovalRequested })
	s.login("alice").tries().out(t, "the audit log can't be written")
}
