package session

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/audit/plain"
	"entry/policy"
	"entry/session/fastconn"
	"entry/session/recording"
)

// side is one end of a pipe: an ssh.Channel, or a connSide.
type side interface {
	io.ReadWriteCloser
	CloseWrite() error
}

// pipe relays the bytes of a channel that isn't a session. near is the side
// that opened it.
type pipe struct {
	f        *flow
	grant    policy.Grant
	opened   audit.Event // its Channel is nil where the pipe is all there is of the flow
	lease    *lease
	near     side
	nearReqs <-chan *ssh.Request // nil once the side closed the channel
	nearIn   *fastconn.Intake    // below near
	far      side
	farReqs  <-chan *ssh.Request
	farIn    *fastconn.Intake // below far; nil where that is no channel
	to       direction        // of what near sends

	bytes   [2]atomic.Int64 // by direction
	fact    recording.ChannelRequest
	noted   sync.Once
	over    func() // called once that is noted; may be nil
	closing bool   // both sides were closed from here; owned by own
	failed  error  // what ended it, where one side failed; owned by own
}

// carry accepts nc, the near side, which comes in by from, and relays until both
// sides closed the channel.
func (p *pipe) carry(nc ssh.NewChannel, from *fastconn.Intake) {
	near, reqs, err := from.Accept(nc)
	if err != nil { // the opener is gone
		_ = p.far.Close() // it may be gone too
		p.f.drop(p.far)
	} else {
		defer p.f.group.Go("late requests", func() { from.Discard(reqs) })
		p.near, p.nearReqs, p.nearIn = near, reqs, from
		p.own()
	}
	p.closed()
}

// own relays both directions, each with its own EOF, until both sides closed
// the channel.
func (p *pipe) own() {
	type end struct {
		to  direction
		err error
	}
	copied := make(chan end, 2)
	var out [2]*outlet
	out[p.to], out[1-p.to] = p.f.newOutlet(p.far, nil), p.f.newOutlet(p.near, nil)
	hook := p.f.newHook(p.f.o.decoder(content{channel: p.opened.ChannelType, grant: p.grant}), p.grant, p.opened, p.lease, out[towardsClient], out[towardsTarget])
	start := func(dst, src side, to direction) {
		p.f.group.Go("stream of a forward", func() {
			e := end{to: to}
			defer func() { copied <- e }()
			e.err = p.f.copy(&course{to: to, src: src, dst: out[to], most: fastconn.BulkChunk, lease: p.lease, count: &p.bytes[to], hook: hook})
			if e.err == nil && !p.lease.over() {
				_ = dst.CloseWrite() // it may be gone
			}
			p.f.drop(src)
		})
	}
	start(p.far, p.near, p.to)
	start(p.near, p.far, 1-p.to)
	for _, s := range []side{p.near, p.far} {
		if ch, ok := s.(ssh.Channel); ok {
			fastconn.DropExtended(p.f.group, ch)
		}
	}
	taken := func() int64 { return out[towardsClient].sent.Load() + out[towardsTarget].sent.Load() }

	ending, lost := p.f.ending, p.lease.ended
	var fromNear, fromFar bool // nothing more comes
	var late <-chan time.Time
	var before int64 // bytes taken when late was set
	for !fromNear || !fromFar || p.nearReqs != nil || p.farReqs != nil {
		select {
		case req, ok := <-p.nearReqs:
			p.nearIn.Asked()
			p.nearReqs = stillOpen(p.nearReqs, ok)
			replyLate(req)
		case req, ok := <-p.farReqs:
			p.farIn.Asked()
			p.farReqs = stillOpen(p.farReqs, ok)
			replyLate(req)
		case e := <-copied:
			fromNear = fromNear || e.to == p.to
			fromFar = fromFar || e.to != p.to
			if e.err != nil {
				p.fail(e.err)
			}
		case <-late:
			late = nil
			if taken() == before {
				p.close()
			}
		case <-ending:
			ending = nil
			p.close()
			if p.alone() {
				p.closed()
			}
		case <-lost:
			lost = nil
			p.close()
			p.closed()
		}
		// A side that closed the channel takes nothing any more. The other one
		// gets what is still on its way, as long as it takes it, then CLOSE as
		// well.
		nearGone, farGone := p.nearReqs == nil, p.farReqs == nil
		switch {
		case fromNear && fromFar:
			p.close()
			p.closed()
		case nearGone && fromNear, farGone && fromFar:
			p.close()
		case (nearGone || farGone) && late == nil && !p.closing:
			late, before = time.After(deliveryGrace), taken()
		}
	}
}

// fail ends the pipe for what failed in a direction. A channel that fails is
// gone, which its requests tell; nothing tells it of another connection.
func (p *pipe) fail(err error) {
	switch {
	case p.closing, p.lease.over(), !p.alone(), errors.Is(err, io.EOF), p.nearReqs == nil: // the client left
	default:
		p.failed = err
		p.close()
	}
}

// alone reports whether the flow ends with the pipe.
func (p *pipe) alone() bool { return p.opened.Channel == nil }

// closed notes, once, that the forward is over.
func (p *pipe) closed() {
	p.noted.Do(func() {
		e := p.opened
		e.Type, e.Detail = audit.ForwardClosed, ""
		e.BytesDown, e.BytesUp = p.bytes[towardsClient].Load(), p.bytes[towardsTarget].Load()
		p.fact.Coverage = recording.MetadataOf
		e.Coverage, _ = p.f.covered(p.fact.Coverage, nil)
		switch {
		case p.lease.over():
			p.lease.fill(&e)
		case p.alone() && p.f.over():
			why := p.f.cause()
			e.Reason, e.Detail = why.Code.String(), plain.OneLine(policy.Logged(why), audit.MaxDetail)
		case p.failed != nil:
			e.Reason, e.Detail = "failed", asciiLine(p.failed.Error(), audit.MaxDetail)
		}
		p.f.event(e)
		p.fact.Type, p.fact.BytesDown, p.fact.BytesUp = "channel-close", e.BytesDown, e.BytesUp
		if !p.alone() {
			p.f.frame(p.grant, recording.Request, *e.Channel, p.fact)
		}
		if p.over != nil {
			p.over()
		}
	})
}

// close closes both sides, once. That may wait for a peer, so it runs beside
// own. An error says that one is gone.
func (p *pipe) close() {
	if p.closing {
		return
	}
	p.closing = true
	for _, s := range []side{p.near, p.far} {
		if s != nil { // the near one may never have been opened
			p.f.group.Go("close of a forward", func() { _ = s.Close() })
		}
	}
}
