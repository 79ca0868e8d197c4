package session

import (
	"errors"
	"fmt"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/audit/refusal"
	"entry/policy"
)

// note appends the refusal as e and returns the line for the user, with the
// reference under which it stands in the log.
func (r *relay) note(e audit.Event, why *refusal.Error) string {
	e.Ref = r.o.Ref()
	fill(&e, why)
	r.event(e)
	return fmt.Sprintf("entry: %s (ref %s)", asciiLine(why.Text, maxText), e.Ref)
}

// fill says in e why.
func fill(e *audit.Event, why *refusal.Error) {
	e.Reason = why.Code.String()
	e.Detail = asciiLine(why.Text, audit.MaxDetail)
	var d *policy.Denied
	if errors.As(why.Cause, &d) {
		e.Rule = d.Rule.String()
		if d.Capability != 0 {
			e.Capability = d.Capability.String()
		}
	}
}

// refuse rejects nc by name.
func (r *relay) refuse(nc ssh.NewChannel, code ssh.RejectionReason, e audit.Event, why *refusal.Error) {
	e.ChannelType = asciiLine(nc.ChannelType(), 64)
	_ = nc.Reject(code, r.note(e, why)) // the peer may be gone
}

// maxTold bounds the names of unknown requests that are noted in one session.
const maxTold = 32

// unknown notes the name of a request that entry doesn't know, once a session:
// PuTTY, for one, sends its own with every window.
func (r *relay) unknown(name string, channel *uint32) {
	name = asciiLine(name, 64)
	r.mu.Lock()
	known := r.told[name] || len(r.told) >= maxTold
	if !known {
		r.told[name] = true
	}
	r.mu.Unlock()
	if !known {
		r.event(audit.Event{Type: audit.ChannelRefused, Reason: "unknown-request", Channel: channel,
			Detail: "request " + name + " isn't known and was refused"})
	}
}

// take reserves a slot for a channel; full says how often one was refused for
// that reason so far.
func (r *relay) take(session bool) (ok bool, refused int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	used, limit, kind := &r.others, r.o.MaxOthers, "other"
	if session {
		used, limit, kind = &r.sessions, r.o.MaxSessions, "session"
	}
	if *used >= limit {
		if r.overflow == nil {
			r.overflow = map[string]int{}
		}
		r.overflow[kind]++
		return false, r.overflow[kind]
	}
	*used++
	return true, 0
}

// free gives a slot back.
func (r *relay) free(session bool) {
	r.mu.Lock()
	if session {
		r.sessions--
	} else {
		r.others--
	}
	r.mu.Unlock()
	select {
	case r.freed <- struct{}{}:
	default: // serve has yet to look
	}
}

// number gives a channel that was opened its number within the session.
func (r *relay) number(session bool) *uint32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.nextChannel
	r.nextChannel++
	if session {
		r.stats.Sessions++
	} else {
		r.stats.Forwards++
	}
	return &n
}

// full rejects a channel beyond the limits. An event for each would let a
// client write the log full: there is one for the 1st, 2nd, 4th, 8th …
func (r *relay) full(nc ssh.NewChannel, session bool, refused int) {
	limit := r.o.MaxOthers
	if session {
		limit = r.o.MaxSessions
	}
	text := fmt.Sprintf("no more than %d channels of this kind at once", limit)
	if refused&(refused-1) != 0 {
		_ = nc.Reject(ssh.ResourceShortage, "entry: "+text) // the peer may be gone
		return
	}
	r.group.Go("note of too many channels", func() {
		e := audit.Event{Type: audit.ChannelRefused, ChannelType: asciiLine(nc.ChannelType(), 64), Ref: r.o.Ref(),
			Reason: "limit", Detail: fmt.Sprintf("%s; %d refused so far", text, refused)}
		r.event(e)
		_ = nc.Reject(ssh.ResourceShortage, fmt.Sprintf("entry: %s (ref %s)", text, e.Ref)) // the peer may be gone
	})
}
