package secret

import (
	"context"
	"slices"
	"sync"
)

// maxLater is how many hashes may wait that nobody waits for: some seconds of
// them, one at a time.
const maxLater = 64

// queue hands out turns at hashing. Whoever has somebody waiting for an answer goes
// first, in the order of coming; what nobody waits for has one turn at a time, so
// that it can't fill them all, and only when nobody else wants it.
type queue struct {
	mu           sync.Mutex // guards all below
	free         int
	now, later   []chan struct{}
	laterRunning bool
}

// take returns nil once the caller has a turn, which it gives back with give, or the
// cause of ctx; for later also ErrBusy at once, where too many wait already.
func (q *queue) take(ctx context.Context, later bool) error {
	granted := make(chan struct{})
	q.mu.Lock()
	switch {
	case ctx.Err() != nil:
		q.mu.Unlock()
		return context.Cause(ctx)
	case later && len(q.later) >= maxLater:
		q.mu.Unlock()
		return ErrBusy
	case later:
		q.later = append(q.later, granted)
	default:
		q.now = append(q.now, granted)
	}
	q.grant()
	q.mu.Unlock()
	select {
	case <-granted:
		return nil
	case <-ctx.Done():
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	mine := func(c chan struct{}) bool { return c == granted }
	waiting := len(q.now) + len(q.later)
	q.now, q.later = slices.DeleteFunc(q.now, mine), slices.DeleteFunc(q.later, mine)
	if len(q.now)+len(q.later) == waiting {
		return nil // the turn came at the same moment
	}
	return context.Cause(ctx)
}

// give gives a turn back.
func (q *queue) give(later bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.free++
	if later {
		q.laterRunning = false
	}
	q.grant()
}

// grant hands out what is free. The caller holds mu.
func (q *queue) grant() {
	for ; q.free > 0 && len(q.now) > 0; q.free-- {
		close(q.now[0])
		q.now = q.now[1:]
	}
	if q.free > 0 && len(q.later) > 0 && !q.laterRunning {
		q.free--
		q.laterRunning = true
		close(q.later[0])
		q.later = q.later[1:]
	}
}
