package session

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/audit/refusal"
	"entry/e2e/testkit"
	"entry/e2e/testkit/wire"
	"entry/policy"
	"entry/session/fastconn"
	"entry/session/group"
	"entry/session/recording"
)

// fault panics, once it is on, in the place that has its name.
type fault struct {
	at      string
	answers bool // the decoder does, and lets nothing pass
	on      atomic.Bool
}

func (f *fault) reached(place string) {
	if f.on.Load() && f.at == place {
		panic("broken " + place)
	}
}

// in puts f into all that Relay is given.
func (f *fault) in(o *Options) {
	decide, event, ref := o.Decide, o.Event, o.Ref
	o.Decide = func() (policy.Grant, error) { f.reached("decide"); return decide() }
	o.Stands = func() (policy.Grant, error) { f.reached("stands"); return decide() }
	o.Event = func(e audit.Event) error { f.reached("event"); return event(e) }
	o.Ref = func() string { f.reached("ref"); return ref() }
	o.BudgetUp = faultyBudget{f}
	o.decoder = func(content) decoder { return faultyDecoder{f} }
	if rec, ok := o.Recorder.(*fakeRecorder); ok {
		rec.before = func(k recording.Kind, _ []byte) { f.reached("frame " + k.String()) }
	}
}

type faultyDecoder struct{ f *fault }

func (d faultyDecoder) data(_ direction, p []byte, r *ruling) error {
	d.f.reached("decoder")
	if d.f.on.Load() && d.f.answers {
		r.Answer(p)
		return nil
	}
	r.Pass(p, false)
	return nil
}

func (d faultyDecoder) end(direction, *ruling) error { d.f.reached("decoder's end"); return nil }

type faultyBudget struct{ f *fault }

func (b faultyBudget) Take(_ context.Context, n int64) (int64, error) {
	b.f.reached("take")
	return n, nil
}
func (b faultyBudget) Return(int64) { b.f.reached("return") }

// legs puts f into the channels of both legs.
func (f *fault) legs(client, upstream *Leg) {
	upstream.Conn = &faultyConn{upstream.Conn, f}
	client.Channels = wrapped(client.Channels, func(nc ssh.NewChannel) ssh.NewChannel { return &faultyNew{nc, f} })
}

type faultyConn struct {
	ssh.Conn
	f *fault
}

func (c *faultyConn) OpenChannel(name string, data []byte) (ssh.Channel, <-chan *ssh.Request, error) {
	c.f.reached("open")
	ch, reqs, err := c.Conn.OpenChannel(name, data)
	if err != nil {
		return nil, nil, err
	}
	return &faultyChannel{ch, c.f, "target's "}, reqs, nil
}

type faultyNew struct {
	ssh.NewChannel
	f *fault
}

func (n *faultyNew) Accept() (ssh.Channel, <-chan *ssh.Request, error) {
	n.f.reached("accept")
	ch, reqs, err := n.NewChannel.Accept()
	return &faultyChannel{ch, n.f, "client's "}, reqs, err
}

func (n *faultyNew) ChannelType() string {
	n.f.reached("dispatch")
	return n.NewChannel.ChannelType()
}

type faultyChannel struct {
	ssh.Channel
	f    *fault
	side string
}

func (c *faultyChannel) Read(p []byte) (int, error) {
	n, err := c.Channel.Read(p)
	c.f.reached(c.side + "read")
	return n, err
}

func (c *faultyChannel) Write(p []byte) (int, error) {
	c.f.reached(c.side + "write")
	return c.Channel.Write(p)
}

func (c *faultyChannel) SendRequest(name string, reply bool, p []byte) (bool, error) {
	c.f.reached(c.side + name)
	return c.Channel.SendRequest(name, reply, p)
}

// faultyWire is a net.Conn in which reading and writing panic.
type faultyWire struct {
	net.Conn
	f *fault
}

func (w faultyWire) Write(p []byte) (int, error) {
	w.f.reached("conn")
	return w.Conn.Write(p)
}

func (w faultyWire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.f.reached("conn's read")
	return n, err
}

// A panic ended the whole process where one of these goroutines had no owner.
// In each it ends its own session and says so, and another session goes on.
func TestAPanicEndsItsOwnSessionOnly(t *testing.T) {
	types := func(_ *rig, u *userChannel) { _, _ = u.Write([]byte("typed")) }
	opens := func(name string, payload []byte) func(*rig, *userChannel) {
		return func(r *rig, _ *userChannel) { _, _, _ = r.client.Conn.OpenChannel(name, payload) }
	}
	forwards := func(r *rig, _ *userChannel) {
		if ch, _, err := r.client.Conn.OpenChannel("direct-tcpip", tcpPayload("localhost", 8888)); err == nil {
			_, _ = ch.Write([]byte("sent"))
		}
	}
	for _, tt := range []struct {
		at        string
		do        func(*rig, *userChannel)
		goroutine string
	}{
		{"frame output", types, "output of a program"},
		{"frame input", types, "input of a program"},
		{"take", types, "input of a program"},
		{"client's read", types, "input of a program"},
		{"client's write", types, "output of a program"},
		{"target's read", types, "output of a program"},
		{"target's write", types, "input of a program"},
		{"conn", types, "write to a connection"},
		{"target's window-change", func(_ *rig, u *userChannel) {
			_, _ = u.SendRequest("window-change", false, ssh.Marshal(struct{ A, B, C, D uint32 }{1, 1, 0, 0}))
		}, "request on a channel"},
		{"stands", func(r *rig, _ *userChannel) { r.change <- struct{}{} }, "recheck"},
		{"decide", opens("session", nil), "session channel"},
		{"event", opens("session", nil), "session channel"},
		{"accept", opens("session", nil), "session channel"},
		{"open", opens("session", nil), "open of a channel"},
		{"dispatch", opens("session", nil), "relay"},
		{"ref", opens("direct-tcpip", tcpPayload("elsewhere", 1)), "forward"},
		{"decoder", types, "input of a program"},
		{"decoder's end", func(_ *rig, u *userChannel) { _ = u.CloseWrite() }, "input of a program"},
		{"decoder", forwards, "stream of a forward"},
		{"client's write", types, "answers of a decoder"},
		{"client's read", forwards, "stream of a forward"},
		{"target's write", forwards, "stream of a forward"},
	} {
		t.Run(tt.at+" in "+tt.goroutine, func(t *testing.T) {
			other := newRig(t, mayAll, nil)
			other.serveAll()
			unharmed := other.open()
			if !unharmed.request(t, "exec", "cat") {
				t.Fatal("exec was refused")
			}

			f := &fault{at: tt.at, answers: tt.goroutine == "answers of a decoder"}
			g := group.New(t.Context(), nil)
			change := make(chan struct{}, 1)
			r := newRigOf(t, mayAllRecorded+"\nrecord_input: true", rigging{ctx: g.Context(), legs: f.legs,
				change: func(o *Options) { f.in(o); o.Recheck = change },
				conn:   func(c net.Conn) net.Conn { return fastconn.Coalesce(g, faultyWire{c, f}) }})
			r.serveAll()
			u := r.open()
			if !u.request(t, "pty-req", testPty) || !u.request(t, "shell", nil) {
				t.Fatal("a shell was refused")
			}
			r.change = change
			f.on.Store(true)
			tt.do(r, u)

			r.wait()
			wantEnd(t, r.err, refusal.Internal)
			var p *group.Panic
			if !errors.As(r.err, &p) || p.Name != tt.goroutine || p.Value != "broken "+tt.at {
				t.Errorf("the cause is %v, want %q in %q", r.err, "broken "+tt.at, tt.goroutine)
			}
			if u.ends(t); !strings.Contains(u.stderr(), "\r\nentry: internal error\r\n") {
				t.Errorf("the user reads %q", u.stderr())
			}
			g.Wait()

			if _, err := unharmed.Write([]byte("still here")); err != nil {
				t.Fatal(err)
			}
			testkit.Eventually(t, "the other session's echo", func() bool { return unharmed.stdout() == "still here" })
		})
	}
}

func TestAPanicEndsItsOwnRefusalOnly(t *testing.T) {
	for _, at := range []string{"dispatch", "accept", "client's exit-status"} {
		t.Run(at, func(t *testing.T) {
			a, b := wire.Pipe()
			user, client := connect(t, a, b)
			go ssh.DiscardRequests(user.Requests)
			f := &fault{at: at}
			f.on.Store(true)
			f.legs(&client, &Leg{})
			done := make(chan struct{})
			go func() {
				defer close(done)
				Refuse(t.Context(), client, "home.tinker is down")
			}()
			if ch, reqs, err := user.Conn.OpenChannel("session", nil); err == nil {
				collect(ch, reqs).request(t, "exec", "id")
			}
			<-done
			if err := user.Conn.Wait(); err == nil {
				t.Error("the connection stays open")
			}
		})
	}
}

func TestAPanicEndsItsOwnForwardOnly(t *testing.T) {
	sends := func(l *crossing) { _, _ = l.Write([]byte("sent")) }
	answers := func(l *crossing) { _, _ = l.target.Write([]byte("answered")) }
	for _, tt := range []struct {
		at        string
		do        func(*crossing)
		goroutine string
	}{
		{"conn", sends, "stream of a forward"},
		{"take", sends, "stream of a forward"},
		{"decoder", sends, "stream of a forward"},
		{"conn's read", answers, "stream of a forward"},
		{"stands", nil, "recheck"},
	} {
		t.Run(tt.at, func(t *testing.T) {
			a, b := wire.Pipe()
			unharmed := newCrossing(t, mayForward, a, b, nil)
			f := &fault{at: tt.at}
			far, target := wire.Pipe()
			change := make(chan struct{}, 1)
			l := newCrossing(t, mayForward, faultyWire{far, f}, target, func(o *Options) { f.in(o); o.Recheck = change })
			f.on.Store(true)
			if tt.do != nil {
				tt.do(l)
			} else {
				change <- struct{}{}
			}
			<-l.over
			if e := l.closed(); e.Reason != refusal.Internal.String() || e.Detail != "internal error" {
				t.Errorf("%+v", e)
			}
			<-l.done
			var p *group.Panic
			if !errors.As(l.err, &p) || p.Name != tt.goroutine || p.Value != "broken "+tt.at {
				t.Errorf("the cause is %v, want %q in %q", l.err, "broken "+tt.at, tt.goroutine)
			}
			if _, err := target.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("the target's connection is open: %v", err)
			}
			sends(unharmed)
			if _, err := io.ReadFull(b, make([]byte, 4)); err != nil {
				t.Error("another forward was harmed:", err)
			}
		})
	}
}
