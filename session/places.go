package session

import (
	"fmt"
	"sync"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/audit/plain"
	"entry/session/recording"
)

// place is what kind of channel needs one.
type place uint8

const (
	sessionPlace place = iota
	otherPlace
)

// places bounds the channels that are open, or opening, at once, and numbers
// those that were opened. It is safe for concurrent use.
type places struct {
	most [2]int

	mu      sync.Mutex // guards what follows; no other lock is taken under it
	used    [2]int
	refused [2]int // for want of one
	opened  [2]int
}

// take reserves a place; refused says how often there was none so far.
func (p *places) take(k place) (ok bool, refused int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.used[k] >= p.most[k] {
		p.refused[k]++
		return false, p.refused[k]
	}
	p.used[k]++
	return true, 0
}

func (p *places) free(k place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used[k]--
}

// number gives a channel that was opened its number within the session.
func (p *places) number(k place) *uint32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := uint32(p.opened[sessionPlace] + p.opened[otherPlace])
	p.opened[k]++
	return &n
}

// inUse is how many channels are open or opening.
func (p *places) inUse() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.used[sessionPlace] + p.used[otherPlace]
}

// counts is how many channels were opened in all.
func (p *places) counts() (sessions, others int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.opened[sessionPlace], p.opened[otherPlace]
}

// slot runs f for nc unless too many channels are open.
func (r *relay) slot(nc ssh.NewChannel, k place, f func()) {
	ok, refused := r.places.take(k)
	if !ok {
		r.full(nc, k, refused)
		return
	}
	name := "forward"
	if k == sessionPlace {
		name = "session channel"
	}
	r.owns(name, func() {
		defer r.free(k)
		f()
	})
}

// free gives a place back.
func (r *relay) free(k place) {
	r.places.free(k)
	select {
	case r.freed <- struct{}{}:
	default: // serve has yet to look
	}
}

// full rejects a channel beyond the limits. An event for each would let a
// client write the log full: there is one for the 1st, 2nd, 4th, 8th …
func (r *relay) full(nc ssh.NewChannel, k place, refused int) {
	text := fmt.Sprintf("no more than %d channels of this kind at once", r.places.most[k])
	if refused&(refused-1) != 0 {
		_ = nc.Reject(ssh.ResourceShortage, "entry: "+text) // the peer may be gone
		return
	}
	r.group.Go("note of too many channels", func() {
		e := audit.Event{Type: audit.ChannelRefused, ChannelType: plain.Escaped(nc.ChannelType(), 64), Ref: r.o.Ref(),
			Reason: "limit", Detail: fmt.Sprintf("%s; %d refused so far", text, refused)}
		r.covered(recording.Refused, nil)
		r.event(e)
		_ = nc.Reject(ssh.ResourceShortage, fmt.Sprintf("entry: %s (ref %s)", text, e.Ref)) // the peer may be gone
	})
}
