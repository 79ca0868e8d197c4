package session

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/policy"
	"entry/session/fastconn"
	"entry/session/recording"
)

// pipe relays the bytes of a channel that isn't a session. near is the side
// that opened it.
type pipe struct {
	r        *relay
	grant    policy.Grant
	opened   audit.Event
	near     ssh.Channel
	lease    *lease
	nearReqs <-chan *ssh.Request
	far      ssh.Channel
	farReqs  <-chan *ssh.Request
	to       direction // of what near sends

	bytes   [2]atomic.Int64 // by direction
	fact    channelFact
	noted   sync.Once
	alarmed atomic.Bool
	refused atomic.Bool
}

// own relays both directions, each with its own EOF, until both sides closed
// the channel.
func (p *pipe) own() {
	copied := make(chan direction, 2)
	start := func(dst, src ssh.Channel, to direction) {
		p.r.group.Go("stream of a forward", func() {
			defer func() { copied <- to }()
			p.r.copy(course{to: to, src: &sniffer{p: p, src: src}, dst: p.r.newOutlet(dst, nil), most: fastconn.BulkChunk, lease: p.lease, count: &p.bytes[to]})
			if p.refused.Load() || p.lease.over() {
				p.close()
				return
			}
			_ = dst.CloseWrite() // it may be gone
		})
	}
	start(p.far, p.near, p.to)
	start(p.near, p.far, 1-p.to)

	ending, lost := p.r.ending, p.lease.ended
	var fromNear, fromFar bool // nothing more comes
	var late <-chan time.Time
	for !fromNear || !fromFar || p.nearReqs != nil || p.farReqs != nil {
		select {
		case req, ok := <-p.nearReqs:
			p.nearReqs = stillOpen(p.nearReqs, ok)
			replyLate(req)
		case req, ok := <-p.farReqs:
			p.farReqs = stillOpen(p.farReqs, ok)
			replyLate(req)
		case to := <-copied:
			fromNear = fromNear || to == p.to
			fromFar = fromFar || to != p.to
		case <-late:
			p.close()
		case <-ending:
			ending = nil
			p.close()
		case <-lost:
			lost = nil
			p.close()
			p.closed()
		}
		// A side that closed the channel takes nothing any more. The other one
		// gets what is still on its way, for a while, then CLOSE as well.
		nearGone, farGone := p.nearReqs == nil, p.farReqs == nil
		switch {
		case fromNear && fromFar, nearGone && fromNear, farGone && fromFar:
			p.close()
		case (nearGone || farGone) && late == nil:
			late = time.After(deliveryGrace)
		}
	}
}

// closed notes, once, that the forward is over.
func (p *pipe) closed() {
	p.noted.Do(func() {
		e := p.opened
		e.Type, e.Detail = audit.ForwardClosed, ""
		e.BytesDown, e.BytesUp = p.bytes[towardsClient].Load(), p.bytes[towardsTarget].Load()
		if p.refused.Load() {
			e.Reason = "nested-ssh"
		} else {
			p.lease.fill(&e)
		}
		p.r.event(e)
		p.fact.Type, p.fact.BytesDown, p.fact.BytesUp = "channel-close", e.BytesDown, e.BytesUp
		p.r.frame(p.grant, recording.Request, *e.Channel, p.fact)
	})
}

// close closes both sides. An error says that one is gone or was sent CLOSE
// already.
func (p *pipe) close() {
	_ = p.near.Close()
	_ = p.far.Close()
}

var errNested = errors.New("an SSH connection inside a forward")

// sniffer looks at the first bytes of one direction of a forward. An SSH
// connection inside it would be out of sight: an alarm, and under a full
// recording the end of the forward. Whoever disguises the stream gets past;
// what holds is that a full recording admits listed destinations only.
type sniffer struct {
	p    *pipe
	src  ssh.Channel
	head []byte
	done bool
}

const (
	greeting    = "SSH-2.0-"
	oldGreeting = "SSH-1.99-" // a server that speaks both, RFC 4253 §5.1
)

func (s *sniffer) Read(b []byte) (int, error) {
	n, err := s.src.Read(b)
	if s.done || n == 0 {
		return n, err
	}
	s.head = append(s.head, b[:min(n, len(oldGreeting)-len(s.head))]...)
	head := string(s.head)
	switch {
	case strings.HasPrefix(head, greeting), strings.HasPrefix(head, oldGreeting):
		s.done, s.head = true, nil
		if s.p.alarm() {
			return 0, errNested
		}
	case !strings.HasPrefix(greeting, head) && !strings.HasPrefix(oldGreeting, head):
		s.done, s.head = true, nil
	}
	return n, err
}

// alarm notes the nested connection once and reports whether it is refused.
func (p *pipe) alarm() (refused bool) {
	refused = p.grant.Record() == policy.Full
	if refused {
		p.refused.Store(true)
	}
	if !p.alarmed.Swap(true) {
		e := p.opened
		e.Type, e.Reason = audit.AlarmNestedSSH, "noticed"
		if refused {
			e.Reason = "refused"
		}
		p.r.event(e)
	}
	return refused
}
