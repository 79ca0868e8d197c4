package evidence

import (
	"maps"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"entry/audit"
	"entry/session/recording"
)

// The states of sessions whose recordings aren't here, as the log has it.
const (
	StateErased  recording.State = "erased"  // removed by an operators' order
	StateExpired recording.State = "removed" // after its lab's retention
	StateMissing recording.State = "missing" // the log has nothing of that
)

// Removal is that a recording was removed.
type Removal struct {
	At     time.Time `json:"at"`
	Erased bool      `json:"erased"` // by an operators' order; else its lab's retention was over
	// Order is by which, as far as its records are here; nil for none.
	Order *Order `json:"order,omitempty"`
}

// State is that of the session.
func (r Removal) State() recording.State {
	if r.Erased {
		return StateErased
	}
	return StateExpired
}

// removalOf is what an event of a removal says, with the orders before it.
func removalOf(e audit.Event, orders map[string]Order) *Removal {
	r := &Removal{At: e.Time, Erased: e.Reason == audit.ReasonErasure}
	if !r.Erased {
		return r
	}
	o, ok := orders[e.Ref]
	if !ok {
		o = Order{ID: e.Ref, Reason: e.Detail}
	}
	r.Order = &o
	return r
}

// whose is what the log says of whose a session was, for one without a recording.
type whose struct{ user, lab, target, source string }

func (w *whose) of(e audit.Event) {
	for _, f := range []struct {
		to   *string
		from string
	}{{&w.user, e.User}, {&w.lab, e.Lab}, {&w.target, e.Target}, {&w.source, e.Source}} {
		if f.from != "" {
			*f.to = f.from
		}
	}
}

// NotHere are the sessions, oldest first, of which the log has a recording that isn't in
// list: removed, or missing. Of one that never ended, and wasn't removed, nothing is said.
func (n Notes) NotHere(list []recording.Info) (out []recording.Info) {
	here := map[string]bool{}
	for _, i := range list {
		here[i.ID] = true
	}
	for _, id := range slices.Sorted(maps.Keys(n.of)) {
		if i, ok := n.GoneInfo(id); ok && !here[id] {
			out = append(out, i)
		}
	}
	return out
}

// GoneInfo is what the log alone has of a session whose recording isn't here: false if it
// knows of none that there was.
func (n Notes) GoneInfo(id string) (recording.Info, bool) {
	u, err := ulid.ParseStrict(id)
	note := n.of[id]
	if err != nil {
		return recording.Info{}, false
	}
	i := recording.Info{End: note.Ended, Header: recording.Header{ID: id, User: note.user, Lab: note.lab, Target: note.target, Source: note.source, Start: ulid.Time(u.Time()).UTC()}}
	switch c := note.Coverage; {
	case note.Removed != nil:
		i.State = note.Removed.State()
	case note.Ended.IsZero(), c == "", c == recording.MetadataOf, c == recording.Refused: // it may never have been recorded
		return recording.Info{}, false
	default:
		i.State = StateMissing
	}
	return i, true
}
