package session

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/audit/refusal"
	"entry/e2e/testkit"
	"entry/e2e/testkit/logbook"
	"entry/e2e/testkit/policies"
	"entry/e2e/testkit/wire"
	"entry/policy"
	"entry/session/fastconn"
	"entry/session/recording"
)

// connect makes an SSH connection over two ends of a pipe.
func connect(t testing.TB, c, s net.Conn) (client, server Leg) {
	t.Helper()
	near, far := wire.SSH(t, c, s)
	return Leg{Conn: near.Conn, Channels: near.Channels, Requests: near.Requests}, Leg{Conn: far.Conn, Channels: far.Channels, Requests: far.Requests}
}

// policyOf is a policy in which alice may do what rule says on home.tinker.
func policyOf(t testing.TB, rule string) *policy.Policy {
	t.Helper()
	fields := []string{"who: {users: [alice]}", testkit.On("home")}
	for line := range strings.Lines(strings.TrimSpace(rule)) {
		fields = append(fields, strings.TrimSpace(line))
	}
	return policies.New(t, []string{"alice"}, []string{testkit.TargetLine("home", "192.0.2.9", testkit.Authorized(wire.HostKey.PublicKey()))},
		testkit.Rule("tinker-home", fields...))
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

// fail makes every frame from now on fail.
func (f *fakeRecorder) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
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
	toClient *wire.Conn      // entry's end of the client connection
	toTarget *wire.Conn      // entry's end of the upstream connection
	sent     *spy            // what entry sends on channels that the client opened
	change   chan<- struct{} // Options.Recheck, where a test uses it

	log logbook.Log // what Options.Event took

	done  chan struct{} // Relay returned
	stats Stats
	err   error
}

// into is an Options.Event that keeps events in l.
func into(l *logbook.Log) func(audit.Event) error {
	return func(e audit.Event) error { return l.Append(context.Background(), e) }
}

// newRig starts a relay under rule. change may adapt the options.
func newRig(t testing.TB, rule string, change func(*Options)) *rig {
	t.Helper()
	return newRigOf(t, rule, rigging{change: change})
}

// rigging is what a test may put into a rig; nil changes nothing.
type rigging struct {
	change func(*Options)
	conn   func(net.Conn) net.Conn     // entry's end of the upstream connection
	legs   func(client, upstream *Leg) // that Relay gets
	ctx    context.Context             // of Relay
}

func newRigOf(t testing.TB, rule string, with rigging) *rig {
	t.Helper()
	c1, c2 := wire.Pipe()
	u1, u2 := wire.Pipe()
	r := &rig{t: t, rec: newRecorder(), done: make(chan struct{}), sent: &spy{}, toClient: c2, toTarget: u1}
	var client, upstream Leg
	conn := net.Conn(u1)
	if with.conn != nil {
		conn = with.conn(conn)
	}
	fromClient, fromTarget := fastconn.NewIntake(c2), fastconn.NewIntake(conn)
	r.client, client = connect(t, c1, fromClient)
	upstream, r.target = connect(t, fromTarget, u2)
	client.Intake, upstream.Intake = fromClient, fromTarget
	fromClient.LoggedIn()
	fromTarget.LoggedIn()
	o := Options{Decide: decider(policyOf(t, rule)), Recorder: r.rec, Event: into(&r.log), Ref: func() string { return "ref00000" }}
	if with.change != nil {
		with.change(&o)
	}
	for _, i := range []*fastconn.Intake{fromClient, fromTarget} {
		t.Cleanup(o.Backlog.Watch(i, func() { _ = i.Close() }))
	}
	if with.ctx == nil {
		with.ctx = context.Background()
	}
	var ctx context.Context
	ctx, r.cancel = context.WithCancelCause(with.ctx)
	client = r.sent.on(client)
	if with.legs != nil {
		with.legs(&client, &upstream)
	}
	go func() {
		defer close(r.done)
		r.stats, r.err = Relay(ctx, client, upstream, o)
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
	testkit.Receive(r.t, "Relay returns", r.done)
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

// accepting is a target that grants every request and runs body once a program
// is asked for.
func accepting(body func(ch ssh.Channel, started *ssh.Request, rest <-chan *ssh.Request)) func(ssh.Channel, <-chan *ssh.Request) {
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

func wantEnd(t testing.TB, err error, reason refusal.Code) {
	t.Helper()
	var end *refusal.Error
	if !errors.As(err, &end) || end.Code != reason {
		t.Fatalf("Relay = %v, want an End for %s", err, reason)
	}
}

// mayNot is what a user reads who lacks a capability on home.tinker.
func mayNot(name string) string {
	c, _ := policy.ParseCapability(name)
	return (&policy.Denied{User: "alice", Target: "home.tinker", Capability: c}).Told()
}
