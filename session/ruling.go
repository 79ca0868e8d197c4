package session

import (
	"bytes"
	"cmp"

	"entry/audit"
	"entry/session/recording"
)

// ruling takes what a decoder makes of one piece. It belongs to the call that it
// is given to. Nothing in it waits.
type ruling struct {
	h  *hook
	to direction // of the piece
}

// Pass sends p on, in the direction of the piece. more says that p ends inside a
// packet: nothing is answered into that direction until the rest has passed.
func (r *ruling) Pass(p []byte, more bool) {
	l := &r.h.lanes[r.to]
	if len(p) > 0 {
		l.push(item{p: p})
	}
	l.inside = more
	if !more {
		r.h.release(l)
	}
}

// Answer sends a copy of p back to whoever sent the piece: whole packets, which
// come between those of the other direction.
func (r *ruling) Answer(p []byte) {
	l := &r.h.lanes[1-r.to]
	if len(p) == 0 || !l.answer(len(p)) {
		return // nobody takes it any more
	}
	l.held = append(l.held, item{p: bytes.Clone(p), answer: true})
	if !l.inside {
		r.h.release(l)
	}
}

// Aside has f done in the direction from where the piece came, before what is answered
// after it.
func (r *ruling) Aside(f func()) {
	l := &r.h.lanes[1-r.to]
	l.held = append(l.held, item{fact: f})
}

// Record keeps a copy of p in the recording, if there is one, before what is
// passed after it.
func (r *ruling) Record(k recording.Kind, p []byte) {
	p = bytes.Clone(p)
	r.fact(func() { r.h.f.frame(r.h.grant, k, r.h.channel, p) })
}

// Note appends e, before what is passed after it is delivered. What e leaves
// empty and says which channel it is about is filled in.
func (r *ruling) Note(e audit.Event) {
	about := r.h.about
	e.Channel, e.ChannelType = about.Channel, about.ChannelType
	e.Capability, e.Rule, e.Policy = cmp.Or(e.Capability, about.Capability), cmp.Or(e.Rule, about.Rule), cmp.Or(e.Policy, about.Policy)
	e.Destination, e.Digest, e.Detail = cmp.Or(e.Destination, about.Destination), cmp.Or(e.Digest, about.Digest), cmp.Or(e.Detail, about.Detail)
	r.fact(func() { r.h.f.event(e) })
}

func (r *ruling) fact(f func()) { r.h.lanes[r.to].push(item{fact: f}) }

// Detach says that the decoder has seen enough of the direction: the bytes after
// this call pass it by, at no cost. What is answered towards there comes wherever
// the stream stands.
func (r *ruling) Detach() {
	l := &r.h.lanes[r.to]
	l.left, l.inside = true, false
	r.h.release(l)
}
