package session

import (
	"fmt"
	"sync"

	"entry/audit"
	"entry/audit/refusal"
	"entry/policy"
)

// lease is a program or a forward, in that it rests on a grant and on budgets.
// While the session goes on it ends once one of them no longer covers it.
type lease struct {
	lacks func(policy.Grant) policy.Capability // what a grant has to have and hasn't, 0 if nothing

	once  sync.Once
	ended chan struct{} // closed once what follows is set
	why   *refusal.Error
	ref   string
	hash  string // of the policy that ended it, may be ""
}

func newLease(lacks func(policy.Grant) policy.Capability) *lease {
	return &lease{lacks: lacks, ended: make(chan struct{})}
}

// end ends what rests on l; the first reason counts.
func (l *lease) end(ref string, why *refusal.Error, hash string) {
	l.once.Do(func() {
		l.ref, l.why, l.hash = ref, why, hash
		close(l.ended)
	})
}

func (l *lease) over() bool {
	select {
	case <-l.ended:
		return true
	default:
		return false
	}
}

// fill says in e, the event that something was closed, why entry did it.
func (l *lease) fill(e *audit.Event) {
	if l.over() {
		e.Ref = l.ref
		if l.hash != "" {
			e.Policy = l.hash
		}
		fill(e, l.why)
	}
}

// line is what the user reads of the end of l.
func (l *lease) line() string { return fmt.Sprintf("%s (ref %s)", l.why.Text, l.ref) }

// leave forgets l.
func (f *flow) leave(l *lease) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.leases, l)
}
