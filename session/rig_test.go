package session

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/policy"
	"entry/session/recording"
)

// memConn is one end of a buffered in-memory pipe: SSH peers both begin by
// writing, which net.Pipe can't do, and a bubble of synctest can't do sockets.
type memConn struct {
	in, out *memHalf
}

type memHalf struct {
	mu      sync.Mutex
	changed sync.Cond
	buf     []byte
	eof     bool
	stopped bool // takes nothing, like a peer whose network is gone
}

func memPipe() (net.Conn, net.Conn) {
	a, b := &memHalf{}, &memHalf{}
	a.changed.L, b.changed.L = &a.mu, &b.mu
	return &memConn{a, b}, &memConn{b, a}
}

const memLimit = 256 << 10

func (h *memHalf) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.eof = true
	h.changed.Broadcast()
}

func (c *memConn) Read(p []byte) (int, error) {
	h := c.in
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.buf) == 0 || h.stopped {
		if h.eof {
			return 0, io.EOF
		}
		h.changed.Wait()
	}
	n := copy(p, h.buf)
	if h.buf = h.buf[n:]; len(h.buf) == 0 {
		h.buf = nil
	}
	h.changed.Broadcast()
	return n, nil
}

func (c *memConn) Write(p []byte) (n int, err error) {
	h := c.out
	h.mu.Lock()
	defer h.mu.Unlock()
	for n < len(p) {
		if h.eof {
			return n, io.ErrClosedPipe
		}
		if room := memLimit - len(h.buf); room > 0 {
			k := min(room, len(p)-n)
			h.buf = append(h.buf, p[n:n+k]...)
			n += k
			h.changed.Broadcast()
		} else {
			h.changed.Wait()
		}
	}
	return n, nil
}

func (c *memConn) Close() error                     { c.in.close(); c.out.close(); return nil }
func (c *memConn) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 22} }
func (c *memConn) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 4711} }
func (c *memConn) SetDeadline(time.Time) error      { return nil }
func (c *memConn) SetReadDeadline(time.Time) error  { return nil }
func (c *memConn) SetWriteDeadline(time.Time) error { return nil }

// stop makes the peer of c deaf: what c writes stays where it is.
func (c *memConn) stop() {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	c.out.stopped = true
}

// hostKey signs for every server of the tests.
var hostKey = func() ssh.Signer {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	s, err := ssh.NewSignerFromKey(key)
	if err != nil {
		panic(err)
	}
	return s
}()

const testVersion = "SSH-2.0-OpenSSH_10.0 entry"

// connect makes an SSH connection over two ends of a pipe.
func connect(t testing.TB, c, s net.Conn) (client, server Leg) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		config := &ssh.ServerConfig{NoClientAuth: true, ServerVersion: testVersion,
			Config: ssh.Config{Ciphers: []string{ssh.CipherAES128GCM}}}
		config.AddHostKey(hostKey)
		conn, chans, reqs, err := ssh.NewServerConn(s, config)
		server = Leg{conn, chans, reqs}
		done <- err
	}()
	conn, chans, reqs, err := ssh.NewClientConn(c, "test:22", &ssh.ClientConfig{User: "alice", ClientVersion: testVersion,
		HostKeyCallback: ssh.InsecureIgnoreHostKey(), Config: ssh.Config{Ciphers: []string{ssh.CipherAES128GCM}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return Leg{conn, chans, reqs}, server
}

// policyOf is a policy in which alice may do what rule says on home.tinker.
func policyOf(t testing.TB, rule string) *policy.Policy {
	t.Helper()
	p, err := policy.Parse(policy.File{Name: "tinker.yaml", Data: []byte(`
labs:
  tinker:
    members: [alice]
    targets:
      home:
        address: 192.0.2.9
        host_keys: ["` + strings.TrimSpace(string(ssh.MarshalAuthorizedKey(hostKey.PublicKey()))) + `"]
rules:
  - name: tinker-home
    who: {users: [alice]}
    where: {targets: [home.tinker]}
` + indent(rule))})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func indent(s string) string {
	var b strings.Builder
	for line := range strings.Lines(strings.TrimSpace(s) + "\n") {
		b.WriteString("    " + strings.TrimLeft(line, " \t"))
	}
	return b.String()
}

func decider(p *policy.Policy) func() (policy.Grant, error) {
	return func() (policy.Grant, error) {
		target, _ := p.Target("home.tinker")
		return p.Decide(policy.Request{User: "alice", Target: target, Time: time.Now()})
	}
}

const (
	mayAll = `
may: [shell, exec, upload, download, forward-local, forward-remote, agent, x11]
forward_local: ["*", "/run/*"]
forward_remote: [0, 8080, "/run/lab/*"]
record: metadata`
	mayAllRecorded = `
may: [shell, exec, upload, download, forward-local, forward-remote, agent, x11]
forward_local: ["localhost:8888"]
forward_remote: [8080]
record: full`
)

// frame is one recorded fact.
type frame struct {
	kind    recording.Kind
	channel uint32
	data    string
}

// fakeRecorder keeps frames in memory and fails on demand.
type fakeRecorder struct {
	mu     sync.Mutex
	frames []frame
	failed chan struct{}
	err    error
	before func(k recording.Kind, p []byte) // called first
}

func newRecorder() *fakeRecorder { return &fakeRecorder{failed: make(chan struct{})} }

func (f *fakeRecorder) Frame(k recording.Kind, channel uint32, p []byte) error {
	if f.before != nil {
		f.before(k, p)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return f.err
	}
	f.frames = append(f.frames, frame{k, channel, string(p)})
	return nil
}

func (f *fakeRecorder) Failed() <-chan struct{} { return f.failed }

func (f *fakeRecorder) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

func (f *fakeRecorder) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
	close(f.failed)
}

// text joins what was recorded of kind.
func (f *fakeRecorder) text(kind recording.Kind) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var b strings.Builder
	for _, x := range f.frames {
		if x.kind == kind {
			b.WriteString(x.data)
		}
	}
	return b.String()
}

// rig is a relay between a client of the test and a scripted target.
type rig struct {
	t        testing.TB
	client   Leg // the user's end
	target   Leg // the target's end
	rec      *fakeRecorder
	cancel   context.CancelCauseFunc
	toClient *memConn // entry's end of the client connection
	toTarget *memConn // entry's end of the upstream connection
	sent     *spy     // what entry sends on channels that the client opened

	mu     sync.Mutex
	events []audit.Event

	done  chan struct{} // Relay returned
	stats Stats
	err   error
}

// newRig starts a relay under rule. change may adapt the options.
func newRig(t testing.TB, rule string, change func(*Options)) *rig {
	t.Helper()
	c1, c2 := memPipe()
	u1, u2 := memPipe()
	r := &rig{t: t, rec: newRecorder(), done: make(chan struct{}), sent: &spy{}, toClient: c2.(*memConn), toTarget: u1.(*memConn)}
	var client, upstream Leg
	r.client, client = connect(t, c1, c2)
	upstream, r.target = connect(t, u1, u2)
	o := Options{Decide: decider(policyOf(t, rule)), Recorder: r.rec, Event: func(e audit.Event) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.events = append(r.events, e)
		return nil
	}, Ref: func() string { return "ref00000" }}
	if change != nil {
		change(&o)
	}
	var ctx context.Context
	ctx, r.cancel = context.WithCancelCause(context.Background())
	go func() {
		defer close(r.done)
		r.stats, r.err = Relay(ctx, r.sent.on(client), upstream, o)
	}()
	go ssh.DiscardRequests(r.client.Requests)
	t.Cleanup(func() {
		r.client.Conn.Close()
		r.target.Conn.Close()
		r.wait()
		r.cancel(nil)
	})
	return r
}

// wait waits for Relay to return.
func (r *rig) wait() {
	r.t.Helper()
	select {
	case <-r.done:
	case <-time.After(20 * time.Second):
		panic("Relay doesn't return")
	}
}

func (r *rig) seen(typ audit.Type) []audit.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []audit.Event
	for _, e := range r.events {
		if e.Type == typ {
			found = append(found, e)
		}
	}
	return found
}

// serve has handle serve every session channel that reaches the target, and
// answers global requests of the client with globals (nil: refuses).
func (r *rig) serve(handle func(ssh.Channel, <-chan *ssh.Request), globals func(*ssh.Request)) {
	go func() {
		for req := range r.target.Requests {
			if globals != nil && !isKeepAlive(req) {
				globals(req)
			} else {
				_ = req.Reply(false, nil)
			}
		}
	}()
	go func() {
		for nc := range r.target.Channels {
			if nc.ChannelType() != "session" {
				_ = nc.Reject(ssh.Prohibited, "only sessions here")
				continue
			}
			ch, reqs, err := nc.Accept()
			if err == nil {
				go handle(ch, reqs)
			}
		}
	}()
}

// target program: accepts everything and runs body once something is started.
func program2(body func(ch ssh.Channel, started *ssh.Request, rest <-chan *ssh.Request)) func(ssh.Channel, <-chan *ssh.Request) {
	return func(ch ssh.Channel, reqs <-chan *ssh.Request) {
		for req := range reqs {
			_ = req.Reply(true, nil)
			if slices.Contains([]string{"shell", "exec", "subsystem"}, req.Type) {
				body(ch, req, reqs)
				break
			}
		}
		for req := range reqs {
			_ = req.Reply(false, nil)
		}
	}
}

func exitWith(ch ssh.Channel, status uint32) {
	_, _ = ch.SendRequest("exit-status", false, ssh.Marshal(struct{ S uint32 }{status}))
	_ = ch.CloseWrite()
	_ = ch.Close()
}

// open opens a session channel as the user.
func (r *rig) open() *userChannel {
	r.t.Helper()
	ch, reqs, err := r.client.Conn.OpenChannel("session", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	return collect(ch, reqs)
}

// userChannel is a session channel at the user's end, with all that came on it.
type userChannel struct {
	ssh.Channel
	mu       sync.Mutex
	out, err bytes.Buffer
	order    []string // "out", "err", "eof", requests, "close"; runs of one kind once
	exit     int      // −1 until exit-status
	signal   string
	closed   chan struct{}
}

func collect(ch ssh.Channel, reqs <-chan *ssh.Request) *userChannel {
	u := &userChannel{Channel: ch, exit: -1, closed: make(chan struct{})}
	var both sync.WaitGroup
	both.Add(2)
	pull := func(r io.Reader, into *bytes.Buffer, name string) {
		defer both.Done()
		b := make([]byte, 32<<10)
		for {
			n, err := r.Read(b)
			u.mu.Lock()
			into.Write(b[:n])
			u.mu.Unlock()
			if n > 0 {
				u.note(name)
			}
			if err != nil {
				return
			}
		}
	}
	go pull(ch, &u.out, "out")
	go pull(ch.Stderr(), &u.err, "err")
	go func() {
		for req := range reqs {
			u.note(req.Type)
			switch req.Type {
			case "exit-status":
				v, _ := parseUint32(req.Payload)
				u.mu.Lock()
				u.exit = int(v)
				u.mu.Unlock()
			case "exit-signal":
				name, _ := parseExitSignal(req.Payload)
				u.mu.Lock()
				u.signal = name
				u.mu.Unlock()
			}
			_ = req.Reply(false, nil)
		}
		both.Wait()
		u.note("close")
		close(u.closed)
	}()
	return u
}

func (u *userChannel) note(what string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if n := len(u.order); n == 0 || u.order[n-1] != what {
		u.order = append(u.order, what)
	}
}

// ends waits until the channel is closed from entry's side.
func (u *userChannel) ends(t testing.TB) *userChannel {
	t.Helper()
	select {
	case <-u.closed:
	case <-time.After(10 * time.Second):
		t.Fatalf("the channel stays open; it has %q %q %v", u.stdout(), u.stderr(), u.order)
	}
	return u
}

func (u *userChannel) stdout() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.out.String()
}

func (u *userChannel) stderr() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.err.String()
}

func (u *userChannel) request(t testing.TB, name string, payload any) bool {
	t.Helper()
	var b []byte
	switch p := payload.(type) {
	case nil:
	case []byte:
		b = p
	case string:
		b = ssh.Marshal(struct{ S string }{p})
	default:
		b = ssh.Marshal(p)
	}
	ok, err := u.SendRequest(name, true, b)
	if err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return ok && err == nil
}

type ptyPayload struct {
	Term       string
	Cols, Rows uint32
	W, H       uint32
	Modes      string
}

var testPty = ptyPayload{"xterm", 80, 24, 0, 0, "\x35\x00\x00\x00\x01\x00"}

// until waits for a condition that another goroutine brings about.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
	}
}

func wantEnd(t testing.TB, err error, reason string) {
	t.Helper()
	var end *End
	if !errors.As(err, &end) || end.Reason != reason {
		t.Fatalf("Relay = %v, want an End for %s", err, reason)
	}
}

func (r *rig) String() string { return fmt.Sprint(r.events) }
