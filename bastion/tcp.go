package bastion

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strconv"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/policy"
	"entry/session"
)

// pipeChunk is one read of a tcp forward, in bytes. An inner packet of at most
// 32,640 bytes fits one SSH packet with its framing.
const pipeChunk = 32_640

// errNestedSSH ends a forward that turned out to be SSH where recording is
// required: nothing inside it could be recorded.
var errNestedSSH = errors.New("SSH inside a forward")

// tcpForward is one connection to a target of kind tcp: the lab's workbench,
// reached by name over -L or -D. Its bytes are counted, not recorded.
type tcpForward struct {
	c     *client
	grant policy.Grant
	stop  context.CancelCauseFunc
}

func (f *tcpForward) owner() string { return f.c.who.User() }

func (f *tcpForward) decide() (policy.Grant, error) {
	if err := f.c.revoked(); err != nil {
		return policy.Grant{}, err
	}
	p := f.c.s.policy.Load()
	no := &policy.Denied{User: f.owner(), Target: f.grant.Target().FullName(), Capability: policy.ForwardLocal}
	t, ok := p.Target(no.Target)
	if !ok {
		return policy.Grant{}, no
	}
	if _, r := f.c.decide(p, t); r != nil {
		return policy.Grant{}, no
	}
	return f.grant, nil
}

func (f *tcpForward) end(e *session.End) { f.stop(e) }

// forward carries nch to the tcp target at tc, and returns when both ends are
// done. The events bracket it: forward.opened is durable before the client
// sees the channel open.
func (c *client) forward(ctx context.Context, nch ssh.NewChannel, g policy.Grant, tc net.Conn, port int) {
	defer tc.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	f := &tcpForward{c: c, grant: g, stop: cancel}
	c.s.live.add(f)
	defer c.s.live.remove(f)
	// Registered first, then checked again: see opening.start.
	if _, err := f.decide(); err != nil {
		c.refuse(nch, ssh.Prohibited, refusal{why: "revoked", event: audit.AccessRefused, lab: g.Target().Lab, target: g.Target().FullName(), text: userText(err)})
		return
	}
	e := audit.Event{Type: audit.ForwardOpened, Conn: c.id, User: c.who.User(), Source: c.source.String(), Lab: g.Target().Lab, Target: g.Target().FullName(),
		Rule: g.RuleFor(policy.ForwardLocal).String(), Policy: g.PolicyHash(), Capability: policy.ForwardLocal.String(), ChannelType: "direct-tcpip",
		Destination: net.JoinHostPort(g.Target().FullName(), strconv.Itoa(port))}
	if err := c.s.o.Events.Append(ctx, e); err != nil {
		_ = nch.Reject(ssh.ConnectionFailed, "entry: the audit log can't be written, so nothing was opened; tell your operator")
		return
	}
	ch, reqs, err := nch.Accept()
	if err != nil {
		return
	}
	c.goes(func() { ssh.DiscardRequests(reqs) })
	stop := context.AfterFunc(ctx, func() { ch.Close(); tc.Close() })
	defer stop()
	up, down, err := pipe(ch, tc, func() error {
		alarm := e
		alarm.Type = audit.AlarmNestedSSH
		c.s.append(alarm)
		if g.Record() == policy.Full {
			return errNestedSSH
		}
		return nil
	})
	e.Type, e.BytesUp, e.BytesDown, e.Reason = audit.ForwardClosed, up, down, "closed"
	var end *session.End
	switch {
	case errors.As(context.Cause(ctx), &end):
		e.Reason, e.Detail = end.Reason, end.Text
	case errors.Is(err, errNestedSSH):
		e.Reason = "nested-ssh"
	case err != nil:
		e.Reason, e.Detail = "failed", clip(err.Error())
	}
	c.s.append(e)
}

// pipe copies both ways, passes each end of data on, and closes both when both
// are done or one failed. nested is asked when the target speaks SSH.
func pipe(ch ssh.Channel, tc net.Conn, nested func() error) (up, down int64, err error) {
	upErr := make(chan error, 1)
	go func() {
		var err error
		up, err = copyChunks(tc, ch, nil)
		if half, ok := tc.(interface{ CloseWrite() error }); ok && err == nil {
			err = half.CloseWrite()
		}
		if err != nil {
			tc.Close()
		}
		upErr <- err
	}()
	down, err = copyChunks(ch, tc, nested)
	if err == nil {
		err = ch.CloseWrite()
	}
	if err != nil {
		tc.Close()
		ch.Close()
	}
	if uerr := <-upErr; err == nil {
		err = uerr
	}
	ch.Close()
	return up, down, err
}

// copyChunks copies until the end of src. greeting, where set, is asked when
// src begins as an SSH peer does.
func copyChunks(dst io.Writer, src io.Reader, greeting func() error) (n int64, err error) {
	buf := make([]byte, pipeChunk)
	for {
		m, rerr := src.Read(buf)
		if n == 0 && greeting != nil && bytes.HasPrefix(buf[:m], []byte("SSH-2.0-")) {
			if err := greeting(); err != nil {
				return n, err
			}
		}
		if m > 0 {
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
