package session

import (
	"errors"

	"entry/audit"
	"entry/audit/refusal"
	"entry/policy"
)

// age is the number of rechecks so far. What is decided is decided at an age,
// which is taken first.
func (f *flow) age() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.rechecks
}

// stand calls add, which makes known to later rechecks what was decided at
// the given age; mu is held. A recheck that began in between can't have seen
// it, so there is another one.
func (f *flow) stand(age uint64, add func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	add()
	if f.rechecks != age {
		f.recheckOnce()
	}
}

// wantRecheck has all that was granted decided anew. It doesn't wait.
func (f *flow) wantRecheck() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.recheckOnce()
}

// recheckOnce is wantRecheck with mu held. One runs at a time; what comes
// meanwhile counts as one.
func (f *flow) recheckOnce() {
	f.due = true
	if !f.asking {
		f.asking = true
		f.group.Go("recheck", func() {
			for f.nextRecheck() {
				f.recheck()
			}
		})
	}
}

func (f *flow) nextRecheck() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.due || f.over() {
		f.asking = false
		return false
	}
	f.due = false
	f.rechecks++
	return true
}

// broken is something granted, beside what has a lease, that a recheck took
// away: a listen, agent, X11.
type broken struct {
	event audit.Event
	c     policy.Capability
}

// recheck asks policy about all that was granted.
func (f *flow) recheck() {
	g, err := f.granted(f.o.Stands)
	if err != nil {
		f.end(revoked(err))
		return
	}
	var lost []*lease
	var gone []broken
	f.mu.Lock()
	for l := range f.leases {
		if l.lacks(g) != 0 {
			lost = append(lost, l)
			delete(f.leases, l)
		}
	}
	if f.withdraw != nil {
		gone = f.withdraw(g)
	}
	f.mu.Unlock()
	// Nothing of it opens or moves any more from here on; that is then noted.
	for _, l := range lost {
		l.end(f.o.Ref(), capabilityLost(g, l.lacks(g)), g.PolicyHash())
	}
	for _, b := range gone {
		b.event.Type, b.event.Ref, b.event.Policy = audit.ForwardClosed, f.o.Ref(), g.PolicyHash()
		fill(&b.event, capabilityLost(g, b.c))
		f.event(b.event)
	}
}

// withdrawn takes away what was asked for beside programs and forwards and g
// doesn't cover; mu is held.
func (r *relay) withdrawn(g policy.Grant) (gone []broken) {
	if r.agent && !g.Allows(policy.Agent) {
		r.agent = false
		gone = append(gone, broken{audit.Event{ChannelType: agentChannel}, policy.Agent})
	}
	if r.x11 && !g.Allows(policy.X11) {
		r.x11 = false
		gone = append(gone, broken{audit.Event{ChannelType: x11Channel}, policy.X11})
	}
	for l, x := range r.listens.lost(g) {
		r.group.Go("end of a listen", func() { r.cancelListen(l, x) })
		gone = append(gone, broken{l.event(x), policy.ForwardRemote})
	}
	return gone
}

func capabilityLost(g policy.Grant, c policy.Capability) *refusal.Error {
	d := g.Refusal(c)
	return &refusal.Error{Text: "the policy changed: " + d.Told(), Code: refusal.CapabilityLost, Cause: d}
}

// revoked is the end of a session whose grant is gone.
func revoked(err error) *refusal.Error {
	var denied *policy.Denied
	var why *refusal.Error
	if errors.As(err, &why) && (why.Code != refusal.Denied || !errors.As(err, &denied)) {
		return why
	}
	return &refusal.Error{Text: "the policy changed: " + refusal.Of(err).Text, Code: refusal.PolicyChanged, Cause: err}
}
