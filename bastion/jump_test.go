package bastion_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/bastion"
	"entry/e2e/testkit"
	"entry/e2e/testkit/logbook"
	"entry/e2e/testkit/policies"
)

func TestJump(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	c := s.login("alice")
	inner := c.jump("home")
	out, _, err := run(t, inner, "say hello")
	if out != "hello" || exitStatus(err) != 3 {
		t.Fatalf("%q, %v", out, err)
	}
	inner.Close()
	start, end := s.log.Await(t, audit.SessionStarted, ""), s.log.Await(t, audit.SessionEnded, "")
	login := s.log.Await(t, audit.LoginSucceeded, "")
	if start.Conn != login.Conn || start.Session != end.Session || start.Recording == nil || start.Recording.Header == "" ||
		end.Recording == nil || end.Recording.Segments == 0 || end.Reason != "closed" || start.Login != "worker" || start.AskedLogin != "whoever" {
		t.Errorf("login, session and recording don't bind:\n%+v\n%+v\n%+v", login, start, end)
	}
}

// refusedWith holds a refusal to what a user may read and to its event.
func (s *site) refusedWith(t *testing.T, said string, typ audit.Type, reason string) audit.Event {
	t.Helper()
	e := s.log.Await(t, typ, reason)
	if e.Ref == "" || !strings.Contains(said, "(ref "+e.Ref+")") {
		t.Errorf("%q doesn't have the reference %q of %s %s", said, e.Ref, typ, reason)
	}
	for _, r := range said {
		if r < ' ' || r > '~' {
			t.Errorf("%q isn't one line of ASCII", said)
			break
		}
	}
	for _, internal := range []string{s.home.addr, s.dir, logbook.ErrFull.Error(), "ssh:", "dial tcp", "sql"} {
		if strings.Contains(said, internal) {
			t.Errorf("the user is told %q: %q", internal, said)
		}
	}
	return e
}

func TestNames(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	c := s.login("alice")
	for _, name := range []string{"home", "HOME", "home.", "home.tinker", "Home.Tinker."} {
		ch, err := c.open(jumpTo(name, 22))
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		ch.Close()
	}
	before := 5 // each of them ended before its login
	testkit.Eventually(t, "their ends", func() bool { return len(s.log.All(audit.JumpRefused)) == before })
	names := []string{"", ".", "home..", "home.tinker.x", "hömé", "h\u200bome", "home\x00", "home\n", "127.0.0.1", "::1", "[::1]", "entry", "localhost",
		"tinker", "home.other", "home/../x", strings.Repeat("h", 300), "alice+home", "\x1b[2Jhome"}
	for _, name := range names {
		before++
		said := c.refused(jumpTo(name, 22))
		testkit.Eventually(t, "its event", func() bool { return len(s.log.All(audit.JumpRefused)) == before })
		e := s.refusedWith(t, said, audit.JumpRefused, "unknown-target")
		if e.User != "alice" || len(e.Destination) > 300 {
			t.Errorf("%q: %+v", name, e)
		}
	}
	if _, logins := s.home.count(); len(logins) != 0 {
		t.Errorf("logins at home: %q", logins)
	}
}

// A port has 32 bits on the wire; 22 + 2^16 must not pass for 22.
func TestPorts(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	c := s.login("alice")
	for _, port := range []uint32{0, 23, 22 + 1<<16, 22 + 1<<31, 1<<32 - 1} {
		s.refusedWith(t, c.refused(jumpTo("home", port)), audit.JumpRefused, "port")
	}
	if n, _ := s.home.count(); n != 0 {
		t.Errorf("%d connections to home", n)
	}
}

// behind opens a jump to home as another program than the SSH client and
// authenticates inside it.
func (c *client) behind(origin string, port uint32, auth ...ssh.AuthMethod) (*ssh.Client, error) {
	c.s.t.Helper()
	ch, err := c.open(forward{"home", 22, origin, port})
	if err != nil {
		return nil, err
	}
	conn, chans, reqs, err := ssh.NewClientConn(channelConn{ch}, "home:22", &ssh.ClientConfig{User: "bob", HostKeyCallback: c.s.hostCheck(), Auth: auth})
	if err != nil {
		return nil, err
	}
	inner := ssh.NewClient(conn, chans, reqs)
	c.s.t.Cleanup(func() { inner.Close() })
	return inner, nil
}

// answers is a user who types text at every prompt.
func answers(text string, asked *[]string) ssh.AuthMethod {
	return ssh.KeyboardInteractive(func(_, _ string, q []string, _ []bool) ([]string, error) {
		*asked = append(*asked, q...)
		out := make([]string, len(q))
		for i := range out {
			out[i] = text
		}
		return out, nil
	})
}

// Whatever a client says of where a jump comes from, nobody is refused for it:
// what isn't known as the SSH client itself is asked for a proof.
func TestOriginators(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	c := s.login("alice")
	key := func(user string) ssh.AuthMethod { return ssh.PublicKeys(enrolled.keys[user]) }
	in := func(what string, inner *ssh.Client, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
			return
		}
		if out, _, _ := run(t, inner, "say in"); out != "in" {
			t.Errorf("%s: %q", what, out)
		}
	}
	for _, o := range []struct {
		host string
		port uint32
	}{{"127.0.0.1", 50000}, {"192.0.2.1", 65535}, {"", 65535}, {"", 0}, {"entry", 22}, {"::ffff:192.0.2.1", 65535}, {"\x00", 1}, {"localhost", 0}} {
		what := fmt.Sprintf("%q:%d", o.host, o.port)
		var asked []string
		inner, err := c.behind(o.host, o.port, answers(passphrase, &asked))
		in(what+", the passphrase", inner, err)
		if len(asked) != 1 || asked[0] != "entry passphrase: " {
			t.Errorf("%s: asked %q", what, asked)
		}
		inner, err = c.behind(o.host, o.port, key("alice"))
		in(what+", a key of the account", inner, err)
		if _, err := c.behind(o.host, o.port); err == nil {
			t.Errorf("%s: nothing was proven, and it is in", what)
		}
		if _, err := c.behind(o.host, o.port, key("bob")); err == nil {
			t.Errorf("%s: in with another account's key", what)
		}
	}
	logins := len(s.log.All(audit.SessionStarted))
	for _, e := range s.log.All(audit.SessionStarted, audit.LoginFailed) {
		if e.User != "alice" {
			t.Errorf("the inner name became an identity: %+v", e)
		}
	}
	if _, at := s.home.count(); len(at) != logins {
		t.Errorf("%d sessions, logins at home: %q", logins, at)
	}
}

// Prompts of other programs may stand side by side, as many as there are: what is typed
// there is judged in turn, so that right answers are never called wrong ones. Where the
// three tries are over meanwhile, whoever typed reads that.
func TestConfirmationsSideBySide(t *testing.T) {
	t.Parallel()
	const prompts = 7
	s := newSite(t, options{})
	c := s.login("alice")
	all := func(typed string) (in int, read []string) {
		var (
			answered, ended = make(chan struct{}), make(chan error, prompts)
			asked           sync.WaitGroup
			mu              sync.Mutex
		)
		asked.Add(prompts)
		for range prompts {
			go func() {
				first := true
				_, err := c.behind("127.0.0.1", 50000, ssh.KeyboardInteractive(func(_, _ string, q []string, _ []bool) ([]string, error) {
					if len(q) == 0 {
						return nil, nil
					}
					if first {
						first = false
						asked.Done()
						<-answered
						return []string{typed}, nil
					}
					mu.Lock()
					defer mu.Unlock()
					read = append(read, strings.Join(strings.Fields(q[0]), " ")) // broken for terminals
					return []string{""}, nil
				}))
				ended <- err
			}()
		}
		testkit.Finishes(t, "prompts side by side", asked.Wait)
		close(answered)
		for range prompts {
			if <-ended == nil {
				in++
			}
		}
		return in, read
	}
	busy := func(read []string) (n int) {
		for _, s := range read {
			if strings.Contains(s, "is busy checking other logins") { // a slow machine
				n++
			}
		}
		return n
	}
	if in, read := all(passphrase); in+busy(read) != prompts || in == 0 {
		t.Errorf("%d of %d are in, the others read %q", in, prompts, read)
	}
	in, read := all("wrong horse battery")
	wrong, told := 0, 0
	for _, s := range read {
		switch {
		case strings.HasPrefix(s, "Not accepted. "):
			wrong++
		case strings.HasPrefix(s, "entry: too many wrong passphrases on this connection, so no other program gets in on it; end the ssh that holds it (the one with -L, -D or -W) and connect again"):
			told++
		}
	}
	if in != 0 || wrong > 3 || wrong+told+busy(read) != prompts || wrong < 3 && busy(read) == 0 {
		t.Errorf("%d are in with a wrong passphrase, %d of %d were judged, and the others read %q", in, wrong, prompts, read)
	}
}

// The prompt for other programs is no place to guess a passphrase at: after
// three wrong ones on a client connection, side by side or one by one, it is
// gone, and nothing was counted against the account.
func TestConfirmationIsNoOracle(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	c := s.login("alice")
	judged := func() (n int) {
		for _, e := range s.log.All(audit.LoginFailed) {
			if e.Reason != "unavailable" { // which is no verdict: a slow machine is busy with the others
				n++
			}
		}
		return n
	}
	for tries := 0; tries == 0 || judged() < 3 && tries < 20; tries++ {
		var all sync.WaitGroup
		for range 12 {
			all.Go(func() {
				var asked []string
				if _, err := c.behind("127.0.0.1", 50000, answers("wrong horse battery", &asked)); err == nil {
					t.Error("in with a wrong passphrase")
				}
			})
		}
		all.Wait()
	}
	if n := judged(); n != 3 {
		t.Errorf("%d passphrases were judged", n)
	}
	var asked []string
	if _, err := c.behind("127.0.0.1", 50000, answers(passphrase, &asked)); err == nil || len(asked) != 0 {
		t.Errorf("%v, asked %q", err, asked)
	}
	s.refusedWith(t, c.refused(forward{"home", 22, "", 0}), audit.AccessRefused, "confirmations")
	begin(t, c.jump("home")) // the client itself isn't meant
	if u := testkit.Must(s.auth.User(t.Context(), "alice"))(t); !u.LockedUntil.IsZero() {
		t.Errorf("the account is locked until %s", u.LockedUntil)
	}
	inner, err := s.login("alice").behind("", 0, answers(passphrase, &asked))
	if err != nil {
		t.Fatalf("on another connection: %v", err)
	}
	begin(t, inner)
}

func TestInnerNameIsAskedForNotBelieved(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	c := s.login("alice")
	for asked, want := range map[string]string{"analysis": "analysis", "root": "worker", "worker,root": "worker", "": "worker", "\x1b]0;x\x07": "worker"} {
		inner := testkit.Must(c.inner("home", &ssh.ClientConfig{User: asked}))(t)
		if out, _, err := run(t, inner, "say in"); out != "in" {
			t.Errorf("%q: %q, %v", asked, out, err)
		}
		inner.Close()
		_, logins := s.home.count()
		if got := logins[len(logins)-1]; got != want {
			t.Errorf("asked for %q, logged in as %q, want %q", asked, got, want)
		}
	}
}

func TestMalformedRequestToJump(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	c := s.login("alice")
	whole := ssh.Marshal(jumpTo("home", 22))
	for n := range len(whole) {
		_, _, err := c.OpenChannel("direct-tcpip", whole[:n])
		var refused *ssh.OpenChannelError
		if !errors.As(err, &refused) {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
	if e := s.log.Await(t, audit.JumpRefused, "malformed"); e.Ref == "" {
		t.Errorf("%+v", e)
	}
}

// A client that opens channels and leaves them alone takes its own places, and
// its refusals don't fill the log.
func TestChannelFlood(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	c, bob := s.login("alice"), s.login("bob")
	const most = 100 // more than there may be; those that may wait to be opened
	held, refused := make(chan ssh.Channel, most), make(chan error, most)
	for range most {
		go func() {
			ch, err := c.open(jumpTo("home", 22))
			if err != nil {
				refused <- err
			}
			held <- ch
		}()
	}
	testkit.Receive(t, "a bound", refused)
	for range 200 {
		c.refused(jumpTo("home", 22))
	}
	if n := len(s.log.All(audit.JumpRefused)); n < 2 || n > 10 {
		t.Errorf("%d events for 201 refusals in a row", n)
	}
	for range 200 {
		if _, _, err := c.OpenChannel("x11", nil); err == nil {
			t.Fatal("a display is taken")
		}
		if ok, _, err := c.SendRequest("tcpip-forward", true, ssh.Marshal(struct {
			Host string
			Port uint32
		}{"127.0.0.1", 0})); ok || err != nil {
			t.Fatalf("%v, %v", ok, err)
		}
	}
	for _, e := range []struct {
		typ    audit.Type
		reason string
	}{{audit.JumpRefused, "channel-type"}, {audit.ForwardRefused, "listen"}} {
		got := s.log.Await(t, e.typ, e.reason)
		if got.Ref == "" || got.ChannelType == "" {
			t.Errorf("%+v", got)
		}
	}
	if n := len(s.log.All()); n > 40 {
		t.Errorf("%d events", n)
	}
	if out, _, err := run(t, bob.jump("home"), "say in"); out != "in" {
		t.Errorf("somebody else: %q, %v", out, err)
	}
	for range most {
		if ch := testkit.Receive(t, "a jump", held); ch != nil {
			ch.Close()
		}
	}
	testkit.Eventually(t, "places are given back", func() bool {
		ch, err := c.open(jumpTo("home", 22))
		if err == nil {
			ch.Close()
		}
		return err == nil
	})
}

// A jump whose SSH never begins is given up after the grace, with an event,
// and leaves nothing open at the target.
func TestInnerConnectionStalls(t *testing.T) {
	t.Parallel()
	// The login before it has as long, and hashes: on a slow machine that takes its time.
	grace := testkit.Bound(time.Second)
	s := newSite(t, options{options: func(o *bastion.Options) { o.Config.Login.Grace = grace }})
	c := s.login("alice")
	for _, says := range []string{"", "GET / HTTP/1.1\r\n\r\n", "SSH-2.0-x\r\n", "SSH-2.0-x\r\n" + strings.Repeat("\xff", 4096)} {
		n := len(s.log.All(audit.JumpRefused))
		ch, err := c.open(jumpTo("home", 22))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ch.Write([]byte(says)); err != nil {
			t.Fatal(err)
		}
		testkit.Finishes(t, "the channel's end", func() {
			b := make([]byte, 1<<16)
			for err == nil {
				_, err = ch.Read(b)
			}
		})
		testkit.Eventually(t, "its event", func() bool { return len(s.log.All(audit.JumpRefused)) == n+1 })
		if e := s.log.Await(t, audit.JumpRefused, "inner-handshake"); e.Target != "home.tinker" || e.Ref == "" {
			t.Errorf("%+v", e)
		}
	}
	testkit.Eventually(t, "nothing is open at home", func() bool { return s.home.open() == 0 })
}

// Without a key for the target's name entry refuses before it accepts: later
// the client would only see the channel close.
func TestNoHostKey(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	if err := os.WriteFile(filepath.Join(s.dir, "hosts", "home.tinker"), []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := s.login("alice")
	s.refusedWith(t, c.refused(jumpTo("home", 22)), audit.JumpRefused, "no-host-key")
	if n, _ := s.home.count(); n != 0 {
		t.Errorf("%d connections to home", n)
	}
}

// One target that doesn't answer holds up nobody on the same connection.
func TestSilentTarget(t *testing.T) {
	t.Parallel()
	var deaf *machine
	s := newSite(t, options{policy: func(s *site) string {
		deaf = startMachine(t, s)
		deaf.set(func(m *machine) { m.silent = true })
		return strings.Replace(s.policyText("      deaf: {address: \""+deaf.addr+"\", host_keys: [\""+deaf.key()+"\"], default_login: worker}\n", ""), "[home.tinker]", "[home.tinker, deaf.tinker]", 1)
	}})
	c := s.login("alice")
	var stalled sync.WaitGroup
	stalled.Add(1)
	var said string
	go func() {
		defer stalled.Done()
		inner, err := c.inner("deaf", nil)
		if err != nil {
			said = err.Error()
			return
		}
		_, said, _ = run(t, inner, "say in")
		inner.Close()
	}()
	testkit.Eventually(t, "the stalled dial", func() bool { return deaf.open() == 1 })
	began := time.Now()
	if out, _, err := run(t, c.jump("home"), "say in"); out != "in" {
		t.Fatalf("%q, %v", out, err)
	}
	if took := time.Since(began); took > testkit.Bound(1500*time.Millisecond) {
		t.Errorf("it took %s", took)
	}
	testkit.Finishes(t, "the stalled one's end", stalled.Wait)
	s.refusedWith(t, strings.TrimSuffix(said, "\n"), audit.UpstreamFailed, "handshake")
	testkit.Eventually(t, "nothing is open", func() bool { return deaf.open() == 0 })
}

func TestTargetDown(t *testing.T) {
	t.Parallel()
	l := testkit.Must(net.Listen("tcp", "127.0.0.1:0"))(t)
	down := l.Addr().String()
	l.Close()
	s := newSite(t, options{policy: func(s *site) string {
		return strings.Replace(s.policyText("", ""), "address: \""+s.home.addr+"\"", "address: [\""+down+"\"]", 1)
	}})
	_, said, err := run(t, s.login("alice").jump("home"), "say in")
	if err == nil {
		t.Error("a session on a machine that is off")
	}
	e := s.refusedWith(t, strings.TrimPrefix(strings.TrimSuffix(said, "\n"), "entry: "), audit.UpstreamFailed, "unreachable")
	if e.Rule == "" || e.Policy == "" || e.Destination != "home:22" {
		t.Errorf("%+v", e)
	}
	// The next address is tried.
	s.server.Access().SetPolicy(policies.Parse(t, strings.Replace(s.policyText("", ""), "address: \""+s.home.addr+"\"", "address: [\""+down+"\", \""+s.home.addr+"\"]", 1)))
	if out, _, err := run(t, s.login("alice").jump("home"), "say in"); out != "in" {
		t.Errorf("%q, %v", out, err)
	}
}
