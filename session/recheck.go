package session

import (
	"errors"

	"entry/audit"
	"entry/audit/refusal"
	"entry/policy"
)

// age is the number of rechecks so far. What is decided is decided at an age,
// which is taken first.
func (r *relay) age() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.rechecks
}

// stand calls add, which makes known to later rechecks what was decided at
// the given age; mu is held. A recheck that began in between can't have seen
// it, so there is another one.
func (r *relay) stand(age uint64, add func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	add()
	if r.rechecks != age {
		r.wantRecheck()
	}
}

func (r *relay) wantRecheck() {
	select {
	case r.again <- struct{}{}:
	default: // one is due already
	}
}

// recheck asks policy about all that was granted. One runs at a time.
func (r *relay) recheck() {
	r.mu.Lock()
	r.rechecks++
	r.mu.Unlock()
	g, err := r.granted(r.o.Stands)
	if err != nil {
		r.end(revoked(err))
		return
	}
	type broken struct {
		event audit.Event
		c     policy.Capability
	}
	var lost []*lease
	var gone []broken
	r.mu.Lock()
	for l := range r.leases {
		if l.lacks(g) != 0 {
			lost = append(lost, l)
			delete(r.leases, l)
		}
	}
	if r.agent && !g.Allows(policy.Agent) {
		r.agent = false
		gone = append(gone, broken{audit.Event{ChannelType: agentChannel}, policy.Agent})
	}
	if r.x11 && !g.Allows(policy.X11) {
		r.x11 = false
		gone = append(gone, broken{audit.Event{ChannelType: x11Channel}, policy.X11})
	}
	for l, x := range r.listens {
		if !l.allowed(g, x.asked) {
			delete(r.listens, l)
			r.group.Go("end of a listen", func() { r.cancelListen(l, x) })
			gone = append(gone, broken{l.event(x), policy.ForwardRemote})
		}
	}
	r.mu.Unlock()
	// Nothing of it opens or moves any more from here on; that is then noted.
	for _, l := range lost {
		l.end(r.o.Ref(), capabilityLost(g, l.lacks(g)), g.PolicyHash())
	}
	for _, b := range gone {
		b.event.Type, b.event.Ref, b.event.Policy = audit.ForwardClosed, r.o.Ref(), g.PolicyHash()
		fill(&b.event, capabilityLost(g, b.c))
		r.event(b.event)
	}
}

func capabilityLost(g policy.Grant, c policy.Capability) *refusal.Error {
	d := g.Refusal(c)
	return &refusal.Error{Text: "the policy changed: " + d.Error(), Code: refusal.CapabilityLost, Cause: d}
}

// revoked is the end of a session whose grant is gone.
func revoked(err error) *refusal.Error {
	var denied *policy.Denied
	var why *refusal.Error
	if !errors.As(err, &denied) && errors.As(err, &why) {
		return why
	}
	return &refusal.Error{Text: "the policy changed: " + refusal.Of(err).Text, Code: refusal.PolicyChanged, Cause: err}
}
