package bastion

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/audit/plain"
	"entry/audit/refusal"
	"entry/bastion/access"
	"entry/policy"
)

// pipeChunk is one read of a tcp forward, in bytes. An inner packet of at most
// 32,640 bytes fits one SSH packet with its framing.
const pipeChunk = 32_640

// tcpForward is one connection to a target of kind tcp: the lab's workbench,
// reached by name over -L or -D. Its bytes are counted, not recorded.
type tcpForward struct {
	grant policy.Grant // at its start
	hold  *access.Hold
	stop  context.CancelCauseFunc
}

// follow ends the forward once it has no grant any more. Nothing can be said
// on it; the event tells why.
func (f *tcpForward) follow(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.hold.Recheck():
		}
		if _, err := f.hold.Stands(); err != nil {
			var no *policy.Denied
			end := refusal.Of(err)
			if errors.As(err, &no) {
				end = &refusal.Error{Text: no.Error(), Code: refusal.PolicyChanged}
			}
			f.end(end)
			return
		}
	}
}

// spends is meter, and ends the forward with its error: once the ends are
// closed, nobody could tell why.
func (f *tcpForward) spends(meter func(int) error) func(int) error {
	return func(n int) error {
		err := meter(n)
		var why *refusal.Error
		if errors.As(err, &why) {
			f.end(why)
		}
		return err
	}
}

func (f *tcpForward) end(e *refusal.Error) { f.stop(e) }

// limit ends the forward when its grant's time is over. touched is to be
// called whenever bytes move, release at the end.
func (f *tcpForward) limit() (touched, release func()) {
	l, name := f.grant.Limits(), f.grant.Target().FullName()
	touched, release = func() {}, func() {}
	if l.Session > 0 {
		t := time.AfterFunc(l.Session, func() {
			f.end(&refusal.Error{Text: fmt.Sprintf("connections to %s end after %s", name, l.Session), Code: refusal.SessionLimit})
		})
		release = func() { t.Stop() }
	}
	if l.Idle > 0 {
		t := time.AfterFunc(l.Idle, func() {
			f.end(&refusal.Error{Text: fmt.Sprintf("nothing was sent or received for %s", l.Idle), Code: refusal.IdleLimit})
		})
		also := release
		touched, release = func() { t.Reset(l.Idle) }, func() { t.Stop(); also() }
	}
	return touched, release
}

// forward carries nch to the tcp target at tc, and returns when both ends are
// done. The events bracket it: forward.opened is durable before the client
// sees the channel open.
func (c *client) forward(ctx context.Context, nch ssh.NewChannel, g policy.Grant, tc net.Conn, port int) {
	var closed <-chan struct{} // set once the channel is open
	defer func() {
		if closed != nil {
			<-closed
		}
	}()
	defer tc.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	f := &tcpForward{grant: g, stop: cancel}
	e := access.About(g)
	e.Type, e.Rule, e.Destination = audit.AccessRefused, g.RuleFor(policy.ForwardLocal).String(), net.JoinHostPort(g.Target().FullName(), strconv.Itoa(port))
	if g.Record() != policy.Metadata { // policy has no such grant; nothing here could record it
		c.refuse(nch, ssh.Prohibited, access.Refuse("not-recorded", g.Target().FullName()+" can't be recorded as its rule demands; tell your operator", e))
		return
	}
	opened := c.login.Event(audit.ForwardOpened)
	opened.Lab, opened.Target, opened.Rule, opened.Policy, opened.Destination = e.Lab, e.Target, e.Rule, e.Policy, e.Destination
	opened.Capability, opened.ChannelType = policy.ForwardLocal.String(), "direct-tcpip"
	hold, r := c.login.Hold(access.Opening{Grant: g, End: f.end, Event: func(t audit.Type) audit.Event { e := opened; e.Type = t; return e }})
	if r != nil {
		r.Event = e
		c.refuse(nch, ssh.Prohibited, r)
		return
	}
	defer hold.Release()
	f.hold, e = hold, opened
	if err := c.s.o.Events.Append(context.WithoutCancel(ctx), e); err != nil {
		_ = nch.Reject(ssh.ConnectionFailed, "entry: the audit log can't be written, so nothing was opened; tell your operator") // the client may be gone
		return
	}
	var err error
	var up, down int64
	defer func() {
		e.Type, e.BytesUp, e.BytesDown, e.Reason = audit.ForwardClosed, up, down, "closed"
		var end *refusal.Error
		switch {
		case errors.As(context.Cause(ctx), &end), errors.As(err, &end):
			e.Reason, e.Detail = end.Code.String(), end.Text
		case err != nil:
			e.Reason, e.Detail = "failed", plain.Clip(err.Error(), maxPeer)
		}
		c.s.append(e)
	}()
	near, gone, err := c.accept(nch)
	if err != nil {
		return
	}
	closed = gone
	defer near.Close()
	stop := context.AfterFunc(ctx, func() { near.Close(); tc.Close() })
	defer stop()
	touched, release := f.limit()
	defer release()
	follow := hold.Follow(ctx)
	followed := make(chan struct{})
	c.group.Go("watch of a forward", func() { defer close(followed); f.follow(ctx) })
	defer func() { cancel(nil); follow(); <-followed }()
	alarmed := make(chan struct{}, 1)
	up, down, err = pipe(near, tc, closed, f.spends(hold.Down().Meter(ctx, touched)), f.spends(hold.Up().Meter(ctx, touched)), func() {
		select {
		case alarmed <- struct{}{}:
			alarm := e
			alarm.Type, alarm.Reason = audit.AlarmNestedSSH, "noticed"
			c.s.append(alarm)
		default: // the other direction was first
		}
	})
}

// pipe copies both ways, passes each end of data on, and closes both when both
// are done, one failed, or the client has closed the channel and what it sent
// is delivered. nested is called for each direction that begins as SSH does.
// meterDown and meterUp are asked before bytes are passed on.
func pipe(near, far net.Conn, closed <-chan struct{}, meterDown, meterUp func(n int) error, nested func()) (up, down int64, err error) {
	type result struct {
		n   int64
		err error
	}
	sent := make(chan result, 1)
	finished := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		n, err := copyChunks(far, near, meterUp, nested)
		if err == nil {
			err = closeWrite(far)
		}
		sent <- result{n, err}
		if err == nil {
			select {
			case <-closed:
			case <-finished:
			}
		}
		far.Close()
	}()
	down, err = copyChunks(near, far, meterDown, nested)
	if err == nil {
		err = closeWrite(near)
	}
	if err != nil {
		near.Close()
		far.Close()
	}
	r := <-sent
	close(finished)
	<-done
	if r.err != nil { // the copy from a connection closed above says less
		err = r.err
	}
	if isClosed(closed) {
		err = nil // the client left; whatever failed then failed because of it
	}
	return r.n, down, err
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func closeWrite(c net.Conn) error {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// greetings are how an SSH peer begins (RFC 4253 §4.2, §5.1).
var greetings = [...]string{"SSH-2.0-", "SSH-1.99-"}

// copyChunks copies until the end of src. It calls greeted when src begins as
// an SSH peer does, in however many pieces.
func copyChunks(dst io.Writer, src io.Reader, meter func(int) error, greeted func()) (n int64, err error) {
	buf := make([]byte, pipeChunk)
	head, looking := "", true
	for {
		m, rerr := src.Read(buf)
		if m > 0 {
			if err := meter(m); err != nil {
				return n, err
			}
			if looking {
				head += string(buf[:min(m, len(greetings[1])-len(head))])
				begun := false
				for _, g := range greetings {
					if strings.HasPrefix(head, g) {
						greeted()
						begun = false
						break
					}
					begun = begun || strings.HasPrefix(g, head)
				}
				looking = begun
			}
			if _, err := dst.Write(buf[:m]); err != nil {
				return n, err
			}
			n += int64(m)
		}
		if errors.Is(rerr, io.EOF) {
			return n, nil
		}
		if rerr != nil {
			return n, rerr
		}
	}
}
