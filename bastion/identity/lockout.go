package identity

import (
	"container/list"
	"crypto/sha256"
	"net/netip"
	"sync"
	"time"
)

// maxTracked bounds each of the two tables (about 200 bytes an entry). When one
// is full, the entry that was touched longest ago goes: to wash out one lock, a
// sprayer has to spend as many failed dialogues as the table has entries, and is
// itself counted by source.
const maxTracked = 1 << 16

// trustFor is how long a login keeps its (name, source) out of the lock that
// others earn for a shared source: a NAT must not lock an owner out.
const trustFor = 30 * 24 * time.Hour

// pair is one name from one source. The name is hashed to bound its size.
type pair struct {
	name   [16]byte
	source netip.Prefix
}

// sourceOf is what failures are counted under: an IPv4 address, or the /64 of
// an IPv6 one, because a single client owns all of it.
func sourceOf(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	if !a.IsValid() {
		return netip.Prefix{}
	}
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // bits is never out of range for a valid address
	return p
}

func pairOf(name string, a netip.Addr) pair {
	h := sha256.Sum256([]byte(name))
	return pair{name: [16]byte(h[:16]), source: sourceOf(a)}
}

// tally is what one key has done.
type tally struct {
	failures int
	since    time.Time // of the first failure in the window
	locked   time.Time // end of the lock; zero for none
	trusted  time.Time // last login
}

// table is a bounded map with eviction of the least recently touched entry.
type table[K comparable] struct {
	max   int
	items map[K]*list.Element
	order *list.List // front: touched last
}

type row[K comparable] struct {
	key K
	tally
}

func newTable[K comparable](limit int) *table[K] {
	return &table[K]{max: limit, items: map[K]*list.Element{}, order: list.New()}
}

func (t *table[K]) look(k K) tally {
	if e, ok := t.items[k]; ok {
		return e.Value.(*row[K]).tally
	}
	return tally{}
}

func (t *table[K]) touch(k K) *tally {
	if e, ok := t.items[k]; ok {
		t.order.MoveToFront(e)
		return &e.Value.(*row[K]).tally
	}
	if len(t.items) >= t.max {
		last := t.order.Back()
		delete(t.items, last.Value.(*row[K]).key)
		t.order.Remove(last)
	}
	r := &row[K]{key: k}
	t.items[k] = t.order.PushFront(r)
	return &r.tally
}

// lockout counts failed dialogues by (name, source) and by source, in this
// process. Time going backwards lengthens a lock, never shortens the count.
type lockout struct {
	limits Limits

	// mu guards both tables. Nothing is called while it is held.
	mu      sync.Mutex
	pairs   *table[pair]
	sources *table[netip.Prefix]
}

func newLockout(l Limits, size int) *lockout {
	return &lockout{limits: l, pairs: newTable[pair](size), sources: newTable[netip.Prefix](size)}
}

// standing is what the tables say about a (name, source) now.
type standing struct {
	until time.Time // end of the lock; zero if nothing is locked
	// whole means that the source is locked, not this name: names that have
	// logged in from there are still judged.
	whole   bool
	trusted bool
}

func (s standing) locked() bool { return !s.until.IsZero() }

// judged tells whether answers may be evaluated at all.
func (s standing) judged() bool { return !s.locked() || (s.whole && s.trusted) }

func (l *lockout) look(p pair, now time.Time) standing {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.standing(p, now)
}

func (l *lockout) standing(p pair, now time.Time) standing {
	mine, all := l.pairs.look(p), l.sources.look(p.source)
	s := standing{trusted: !mine.trusted.IsZero() && now.Sub(mine.trusted) < trustFor}
	switch {
	case now.Before(mine.locked):
		s.until = mine.locked
	case now.Before(all.locked):
		s.until, s.whole = all.locked, true
	}
	return s
}

// charge counts a try as failed before it is judged, so that a thousand
// parallel ones can't all pass the check; succeeded or refund takes it back. It
// returns the standing from before the charge: when that isn't judged, nothing
// was charged. locks tells whether this charge began a lock.
func (l *lockout) charge(p pair, now time.Time) (before standing, locks bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before = l.standing(p, now)
	if !before.judged() {
		return before, false
	}
	a := l.count(l.pairs.touch(p), l.limits.NameFailures, now)
	b := l.count(l.sources.touch(p.source), l.limits.SourceFailures, now)
	return before, a || b
}

func (l *lockout) count(t *tally, limit int, now time.Time) (locks bool) {
	expired := !t.locked.IsZero() && !now.Before(t.locked)
	if t.failures == 0 || expired || now.Sub(t.since) >= l.limits.Window {
		t.failures, t.since, t.locked = 0, now, time.Time{}
	}
	t.failures++
	if t.failures >= limit && t.locked.IsZero() {
		t.locked = now.Add(l.limits.Lock)
		return true
	}
	return false
}

// succeeded clears the pair and takes its charge back from the source.
func (l *lockout) succeeded(p pair, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	*l.pairs.touch(p) = tally{trusted: now}
	l.uncount(l.sources.touch(p.source), l.limits.SourceFailures)
}

// refund takes a charge back that was nobody's guess: a store that failed, a
// queue that was full, a right passphrase that had expired.
func (l *lockout) refund(p pair) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.uncount(l.pairs.touch(p), l.limits.NameFailures)
	l.uncount(l.sources.touch(p.source), l.limits.SourceFailures)
}

// uncount reverses one count, with the lock that it alone began.
func (l *lockout) uncount(t *tally, limit int) {
	if t.failures == 0 {
		return
	}
	if t.failures--; t.failures < limit {
		t.locked = time.Time{}
	}
}
