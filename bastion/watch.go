package bastion

import (
	"context"
	"fmt"
	"time"

	"entry/policy"
	"entry/session"
)

// warnings are how long before a session's end its user is told.
var warnings = []time.Duration{10 * time.Minute, time.Minute}

// watch follows one live session against the policy: it warns before the end
// that a window, a period or an approval sets, and has the relay ask again when
// the grant changes or a new policy is in force.
type watch struct {
	messages chan string   // for session.Options.Messages
	recheck  chan struct{} // for session.Options.Recheck
	poke     chan struct{} // a new policy

	done chan struct{}
}

func newWatch() *watch {
	return &watch{messages: make(chan string, 4), recheck: make(chan struct{}, 1), poke: make(chan struct{}, 1), done: make(chan struct{})}
}

// policyChanged makes the session be decided anew. It never blocks.
func (w *watch) policyChanged() { signal(w.poke) }

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // one is waiting already
	}
}

// run goes on until ctx ends. granted decides the session as it is now; now is
// the policy's clock.
func (w *watch) run(ctx context.Context, now func() time.Time, granted func() (policy.Grant, error)) {
	defer close(w.done)
	warned := time.Duration(-1) // the shortest notice given for the end in end
	var end time.Time
	for {
		g, err := granted()
		if err != nil {
			signal(w.recheck) // the relay ends the session and says why
			return
		}
		at := now()
		if until := g.Until(); !until.Equal(end) {
			end, warned = until, -1
		}
		next := g.NextChange()
		if !end.IsZero() {
			left := end.Sub(at)
			for _, before := range warnings {
				switch {
				case left > before:
					if t := end.Add(-before); next.IsZero() || t.Before(next) {
						next = t
					}
				case warned < 0 || before < warned:
					warned = before
					if before == warnings[len(warnings)-1] || left > warnings[len(warnings)-1] {
						w.tell(g, left)
					}
				}
			}
		}
		if !w.sleep(ctx, at, next) {
			return
		}
	}
}

// tell warns the user. It never blocks: whoever has unread messages knows.
func (w *watch) tell(g policy.Grant, left time.Duration) {
	minutes := int((left + time.Minute - 1) / time.Minute)
	text := fmt.Sprintf("entry: access to %s ends in %d minutes", g.Target().FullName(), minutes)
	if minutes == 1 {
		text = fmt.Sprintf("entry: access to %s ends in 1 minute", g.Target().FullName())
	}
	if why := g.Because(); why != "" {
		text += " (" + why + ")"
	}
	select {
	case w.messages <- text:
	default:
	}
}

// sleep waits for next, a new policy, or the end; false is the end. What
// changes at next is found by the relay's own question.
func (w *watch) sleep(ctx context.Context, at, next time.Time) bool {
	var ring <-chan time.Time
	if !next.IsZero() {
		t := time.NewTimer(max(next.Sub(at), time.Second)) // never a busy loop, whatever the policy says
		defer t.Stop()
		ring = t.C
	}
	select {
	case <-ctx.Done():
		return false
	case <-ring:
	case <-w.poke:
	}
	signal(w.recheck)
	return true
}

// options puts the watch into the relay's options.
func (w *watch) options(o *session.Options) {
	o.Messages, o.Recheck = w.messages, w.recheck
}
