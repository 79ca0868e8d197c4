package session

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/audit/plain"
	"entry/audit/refusal"
	"entry/policy"
	"entry/session/recording"
)

// note appends the refusal as e and returns the line for the user, with the
// reference under which it stands in the log. What was refused the same less than
// a minute ago is only counted, and has the reference of that; so is all that
// comes once the user has caused too many events, under that of its sum.
func (f *flow) note(e audit.Event, why *refusal.Error) string {
	if e.Channel == nil {
		f.covered(recording.Refused, nil) // of no channel, whose end would say more
	}
	e.Ref = f.o.Ref()
	fill(&e, why)
	ref, counted := f.o.Count(e)
	if !counted {
		var sums []audit.Event
		var again bool
		ref, sums, again = f.repeats.Again(e, time.Now())
		f.sums(sums)
		if !again {
			f.event(e)
		}
	}
	return fmt.Sprintf("entry: %s (ref %s)", asciiLine(f.o.Contact.In(why.Text), maxText), ref)
}

// sums appends what repeats have come to.
func (f *flow) sums(all []audit.Event) {
	for _, e := range all {
		f.event(e)
	}
}

// sumUp appends what is due of them, without making its caller wait.
func (f *flow) sumUp() {
	if due := f.repeats.Sums(time.Now(), false); len(due) > 0 {
		f.group.Go("sums of refusals", func() { f.sums(due) })
	}
}

// fill says in e why.
func fill(e *audit.Event, why *refusal.Error) {
	e.Reason = why.Code.String()
	e.Detail = plain.OneLine(policy.Logged(why), audit.MaxDetail)
	var d *policy.Denied
	if errors.As(why.Cause, &d) {
		e.Rule = d.Rule.String()
		if d.Capability != 0 {
			e.Capability = d.Capability.String()
		}
	}
}

// refuse rejects nc by name.
func (f *flow) refuse(nc ssh.NewChannel, code ssh.RejectionReason, e audit.Event, why *refusal.Error) {
	e.ChannelType = plain.Escaped(nc.ChannelType(), 64)
	_ = nc.Reject(code, f.note(e, why)) // the peer may be gone
}

// maxTold bounds the names of unknown requests that are noted in one session;
// what comes with another name is a refusal like any other.
const maxTold = 32

// told are the names of requests that were noted already. It is safe for
// concurrent use.
type told struct {
	mu    sync.Mutex
	names map[string]bool
}

// first reports whether name is new and to be noted; room, whether it will be
// known from now on.
func (t *told) first(name string) (first, room bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.names[name]:
		return false, true
	case len(t.names) >= maxTold:
		return true, false
	}
	if t.names == nil {
		t.names = map[string]bool{}
	}
	t.names[name] = true
	return true, true
}

// unknown notes the name of a request that entry doesn't know, once a session:
// PuTTY, for one, sends its own with every window.
func (r *relay) unknown(name string, channel *uint32) {
	name = plain.Escaped(name, 64)
	why := &refusal.Error{Text: "request " + name + " isn't known and was refused", Code: "unknown-request"}
	e := audit.Event{Type: audit.ChannelRefused, Channel: channel}
	switch first, room := r.told.first(name); {
	case !first:
	case !room:
		r.note(e, why)
	default:
		e.Ref = r.o.Ref()
		fill(&e, why)
		if _, counted := r.o.Count(e); !counted {
			r.event(e)
		}
	}
}
