package identity

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"entry/bastion/identity/secret"
)

// trustFor is how long a login keeps its (name, source) out of the lock that
// others earn for a shared source: a NAT must not lock an owner out.
const trustFor = 30 * 24 * time.Hour

// pair names the tallies of one name from one source, and of that source.
type pair struct{ mine, all TallyKey }

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

// lockout counts failed dialogues by (name, source) and by source, in the store:
// the limits hold over all processes on one database. Time going backwards
// lengthens a lock, never shortens the count. It is safe for concurrent use.
type lockout struct {
	limits Limits
	store  Counter
	keys   secret.Keys // of the tallies' names
}

// pairOf hashes under a key: what was typed as a name may be a passphrase.
func (l *lockout) pairOf(name string, a netip.Addr) pair {
	source := sourceOf(a).String() // never holds a "|"
	return pair{mine: l.keys.HashTally("pair|" + source + "|" + name), all: l.keys.HashTally("source|" + source)}
}

// lockState is what the tallies say about a (name, source) now.
type lockState struct {
	until time.Time // end of the lock; zero if nothing is locked
	// whole means that the source is locked, not this name: names that have
	// logged in from there are still judged.
	whole   bool
	trusted bool
}

func (s lockState) locked() bool { return !s.until.IsZero() }

// judged tells whether answers may be evaluated at all.
func (s lockState) judged() bool { return !s.locked() || (s.whole && s.trusted) }

func lockStateOf(mine, all Tally, now time.Time) lockState {
	s := lockState{trusted: !mine.Trusted.IsZero() && now.Sub(mine.Trusted) < trustFor}
	switch {
	case now.Before(mine.Locked):
		s.until = mine.Locked
	case now.Before(all.Locked):
		s.until, s.whole = all.Locked, true
	}
	return s
}

func (l *lockout) look(ctx context.Context, p pair, now time.Time) (lockState, error) {
	t, err := l.store.Tallies(ctx, p.mine, p.all)
	if err != nil {
		return lockState{}, fmt.Errorf("%w: read failures: %w", ErrUnavailable, err)
	}
	return lockStateOf(t[0], t[1], now), nil
}

// charge counts a try as failed before it is judged, so that a thousand
// parallel ones can't all pass the check; succeeded or refund takes it back. It
// returns the state from before the charge: when that isn't judged, nothing
// was charged. locks tells whether this charge began a lock.
func (l *lockout) charge(ctx context.Context, p pair, now time.Time) (before lockState, locks bool, err error) {
	err = l.edit(ctx, p, now, func(mine, all *Tally) bool {
		before = lockStateOf(*mine, *all, now)
		if !before.judged() {
			return false
		}
		a := l.count(mine, l.limits.NameFailures, now)
		b := l.count(all, l.limits.SourceFailures, now)
		locks = a || b
		return true
	})
	return before, locks, err
}

func (l *lockout) count(t *Tally, limit int, now time.Time) (locks bool) {
	expired := !t.Locked.IsZero() && !now.Before(t.Locked)
	if t.Failures == 0 || expired || now.Sub(t.Since) >= l.limits.Window {
		t.Failures, t.Since, t.Locked = 0, now, time.Time{}
	}
	t.Failures++
	if t.Failures >= limit && t.Locked.IsZero() {
		t.Locked = now.Add(l.limits.Lock)
		return true
	}
	return false
}

// succeeded clears the pair and takes its charge back from the source.
func (l *lockout) succeeded(ctx context.Context, p pair, now time.Time) error {
	return l.edit(ctx, p, now, func(mine, all *Tally) bool {
		*mine = Tally{Trusted: now}
		uncount(all, l.limits.SourceFailures)
		return true
	})
}

// refund takes a charge back that was nobody's guess: a store that failed, a
// queue that was full, a right passphrase that had expired.
func (l *lockout) refund(ctx context.Context, p pair, now time.Time) error {
	return l.edit(ctx, p, now, func(mine, all *Tally) bool {
		uncount(mine, l.limits.NameFailures)
		uncount(all, l.limits.SourceFailures)
		return true
	})
}

// uncount reverses one count, with the lock that it alone began.
func uncount(t *Tally, limit int) {
	if t.Failures == 0 {
		return
	}
	if t.Failures--; t.Failures < limit {
		t.Locked = time.Time{}
	}
}

// edit changes both tallies in one transaction, which the client's leaving
// doesn't cancel.
func (l *lockout) edit(ctx context.Context, p pair, now time.Time, f func(mine, all *Tally) bool) error {
	err := l.store.Count(context.WithoutCancel(ctx), now, func(t []Tally) bool {
		if !f(&t[0], &t[1]) {
			return false
		}
		for i := range t {
			t[i].Keep = l.keep(t[i])
		}
		return true
	}, p.mine, p.all)
	if err != nil {
		return fmt.Errorf("%w: count failures: %w", ErrUnavailable, err)
	}
	return nil
}

// keep is until when a tally says anything.
func (l *lockout) keep(t Tally) time.Time {
	end := t.Locked
	if t.Failures > 0 {
		end = later(end, t.Since.Add(l.limits.Window))
	}
	if !t.Trusted.IsZero() {
		end = later(end, t.Trusted.Add(trustFor))
	}
	return end
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
