package bastion

import (
	"net/netip"
	"sync"
	"time"
)

const (
	refusalEvery = time.Minute // one event a source and reason
	maxRefusals  = 4096        // sources remembered; past it, one event stands for all the others
)

// refusals counts connections refused before login, so that a flood of them is
// a few events with a count. It is safe for concurrent use.
type refusals struct {
	mu   sync.Mutex
	seen map[refusalKey]*refusalCount
}

type refusalKey struct {
	source netip.Prefix
	reason string
}

type refusalCount struct {
	n    int
	last time.Time
}

func newRefusals() *refusals { return &refusals{seen: map[refusalKey]*refusalCount{}} }

// note counts one refusal and tells whether an event is due, and for how many.
func (r *refusals) note(source netip.Prefix, reason string, now time.Time) (n int, due bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := refusalKey{source, reason}
	c := r.seen[k]
	if c == nil {
		if len(r.seen) >= maxRefusals {
			for k, c := range r.seen {
				if now.Sub(c.last) >= refusalEvery && c.n == 0 {
					delete(r.seen, k)
				}
			}
		}
		if len(r.seen) >= maxRefusals {
			k = refusalKey{reason: reason} // the rest share one count
			c = r.seen[k]
		}
		if c == nil {
			c = &refusalCount{}
			r.seen[k] = c
		}
	}
	c.n++
	if now.Sub(c.last) < refusalEvery {
		return 0, false
	}
	n, c.n, c.last = c.n, 0, now
	return n, true
}
