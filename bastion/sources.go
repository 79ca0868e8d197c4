package bastion

import (
	"net/netip"
	"time"
)

const (
	// A source whose connections end without a login (scanners, unattended
	// clients that answer with empty strings) may open this many at once, unless
	// somebody has logged in from there lately…
	burstConnections = 60
	// …and one more each refillConnection after that.
	refillConnection = 2 * time.Second

	// The same for connections that ask about keys without signing by any: so
	// many at once, and one more each refillQueries. Beyond that an answer waits
	// for queryPause; the first one on a connection longer with each burstQueries
	// more, up to longestQuery, because they can be had side by side.
	burstQueries  = 30
	refillQueries = 20 * time.Second
	queryPause    = 2 * time.Second
	longestQuery  = 20 * time.Second

	// maxSources bounds the table; when it is full the oldest idle source is
	// forgotten, which can only forgive.
	maxSources = 1 << 16
)

type source struct {
	waiting int // connections, not logged in or held
	budget  bucket
	queries bucket
	turns   bucket // seconds of the places that dialogues without a login have had
}

// bucket is how often something may still be done at once.
type bucket struct {
	left float64
	last time.Time
}

func (b *bucket) refill(now time.Time, most float64, each time.Duration) {
	if d := now.Sub(b.last); d > 0 {
		b.left = min(most, b.left+float64(d)/float64(each))
		b.last = now
	}
}

// sourceOf is what counts as one source: an IPv4 address, or an IPv6 /64,
// which one host can own whole.
func sourceOf(a netip.Addr) netip.Prefix {
	a = a.Unmap()
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, _ := a.WithZone("").Prefix(bits) // bits fit the address by construction
	return p
}

// source is the entry of from in the table. The caller holds a.mu.
func (a *admission) source(from netip.Addr) (*source, time.Time) {
	now := a.now()
	return a.sourceAt(sourceOf(from), now), now
}

// sourceAt is the entry of key in the table. The caller holds a.mu.
func (a *admission) sourceAt(key netip.Prefix, now time.Time) *source {
	s := a.sources[key]
	if s == nil {
		if len(a.sources) >= maxSources {
			a.forget()
		}
		s = &source{budget: bucket{burstConnections, now}, queries: bucket{burstQueries, now}, turns: bucket{mostTurns, now}}
		a.sources[key] = s
	}
	s.budget.refill(now, burstConnections, refillConnection)
	s.queries.refill(now, burstQueries, refillQueries)
	return s
}

// gone takes a connection of key out of the table's count. The caller holds
// a.mu.
func (a *admission) gone(key netip.Prefix) {
	if s := a.sources[key]; s != nil {
		s.waiting--
		if s.waiting == 0 && s.budget.left >= burstConnections && s.queries.left >= burstQueries && s.turns.left >= mostTurns {
			delete(a.sources, key)
		}
	}
	a.tell()
}

// forget drops one source that waits for nothing, preferring the longest
// unseen of a few. The caller holds a.mu.
func (a *admission) forget() {
	var oldest netip.Prefix
	var at time.Time
	seen := 0
	for k, s := range a.sources { // map order is random enough for eviction
		if s.waiting == 0 && (!oldest.IsValid() || s.budget.last.Before(at)) {
			oldest, at = k, s.budget.last
		}
		if seen++; seen == 32 {
			break
		}
	}
	if oldest.IsValid() {
		delete(a.sources, oldest)
	}
}
