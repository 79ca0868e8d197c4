package session

import (
	"context"
	"net"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/audit/refusal"
	"entry/policy"
)

// Forward relays nc, a channel that a client has opened, to far, a connection
// that isn't SSH, under one grant that allows forward-local. Of the options, it
// needs what Relay needs; Messages and what is about session channels and legs
// mean nothing to it. Its events are forward.opened, which is durable before
// the client sees the channel open, forward.closed, with why it ended and what
// was moved, and alarm.nested-ssh; or forward.refused.
//
// Each direction ends by itself. Forward ends both when the client has closed
// the channel and far has taken what it sent, when far fails, when a limit or
// budget of the grant is reached, when what it rests on is gone, and when ctx
// is cancelled, whose cause the event tells. A client that does nothing keeps it
// from none of that, but may keep its channel: over is called once, when nothing
// is moved any more, far is closed and forward.closed is durable; Forward
// returns when the client has closed the channel too. All its goroutines are
// done by then. The error is nil if one of the peers ended it, else a
// *refusal.Error.
func Forward(ctx context.Context, nc ssh.NewChannel, far net.Conn, o Options, over func()) error {
	end := &connSide{Conn: far, gone: make(chan *ssh.Request)}
	defer far.Close()
	over = sync.OnceFunc(over)
	defer over()
	f, g, err := newFlow(ctx, o)
	e := audit.Event{Type: audit.ForwardRefused, ChannelType: nc.ChannelType(), Capability: policy.ForwardLocal.String()}
	if err == nil && !g.Allows(policy.ForwardLocal) {
		err = refusal.Of(g.Refusal(policy.ForwardLocal))
	}
	if err != nil {
		f.refuse(nc, ssh.Prohibited, e, refusal.Of(err))
		return err
	}
	if err := f.o.Backlog.Await(ctx); err != nil {
		f.end(err)
		rejectLate(nc)
		return f.result()
	}
	e.Type, e.Policy, e.Rule = audit.ForwardOpened, g.PolicyHash(), g.RuleFor(policy.ForwardLocal).String()
	if !f.event(e) {
		_ = nc.Reject(ssh.ConnectionFailed, "entry: "+asciiLine(f.o.Contact.In("the audit log can't be written, so nothing was opened; tell your lab's administrator"), maxText)) // the client may be gone
		return f.result()
	}
	l := newLease(func(g policy.Grant) policy.Capability {
		if g.Allows(policy.ForwardLocal) {
			return 0
		}
		return policy.ForwardLocal
	})
	f.leases[l] = struct{}{} // no recheck runs yet
	p := &pipe{f: f, grant: g, opened: e, lease: l, far: end, farReqs: end.gone, to: towardsTarget}
	p.over = func() {
		_ = end.Close() // it may be closed already
		f.meter.giveBack()
		over()
	}
	f.serveOne(ctx, g.Limits(), func() { p.carry(nc, o.Intake) })
	p.close() // only a panic has left anything open
	p.closed()
	f.group.Wait()
	return f.result()
}

// serveOne runs carry, which is all that the flow is for, and ends it by what
// the flow rests on.
func (f *flow) serveOne(ctx context.Context, limits policy.Limits, carry func()) {
	done := make(chan struct{})
	f.group.Go("forward", func() {
		defer close(done)
		carry()
	})
	clock := f.newClock(limits, "connections to")
	defer clock.stop()
	rest := time.NewTicker(f.o.UpstreamKeepAlive.Interval)
	defer rest.Stop()
	recheck := f.o.Recheck
	var movedBefore int64
	for {
		select {
		case <-done:
			return
		case <-f.ending:
			<-done
			return
		case <-ctx.Done():
			f.end(context.Cause(ctx))
		case <-f.unrecordable():
			f.unrecorded(f.o.Recorder.Err())
		case <-clock.c:
			clock.struck()
		case _, ok := <-recheck:
			if !ok {
				recheck = nil
				continue
			}
			f.wantRecheck()
		case <-rest.C:
			moved := f.meter.bytes()
			if moved == movedBefore {
				f.group.Go("return of budgets", f.meter.giveBack)
			}
			movedBefore = moved
		}
	}
}

// connSide makes a side of a pipe of a conn. Its end is told as that of a
// channel is, by the requests that no longer come.
type connSide struct {
	net.Conn
	gone chan *ssh.Request
	once sync.Once
}

func (c *connSide) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

func (c *connSide) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		err = c.Conn.Close()
		close(c.gone)
	})
	return err
}
