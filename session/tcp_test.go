package session

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/audit/refusal"
	"entry/e2e/testkit/logbook"
	"entry/e2e/testkit/wire"
	"entry/policy"
)

// crossing is a running Forward between a channel of the test and a conn.
type crossing struct {
	ssh.Channel          // the user's end
	target      net.Conn // the target's end
	user        ssh.Conn // that the channel is on
	entry       *wire.Conn
	end         func(error) // cancels Forward's context
	over        chan struct{}
	done        chan struct{} // Forward returned
	err         error         // of it
	refused     error         // of the opening

	log logbook.Log // what Options.Event took
}

func (l *crossing) closed() audit.Event {
	all := l.log.All()
	e := all[len(all)-1]
	if e.Type != audit.ForwardClosed {
		return audit.Event{Type: "missing: " + audit.ForwardClosed}
	}
	return e
}

// newCrossing opens a forward to the other end of target, under rule.
func newCrossing(t testing.TB, rule string, far, target net.Conn, change func(*Options)) *crossing {
	t.Helper()
	a, b := wire.Pipe()
	user, server := connect(t, a, b)
	go ssh.DiscardRequests(user.Requests)
	go ssh.DiscardRequests(server.Requests)
	l := &crossing{target: target, user: user.Conn, entry: b, over: make(chan struct{}), done: make(chan struct{})}
	o := Options{Decide: decider(policyOf(t, rule)), Ref: func() string { return "ref00000" }, Event: into(&l.log)}
	if change != nil {
		change(&o)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	l.end = cancel
	go func() {
		defer close(l.done)
		nc, ok := <-server.Channels
		if !ok {
			return
		}
		l.err = Forward(ctx, nc, far, o, func() { close(l.over) })
	}()
	t.Cleanup(func() {
		user.Conn.Close()
		server.Conn.Close()
		target.Close()
		<-l.done
		cancel(nil)
	})
	ch, reqs, err := user.Conn.OpenChannel("direct-tcpip", tcpPayload("workbench", 80))
	if err != nil {
		l.refused = err
		return l
	}
	go ssh.DiscardRequests(reqs)
	l.Channel = ch
	return l
}

const mayForward = "may: [forward-local]\nforward_local: [\"*\"]\nrecord: metadata"

func TestForwardToAConn(t *testing.T) {
	far, target := wire.TCP(t)
	l := newCrossing(t, mayForward, far, target, nil)
	text := strings.Repeat("0123456789", 300_000)
	go func() {
		_, _ = io.WriteString(l, text)
		_ = l.CloseWrite()
	}()
	if b, err := io.ReadAll(target); string(b) != text || err != nil {
		t.Errorf("%d bytes came, %v", len(b), err)
	}
	// The other direction is still open.
	go func() {
		_, _ = io.WriteString(target, text+"end")
		_ = target.(*net.TCPConn).CloseWrite()
	}()
	if b, err := io.ReadAll(l); string(b) != text+"end" || err != nil {
		t.Errorf("%d bytes came back, %v", len(b), err)
	}
	<-l.over
	if e := l.closed(); e.BytesUp != 3_000_000 || e.BytesDown != 3_000_003 || e.Reason != "" || e.Ref != "" {
		t.Errorf("%+v", e)
	}
	if e := l.log.All()[0]; e.Type != audit.ForwardOpened || e.ChannelType != "direct-tcpip" || e.Capability != "forward-local" || e.Rule == "" || e.Policy == "" {
		t.Errorf("%+v", e)
	}
	if <-l.done; l.err != nil {
		t.Error(l.err)
	}
}

// What ends a forward ends it at once, whatever its client does: this one takes
// nothing and answers nothing.
func TestForwardEndsWithWhatItRestsOn(t *testing.T) {
	gone := errors.New("no such rule")
	for _, c := range []struct {
		name, limits string
		change       func(*Options, chan struct{})
		act          func(*crossing, chan struct{})
		after        time.Duration
		reason, text string
		ref          string
	}{
		{name: "its context", act: func(l *crossing, _ chan struct{}) {
			l.end(&refusal.Error{Code: "killed", Text: "an operator ended it"})
		}, reason: "killed", text: "an operator ended it"},
		{name: "its grant", act: func(_ *crossing, change chan struct{}) { change <- struct{}{} },
			change: func(o *Options, _ chan struct{}) {
				o.Stands = func() (policy.Grant, error) { return policy.Grant{}, gone }
			}, reason: "policy-changed", text: "the policy changed: access can't be checked right now"},
		{name: "its capability", act: func(_ *crossing, change chan struct{}) { change <- struct{}{} },
			change: func(o *Options, _ chan struct{}) {
				o.Stands = decider(policyOf(t, mayLittle))
			}, reason: "capability-lost", text: "the policy changed: rule tinker-home (tinker.yaml:7) does not allow forward-local", ref: "ref00000"},
		{name: "its session limit", limits: "\nlimits: {session: 1h}", after: time.Hour,
			reason: "session-limit", text: "connections to home.tinker end after 1h0m0s"},
		{name: "its idle limit", limits: "\nlimits: {idle: 10m}", after: 10 * time.Minute,
			reason: "idle-limit", text: "nothing was sent or received for 10m0s"},
		{name: "its budget", change: func(o *Options, _ chan struct{}) { o.BudgetDown = newPurse(10) },
			reason: "budget-spent", text: "today's 1 MB towards this client are used up", ref: "ref00000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				change := make(chan struct{}, 1)
				far, target := wire.Pipe()
				l := newCrossing(t, mayForward+c.limits, far, target, func(o *Options) {
					o.Recheck = change
					if c.change != nil {
						c.change(o, change)
					}
				})
				began := time.Now()
				l.entry.Stop() // the client's network is gone
				go func() {
					for {
						if _, err := target.Write(make([]byte, 64<<10)); err != nil {
							return
						}
					}
				}()
				synctest.Wait()
				if c.act != nil {
					c.act(l, change)
				}
				<-l.over
				if d := time.Since(began); d < c.after || d > c.after+2*time.Second {
					t.Errorf("it ended after %v, not %v", d, c.after)
				}
				if e := l.closed(); e.Reason != c.reason || e.Detail != c.text || e.Ref != c.ref {
					t.Errorf("%+v", e)
				}
				if _, err := target.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
					t.Errorf("the target's connection is open: %v", err)
				}
				select {
				case <-l.done:
					t.Error("the place was given back while the client has the channel open")
				default:
				}
			})
		})
	}
}

// Without what tells failures from ends, the client would wait for more.
func TestForwardToAConnThatFails(t *testing.T) {
	far, target := wire.TCP(t)
	l := newCrossing(t, mayForward, far, target, nil)
	_, _ = io.WriteString(l, "x")
	if _, err := io.ReadFull(target, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	_ = target.(*net.TCPConn).SetLinger(0) // a reset
	target.Close()
	if b, err := io.ReadAll(l); len(b) != 0 || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	<-l.over
	if e := l.closed(); e.Reason != "failed" || !strings.Contains(e.Detail, "connection reset by peer") {
		t.Errorf("%+v", e)
	}
	if _, err := io.WriteString(l, "more"); err == nil {
		t.Error("the channel takes more")
	}
}

// A client that closes the channel is done; what it sent is still delivered for
// as long as the target takes some of it.
func TestForwardDeliversWhatTheClientLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far, target := wire.Pipe()
		l := newCrossing(t, mayForward, far, target, nil)
		const sent = 1 << 20
		if _, err := l.Write(make([]byte, sent)); err != nil {
			t.Fatal(err)
		}
		l.Close()
		p := make([]byte, 100_000)
		got := 0
		for range 8 { // much slower than deliveryGrace in all
			time.Sleep(time.Second)
			n, err := io.ReadFull(target, p)
			if err != nil {
				t.Fatal(err)
			}
			got += n
		}
		began := time.Now() // from here on it takes nothing
		<-l.over
		if d := time.Since(began); d > 2*deliveryGrace {
			t.Errorf("it ended after %v", d)
		}
		if e := l.closed(); e.Reason != "" || e.BytesUp < int64(got) {
			t.Errorf("%+v", e)
		}
		<-l.done
	})
}

func TestForwardThatIsRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Options)
		want   string
	}{
		{"by policy", func(o *Options) { o.Decide = decider(policyOf(t, mayLittle)) },
			"entry: " + mayNot("forward-local") + " (ref ref00000)"},
		{"for want of a recorder", func(o *Options) { o.Decide = decider(policyOf(t, mayAllRecorded)) },
			"entry: recording is required but isn't running; reconnect to start one (ref ref00000)"},
		{"by the log", func(o *Options) { o.Event = func(audit.Event) error { return errors.New("no space left") } },
			"entry: the audit log can't be written, so nothing was opened; tell your lab's administrator"},
	} {
		t.Run(c.name, func(t *testing.T) {
			far, target := wire.Pipe()
			l := newCrossing(t, mayForward, far, target, c.change)
			var no *ssh.OpenChannelError
			if !errors.As(l.refused, &no) || no.Message != c.want {
				t.Errorf("%v, want %q", l.refused, c.want)
			}
			<-l.over
			<-l.done
			if _, err := target.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("the target's connection is open: %v", err)
			}
		})
	}
}
