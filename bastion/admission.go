package bastion

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"entry/configs"
)

const (
	// A source whose connections end without a login (scanners, unattended
	// clients that answer with empty strings) may open this many at once…
	burstConnections = 60
	// …and one more each refillConnection after that.
	refillConnection = 2 * time.Second

	// maxSources bounds the table; when it is full the oldest idle source is
	// forgotten, which can only forgive.
	maxSources = 1 << 16

	// enrolmentPool bounds the connections that have the long enrolment grace,
	// so that they can't use up the startups of everybody else.
	enrolmentPool = 32
)

// admission decides who may open a connection, before any cryptography. It is
// safe for concurrent use; its lock is never held across I/O.
type admission struct {
	startups  configs.Startups // OpenSSH's MaxStartups: from Begin unauthenticated connections on, new ones are dropped with a probability that rises from Rate percent to 100 at Full
	perSource int
	now       func() time.Time

	mu        sync.Mutex
	waiting   int // unauthenticated connections
	enrolling int
	sources   map[netip.Prefix]*source
}

type source struct {
	waiting int
	tokens  float64
	last    time.Time
}

func newAdmission(st configs.Startups, perSource int, now func() time.Time) *admission {
	return &admission{startups: st, perSource: perSource, now: now, sources: map[netip.Prefix]*source{}}
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

// ticket is one admitted, not yet authenticated connection.
type ticket struct {
	a    *admission
	key  netip.Prefix
	done bool
	long bool
}

// enter admits a connection or returns why not, as a short closed code.
func (a *admission) enter(from netip.Addr) (*ticket, string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := sourceOf(from)
	s := a.sources[key]
	if s == nil {
		if len(a.sources) >= maxSources {
			a.forget()
		}
		s = &source{tokens: burstConnections, last: a.now()}
		a.sources[key] = s
	}
	s.refill(a.now())
	switch {
	case s.waiting >= a.perSource:
		return nil, "per-source"
	case s.tokens < 1:
		return nil, "rate"
	case a.dropped():
		return nil, "startups"
	}
	s.tokens--
	s.waiting++
	a.waiting++
	return &ticket{a: a, key: key}, ""
}

func (s *source) refill(now time.Time) {
	if d := now.Sub(s.last); d > 0 {
		s.tokens = min(burstConnections, s.tokens+float64(d)/float64(refillConnection))
		s.last = now
	}
}

// dropped is OpenSSH's random early drop. The caller holds a.mu.
func (a *admission) dropped() bool {
	st := a.startups
	if a.waiting < st.Begin {
		return false
	}
	if a.waiting >= st.Full {
		return true
	}
	p := st.Rate + (100-st.Rate)*(a.waiting-st.Begin)/max(1, st.Full-st.Begin)
	return rand.IntN(100) < p
}

// forget drops one source that waits for nothing, preferring the longest
// unseen of a few. The caller holds a.mu.
func (a *admission) forget() {
	var oldest netip.Prefix
	var at time.Time
	seen := 0
	for k, s := range a.sources { // map order is random enough for eviction
		if s.waiting == 0 && (!oldest.IsValid() || s.last.Before(at)) {
			oldest, at = k, s.last
		}
		if seen++; seen == 32 {
			break
		}
	}
	if oldest.IsValid() {
		delete(a.sources, oldest)
	}
}

// leave ends the unauthenticated phase. A login gives the source its token
// back: only connections that come to nothing count against its rate. It may
// be called more than once.
func (t *ticket) leave(loggedIn bool) {
	a := t.a
	a.mu.Lock()
	defer a.mu.Unlock()
	if t.done {
		return
	}
	t.done = true
	if t.long {
		a.enrolling--
	} else {
		a.waiting--
	}
	s := a.sources[t.key]
	if s == nil {
		return
	}
	s.waiting--
	if loggedIn {
		s.tokens = min(burstConnections, s.tokens+1)
	}
	s.refill(a.now())
	if s.waiting == 0 && s.tokens >= burstConnections {
		delete(a.sources, t.key)
	}
}

// enrol moves the connection to the enrolment pool, which has the longer
// grace. It returns false when that pool is full.
func (t *ticket) enrol() bool {
	a := t.a
	a.mu.Lock()
	defer a.mu.Unlock()
	if t.done || t.long || a.enrolling >= enrolmentPool {
		return false
	}
	t.long = true
	a.enrolling++
	a.waiting--
	return true
}
