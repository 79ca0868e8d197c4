package secret

import (
	"context"
	"slices"
	"sync"
)

// maxBehind is how many hashes may wait of each kind that goes behind others: some
// seconds of them, one at a time.
const maxBehind = 64

// turn is how soon a hash is computed.
type turn uint8

const (
	first turn = iota // in the order of coming
	ahead             // behind those: its answer is waited for, by who has shown nothing
	later             // behind both: nobody waits for its answer
	turns
)

// queue hands out turns at hashing. What goes behind others has one turn at a time, all
// kinds together, so that the rest is free for who goes first, at once.
type queue struct {
	mu      sync.Mutex // guards all below
	free    int
	waiting [turns][]chan struct{}
	behind  bool // one that isn't first has its turn
}

// take returns nil once the caller has a turn, which it gives back with give, or the
// cause of ctx; behind others also ErrBusy at once, where too many wait already.
func (q *queue) take(ctx context.Context, kind turn) error {
	granted := make(chan struct{})
	q.mu.Lock()
	switch {
	case ctx.Err() != nil:
		q.mu.Unlock()
		return context.Cause(ctx)
	case kind != first && len(q.waiting[kind]) >= maxBehind:
		q.mu.Unlock()
		return ErrBusy
	}
	q.waiting[kind] = append(q.waiting[kind], granted)
	q.grant()
	q.mu.Unlock()
	select {
	case <-granted:
		return nil
	case <-ctx.Done():
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.waiting[kind], granted)
	if i < 0 {
		return nil // the turn came at the same moment
	}
	q.waiting[kind] = slices.Delete(q.waiting[kind], i, i+1)
	return context.Cause(ctx)
}

// give gives a turn back.
func (q *queue) give(kind turn) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.free++
	if kind != first {
		q.behind = false
	}
	q.grant()
}

// grant hands out what is free. The caller holds mu.
func (q *queue) grant() {
	for kind := range turns {
		for q.free > 0 && len(q.waiting[kind]) > 0 && (kind == first || !q.behind) {
			q.free--
			q.behind = q.behind || kind != first
			close(q.waiting[kind][0])
			q.waiting[kind] = q.waiting[kind][1:]
		}
	}
}
