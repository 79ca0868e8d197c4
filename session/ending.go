package session

import (
	"context"
	"io"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/audit/refusal"
	"entry/session/group"
)

func floodEnd(of string) *refusal.Error {
	return &refusal.Error{Text: "too many " + of + " at once", Code: refusal.Flood}
}

// upstreamGone ends the session once no channel is open any more. Until then
// the channels deliver what the target had sent.
func (r *relay) upstreamGone() {
	open := r.places.inUse() // a channel that was cut says so before it gives up its place
	r.mu.Lock()
	cut := r.cut
	r.mu.Unlock()
	switch {
	case open > 0:
	case cut:
		r.end(&refusal.Error{Text: "the connection to " + r.target + " was lost", Code: refusal.UpstreamLost})
	default:
		r.end(&refusal.Error{Text: r.target + " closed the connection", Code: refusal.UpstreamClosed})
	}
}

// finish serves both legs until they and every goroutine are gone.
func (r *relay) finish() {
	grace := deliveryGrace
	if r.over() {
		grace = farewellGrace
		// Only this ends the reads from the target; the client is told first.
		r.group.Go("end of the upstream connection", func() { _ = r.upstream.Conn.Close() }) // it may be gone already
	}
	late := time.NewTimer(grace)
	defer late.Stop()
	idle := make(chan struct{})
	r.group.Go("wait for the channels", func() { r.channels.Wait(); close(idle) })
	hangUp := func() { // either may be gone already
		r.group.Go("end of the upstream connection", func() { _ = r.upstream.Conn.Close() })
		r.group.Go("end of the client connection", func() { _ = r.client.Conn.Close() })
	}
	cc, cr, uc, ur := r.client.Channels, r.client.Requests, r.upstream.Channels, r.upstream.Requests
	for cc != nil || cr != nil || uc != nil || ur != nil {
		select {
		case <-idle:
			idle = nil
			hangUp()
		case <-late.C:
			hangUp()
		case nc, ok := <-cc:
			cc = stillOpen(cc, ok)
			rejectLate(nc)
		case nc, ok := <-uc:
			uc = stillOpen(uc, ok)
			rejectLate(nc)
			if !ok {
				r.closeUpGone()
			}
		case req, ok := <-cr:
			cr = stillOpen(cr, ok)
			replyLate(req)
		case req, ok := <-ur:
			ur = stillOpen(ur, ok)
			replyLate(req)
		}
	}
	close(r.hungUp)
	r.group.Wait()
}

// lost owns the calls of x/crypto's OpenChannel: those few that never return
// hold a connection's state for as long as the process runs, and nobody waits
// for them. Their panics are the session's.
var lost = group.New(context.Background(), nil)

// open opens a channel on one of the legs. x/crypto's OpenChannel never
// returns when it is called in the moment in which the connection ends, between
// the end of the open channels and that of the connection itself: so the end is
// waited for beside it, and such a call is left behind: lost owns it then, not
// the session, which would never end.
func (r *relay) open(on Leg, name string, data []byte) (ssh.Channel, <-chan *ssh.Request, error) {
	type result struct {
		ch   ssh.Channel
		reqs <-chan *ssh.Request
		err  error
	}
	done := make(chan result, 1)
	lost.Go("open of a channel", func() {
		r.group.Run("open of a channel", func() {
			ch, reqs, err := on.Intake.Open(on.Conn, name, data)
			done <- result{ch, reqs, err}
		})
	})
	gone := r.hungUp
	if on.Conn == r.upstream.Conn {
		gone = r.upGone
	}
	select {
	case o := <-done:
		return o.ch, o.reqs, o.err
	case <-gone: // also after a panic in it
	}
	select {
	case o := <-done: // both at once: what was opened is told by its own end
		return o.ch, o.reqs, o.err
	default:
		return nil, nil, io.ErrUnexpectedEOF
	}
}

func (r *relay) closeUpGone() {
	select {
	case <-r.upGone: // serve did
	default:
		close(r.upGone)
	}
}

func stillOpen[T any](c <-chan T, ok bool) <-chan T {
	if ok {
		return c
	}
	return nil
}

func rejectLate(nc ssh.NewChannel) {
	if nc != nil {
		_ = nc.Reject(ssh.ResourceShortage, "entry: the session is ending") // the peer may be gone
	}
}

func rejectOversized(nc ssh.NewChannel) {
	_ = nc.Reject(ssh.Prohibited, "entry: the request is malformed") // the peer may be gone
}

func replyLate(req *ssh.Request) {
	if req != nil {
		_ = req.Reply(isKeepAlive(req), nil) // the peer may be gone
	}
}
