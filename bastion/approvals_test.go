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
	"entry/bastion"
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
	eventually(t, "banner "+want, func() bool { return strings.Contains(b.String(), want) })
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
	finishes(t, "the access", func() { <-a.done })
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
func (s *site) waiting(t testing.TB, n int) []bastion.ApprovalRequest {
	t.Helper()
	eventually(t, "requests", func() bool { return len(s.server.Approvals()) == n })
	return s.server.Approvals()
}

func (s *site) approve(t testing.TB, id, by string) bastion.ApprovalRequest {
	t.Helper()
	return must[bastion.ApprovalRequest](t)(s.server.Approve(context.Background(), id, by))
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
			asked, given, started := s.log.await(t, audit.ApprovalRequested, ""), s.log.await(t, audit.ApprovalGiven, ""), s.log.await(t, audit.SessionStarted, "")
			if asked.User != "alice" || asked.Ref != r.ID || given.User != "alice" || given.Approver != "bob" || given.Ref != r.ID || given.Source != "127.0.0.1" || given.Until == nil {
				t.Errorf("%+v\n%+v", asked, given)
			}
			if started.User != "alice" || started.Approver != "bob" {
				t.Errorf("%+v", started)
			}
			if n := len(s.log.all(audit.ApprovalRequested)); n != 1 {
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
		if _, err := s.server.Approve(context.Background(), id, by); !errors.Is(err, bastion.ErrNotApprover) {
			t.Errorf("%q approves: %v", by, err)
		}
	}
	if _, err := s.server.Approve(context.Background(), "nonsense", "bob"); !errors.Is(err, bastion.ErrNoRequest) {
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
	if e := s.log.await(t, audit.SessionStarted, ""); e.Approver != "bob, carol" {
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
	if e := s.log.await(t, audit.ApprovalMissing, "left"); e.User != "alice" || e.Target != "home.tinker" {
		t.Errorf("%+v", e)
	}
	if _, err := s.server.Approve(context.Background(), id, "bob"); !errors.Is(err, bastion.ErrNoRequest) {
		t.Errorf("%v", err)
	}
	a.ends(t)

	// The connection stays, the channel goes: the next beat finds out.
	c = s.login("alice")
	ch := must[ssh.Channel](t)(c.open(jumpTo("home", 22)))
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
	nc := must[net.Conn](s.t)(d.Dial("tcp", s.addr))
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
		return strings.Replace(s.policyText(other, "    approval: {approvers: [alice, bob], for: 1h}\n"), "[home.tinker]", "[home.tinker, other.tinker]", 1)
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
	s.clock.advance(time.Hour)
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
	s.clock.advance(time.Hour)
	s.server.SetPolicy(s.server.Policy()) // the watch would see it within a minute of real time
	if text := said(); !strings.Contains(text, "needs the approval of bob") && !strings.Contains(text, "the approval for home.tinker is over") {
		t.Errorf("the user is told %q", text)
	}
	s.idle(t, 0)
}

func TestPolicyChangesWhileTheyWait(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		after func(string) string
		then  func(*testing.T, *site, *attempt)
	}{
		"no approval any more": {func(p string) string { return strings.Replace(p, "approval:", "# ", 1) },
			func(t *testing.T, _ *site, a *attempt) { a.in(t) }},
		"no access any more": {func(p string) string { return strings.Replace(p, "[alice, bob]", "[bob]", 1) },
			func(t *testing.T, s *site, a *attempt) {
				a.out(t, "entry: no rule allows alice on home.tinker (default deny)")
				s.log.await(t, audit.AccessRefused, "denied")
			}},
		"others": {func(p string) string { return strings.Replace(p, "approvers: [bob]", "approvers: [carol]", 1) },
			func(t *testing.T, s *site, a *attempt) {
				a.await(t, "entry: the policy changed: home.tinker now needs the approval of carol")
				r := s.waiting(t, 1)[0]
				if _, err := s.server.Approve(context.Background(), r.ID, "bob"); !errors.Is(err, bastion.ErrNotApprover) {
					t.Errorf("bob: %v", err)
				}
				s.approve(t, r.ID, "carol")
				a.in(t)
			}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, options{policy: fourEyes(byBob)})
			a := s.login("alice").tries()
			s.waiting(t, 1)
			a.await(t, "needs the approval")
			s.server.SetPolicy(parsePolicy(t, tt.after(fourEyes(byBob)(s))))
			tt.then(t, s, a)
			s.waiting(t, 0)
		})
	}
}

func TestDisabledWhileTheyWait(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{policy: fourEyes(byBob)})
	jump, whole := s.login("alice").tries(), s.triesWhole("alice")
	jump.await(t, "needs the approval")
	whole.await(t, "needs the approval")
	if code, text := s.operate(http.MethodPost, "/v1/users/alice/disable", ""); code != http.StatusOK {
		t.Fatalf("%d %s", code, text)
	}
	s.waiting(t, 0)
	jump.ends(t)
	whole.ends(t)
	if jump.stdout != "" || whole.stdout != "" || len(s.log.all(audit.SessionStarted)) != 0 {
		t.Errorf("%+v %+v", jump, whole)
	}
	s.log.await(t, audit.AccessRefused, "revoked")
}

// A flood of one user's connections is one request, and has an end.
func TestWaitingIsBounded(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{policy: fourEyes("approvers: [carol], for: 1h")})
	c := s.login("alice")
	var all []*attempt
	for range 8 {
		a := c.tries()
		a.await(t, "needs the approval")
		all = append(all, a)
	}
	c.tries().out(t, "too many connections wait for approval already")
	s.log.await(t, audit.ApprovalMissing, "too-many-waiting")
	bob := s.login("bob").tries()
	r := s.waiting(t, 2)
	if n := len(s.log.all(audit.ApprovalRequested)); n != 2 {
		t.Errorf("%d requests on record", n)
	}
	for _, r := range r {
		s.approve(t, r.ID, "carol")
	}
	for _, a := range append(all, bob) {
		a.in(t)
	}
}

// Who waits has logged in, and takes no place from those who haven't.
func TestWaitingTakesNoStartupPlace(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{policy: fourEyes("approvers: [carol], for: 1h"), options: func(o *bastion.Options) { o.PerSource = 2 }})
	for range 4 {
		s.triesWhole("alice").await(t, "needs the approval")
	}
	s.login("bob")
}

func TestApprovalForAForward(t *testing.T) {
	t.Parallel()
	w := startWorkbench(t, &workbench{hello: []string{"hello"}})
	s := newSite(t, options{policy: withWorkbench(w, "    approval: {approvers: [bob], for: 1h}\n    because: beta\n")})
	c := s.login("alice")
	for range 10 { // a browser tries again and again
		said := c.refused(bench())
		if !strings.Contains(said, "workbench.tinker needs the approval of bob (beta); try again once they have given it, until ") || !strings.Contains(said, "ssh entry approve ") {
			t.Fatalf("%q", said)
		}
		s.refusedWith(t, said, audit.AccessRefused, "needs-approval")
	}
	// ssh -W has but that channel, and stays.
	held := make(chan error, 1)
	go func() {
		ch, err := c.open(jumpTo("workbench", 80))
		if err == nil {
			err = ch.Close()
		}
		held <- err
	}()
	r := s.waiting(t, 1)[0]
	if w.count() != 0 {
		t.Error("the target was dialled")
	}
	s.approve(t, r.ID, "bob")
	finishes(t, "the channel that was held", func() {
		if err := <-held; err != nil {
			t.Error(err)
		}
	})
	if ch := must[ssh.Channel](t)(c.open(bench())); ch.Close() != nil {
		t.Error("close")
	}
	s.waiting(t, 0)
	if n := len(s.log.all(audit.ApprovalRequested)); n != 1 {
		t.Errorf("%d requests on record", n)
	}

	// The request goes with the connection that asked.
	s.clock.advance(2 * time.Hour)
	c = s.login("alice")
	c.refused(bench())
	s.waiting(t, 1)
	c.Close()
	s.waiting(t, 0)
	s.log.await(t, audit.ApprovalMissing, "left")
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
	if e := s.log.await(t, audit.ApprovalGiven, ""); e.Approver != "root" || e.Actor == nil || e.Actor.Name != "root" {
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
	s.log.set(func(l *logbook) { l.refuse = func(e audit.Event) bool { return e.Type == audit.ApprovalGiven } })
	if _, err := s.server.Approve(context.Background(), r.ID, "bob"); !errors.Is(err, errLog) {
		t.Errorf("%v", err)
	}
	if r := s.server.Approvals(); len(r) != 1 || len(r[0].By) != 0 {
		t.Errorf("%+v", r)
	}
	c.Close()
	a.ends(t)
	s.waiting(t, 0)
	s.log.set(func(l *logbook) { l.refuse = func(e audit.Event) bool { return e.Type == audit.ApprovalRequested } })
	s.login("alice").tries().out(t, "the audit log can't be written")
}

// An approval may give more than what its user has without it: they ask in the
// portal.
func TestAskForMore(t *testing.T) {
	t.Parallel()
	forMore := func(wait string) func(*site) string {
		return func(s *site) string {
			return strings.Replace(s.policyText("", ""), "may: [shell, exec, upload, download]", "may: [agent]", 1) + `  - name: out
    who: {labs: [tinker]}
    where: {targets: [home.tinker]}
    may: [exec]
    approval: {approvers: [bob], for: 1h, wait: ` + wait + `}
`
		}
	}
	s := newSite(t, options{policy: forMore("1s")})
	c := s.login("alice")
	if _, said, err := run(t, c.jump("home"), "say in"); err == nil || !strings.Contains(said, "rule out (tinker.yaml:12) needs the approval of bob for exec") {
		t.Errorf("%q, %v", said, err)
	}
	if out, said, status := c.verb("", "ask home"); status != 3 || !strings.HasPrefix(out, "entry: home.tinker needs the approval of bob. Waiting until ") ||
		!strings.HasPrefix(said, "entry: bob didn't approve in time") {
		t.Errorf("%q %q %d", out, said, status)
	}
	s.server.SetPolicy(parsePolicy(t, forMore("10m")(s)))
	var out string
	status := make(chan int, 1)
	go func() {
		var code int
		out, _, code = c.verb("", "ask home.tinker")
		status <- code
	}()
	s.approve(t, s.waiting(t, 1)[0].ID, "bob")
	if code := <-status; code != 0 || !strings.HasSuffix(out, "entry: approved by bob\n") {
		t.Errorf("%q %d", out, code)
	}
	if out, said, _ := run(t, c.jump("home"), "say in"); out != "in" {
		t.Errorf("%q %q", out, said)
	}
	if out, _, status := c.verb("", "ask home"); status != 0 || out != "home.tinker needs nobody's approval.\n" {
		t.Errorf("%q %d", out, status)
	}
	if _, said, status := c.verb("", "ask nowhere"); status != 4 || !strings.Contains(said, "no target") {
		t.Errorf("%q %d", said, status)
	}
	if _, _, status := c.verb("", "ask"); status != 2 {
		t.Errorf("%d", status)
	}
}
