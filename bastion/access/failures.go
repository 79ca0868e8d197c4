package access

import (
	"sync"
	"time"

	"entry/audit"
)

const (
	// failedFor is how long a failure is told: who comes back later finds out anew.
	failedFor = 24 * time.Hour
	// maxFailures bounds how many are kept, of all users.
	maxFailures = 10_000
)

// Failure is how somebody's last way to a target failed.
type Failure struct {
	At   time.Time
	Text string // as its user read it
}

// failures are those since the last session of the same user there. They are safe for
// concurrent use.
type failures struct {
	mu sync.Mutex // guards of
	of map[failedWay]Failure
}

type failedWay struct{ user, target string }

// note takes in a refusal of which e tells, if it is the target that failed.
func (f *failures) note(e audit.Event, text string, now time.Time) {
	if e.Type != audit.UpstreamFailed && e.Type != audit.HostKeyChanged || e.User == "" || e.Target == "" {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.of) >= maxFailures {
		for way, x := range f.of {
			if now.Sub(x.At) >= failedFor {
				delete(f.of, way)
			}
		}
	}
	if way := (failedWay{e.User, e.Target}); len(f.of) < maxFailures || !f.of[way].At.IsZero() {
		if f.of == nil {
			f.of = map[failedWay]Failure{}
		}
		f.of[way] = Failure{At: now, Text: text}
	}
}

// over forgets one: a session came about.
func (f *failures) over(user, target string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.of, failedWay{user, target})
}

// Failed is how the user's last way to the target of that full name failed, if it did: at
// this server, since it started, in the last 24 hours, and with no session there since.
func (l *Login) Failed(target string) (Failure, bool) {
	f := &l.gate.failures
	f.mu.Lock()
	defer f.mu.Unlock()
	x, ok := f.of[failedWay{l.who.User(), target}]
	return x, ok && l.gate.now().Sub(x.At) < failedFor
}
