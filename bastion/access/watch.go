package access

import (
	"context"
	"errors"
	"fmt"
	"time"

	"entry/audit/refusal"
	"entry/policy"
)

// warnings are how long before a session's end its user is told.
var warnings = []time.Duration{10 * time.Minute, time.Minute}

const (
	// watchPause is the least time between two looks: never a busy loop,
	// whatever the policy says.
	watchPause = time.Second

	// watchMost is the most: timers don't run while a machine is suspended, and
	// don't know when its clock is set.
	watchMost = time.Minute
)

// watch follows one live session against the policy: it warns before the end
// that a window, a period or an approval sets, and has the relay ask again when
// the grant changes or a new policy is in force.
type watch struct {
	messages chan string   // of what is about to end
	recheck  chan struct{} // what runs is to be decided anew
	poke     chan struct{} // a new policy, or other approvals

	done chan struct{} // closed when run has ended
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
		at := now()
		g, err := granted()
		if err != nil {
			// The relay ends the session and says why. Should the policy give it
			// back before that, the watch goes on.
			signal(w.recheck)
			if !w.sleep(ctx, now, at) {
				return
			}
			continue
		}
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
		if !w.sleep(ctx, now, next) {
			return
		}
	}
}

// tell warns the user. It never blocks: whoever has unread messages knows.
func (w *watch) tell(g policy.Grant, left time.Duration) {
	minutes := int((left + time.Minute - 1) / time.Minute)
	text := fmt.Sprintf("access to %s ends in %d minutes", g.Target().FullName(), minutes)
	if minutes == 1 {
		text = fmt.Sprintf("access to %s ends in 1 minute", g.Target().FullName())
	}
	if why := g.Because(); why != "" {
		text += " (" + why + ")"
	}
	select {
	case w.messages <- text:
	default:
	}
}

// sleep waits for next, which is never if it is zero, for a new policy, or for
// the end; false is the end.
func (w *watch) sleep(ctx context.Context, now func() time.Time, next time.Time) bool {
	for {
		pause := watchMost
		if !next.IsZero() {
			pause = min(pause, max(next.Sub(now()), watchPause))
		}
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			t.Stop()
			return false
		case <-w.poke:
			t.Stop()
		case <-t.C:
			if next.IsZero() || now().Before(next) {
				continue // nothing has changed
			}
		}
		signal(w.recheck)
		return true
	}
}

// ending is the end that err, policy's answer under the policy called hash,
// means for what last stood under was: by time where the policy is the same.
func ending(was policy.Grant, hash string, err error) error {
	var no *policy.Denied
	if !errors.As(err, &no) || was.PolicyHash() != hash {
		return err
	}
	text := "the time for " + was.Target().FullName() + " is over"
	var cause error
	switch {
	case no.Approval != nil:
		text = "the approval for " + was.Target().FullName() + " is over; connect again to ask for another"
	case no.ByDeny:
		text, cause = text+": "+no.Told(), no
	case was.Because() != "":
		text += " (" + was.Because() + ")"
	}
	return &refusal.Error{Text: text, Code: refusal.TimeOver, Cause: cause}
}
