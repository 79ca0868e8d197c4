package secret

import (
	"context"
	"slices"
	"sync"
)

const (
	// maxBehind is how many hashes may wait of each kind that goes behind others: some
	// seconds of them, one at a time.
	maxBehind = 64
	// maxBehindOf is how many of those may be one account's.
	maxBehindOf = 16
)

// turn is how soon a hash is computed.
type turn uint8

const (
	first  turn = iota // in the order of coming
	inside             // behind those: asked inside the connections of who has logged in
	ahead              // behind those, too: its answer is waited for, by who has shown nothing
	later              // behind all: nobody waits for its answer
	turns
)

// queue hands out turns at hashing. What goes behind others has one turn at a time, all
// kinds together, so that the rest is free for who goes first, at once. Who is inside and
// who has shown nothing take turns, so that neither keeps the other out.
type queue struct {
	mu      sync.Mutex // guards all below
	free    int
	waiting [turns][]waiter
	behind  bool   // one that isn't first has its turn
	last    turn   // of which kind that was
	had     string // whose, if it was inside
}

// waiter waits for its turn.
type waiter struct {
	granted chan struct{}
	of      string // the account inside; else ""
}

// take returns nil once the caller has a turn, which it gives back with give, or the
// cause of ctx; behind others also ErrBusy at once, where too many wait already.
func (q *queue) take(ctx context.Context, kind turn, of string) error {
	w := waiter{make(chan struct{}), of}
	q.mu.Lock()
	switch {
	case ctx.Err() != nil:
		q.mu.Unlock()
		return context.Cause(ctx)
	case kind != first && len(q.waiting[kind]) >= maxBehind, of != "" && q.count(kind, of) >= maxBehindOf:
		q.mu.Unlock()
		return ErrBusy
	}
	q.waiting[kind] = append(q.waiting[kind], w)
	q.grant()
	q.mu.Unlock()
	select {
	case <-w.granted:
		return nil
	case <-ctx.Done():
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.waiting[kind], w)
	if i < 0 {
		return nil // the turn came at the same moment
	}
	q.waiting[kind] = slices.Delete(q.waiting[kind], i, i+1)
	return context.Cause(ctx)
}

// count is how many of an account wait. mu is held.
func (q *queue) count(kind turn, of string) (n int) {
	for _, w := range q.waiting[kind] {
		if w.of == of {
			n++
		}
	}
	return n
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
	for q.free > 0 && len(q.waiting[first]) > 0 {
		q.hand(first, 0)
	}
	if q.free == 0 || q.behind {
		return
	}
	order := [...]turn{inside, ahead, later}
	if q.last == inside {
		order = [...]turn{ahead, inside, later}
	}
	for _, kind := range order {
		if len(q.waiting[kind]) == 0 {
			continue
		}
		q.behind, q.last = true, kind
		next := 0
		if kind == inside { // another account's before one more of the last one's
			next = max(0, slices.IndexFunc(q.waiting[inside], func(w waiter) bool { return w.of != q.had }))
			q.had = q.waiting[inside][next].of
		}
		q.hand(kind, next)
		return
	}
}

// hand gives the turn to the i-th of a kind. mu is held.
func (q *queue) hand(kind turn, i int) {
	q.free--
	close(q.waiting[kind][i].granted)
	q.waiting[kind] = slices.Delete(q.waiting[kind], i, i+1)
}
