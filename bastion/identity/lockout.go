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

// limits bound failed dialogues.
type limits struct {
	// name failures in window lock that name from that source for lock, source
	// failures the source, except for names that have logged in from there.
	name, source int
	window, lock time.Duration
	// account is how many wrong passphrases after a right code lock the account
	// from everywhere for accountWindow.
	account       int
	accountWindow time.Duration
}

// usualLimits are PCI DSS 8.3.4's 30 minutes, and fewer failures than its 10: three
// connections of three dialogues.
var usualLimits = limits{
	name: 9, source: 90, window: 30 * time.Minute, lock: 30 * time.Minute,
	account: 10, accountWindow: 24 * time.Hour,
}

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
	limits  limits
	store   Counter
	ledger  Ledger
	keys    secret.Keys // of the tallies' names
	settled news        // of a try here
}

// pairOf hashes under a key: what was typed as a name may be a passphrase.
func (l *lockout) pairOf(name string, a netip.Addr) pair {
	source := sourceOf(a).String() // never holds a "|"
	return pair{mine: l.keys.HashTally("pair|" + source + "|" + name), all: l.keys.HashTally("source|" + source)}
}

// lockState is what the tallies say about a (name, source) now.
type lockState struct {
	until   time.Time // end of the lock; zero if nothing is locked
	whole   bool      // the source is locked, not this name
	trusted bool      // the name has logged in from there: see proves
}

func (s lockState) locked() bool { return !s.until.IsZero() }

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
// returns the state from before the charge: when that is locked, nothing was
// charged. locks tells whether this charge began a lock.
func (l *lockout) charge(ctx context.Context, p pair, now time.Time) (before lockState, locks bool, err error) {
	err = l.edit(ctx, p, now, func(mine, all *Tally) bool {
		before = lockStateOf(*mine, *all, now)
		if before.locked() {
			return false
		}
		a := l.count(mine, l.limits.name, now)
		b := l.count(all, l.limits.source, now)
		locks = a || b
		return true
	})
	return before, locks, err
}

func (l *lockout) count(t *Tally, limit int, now time.Time) (locks bool) {
	expired := !t.Locked.IsZero() && !now.Before(t.Locked)
	if t.Failures == 0 || expired || now.Sub(t.Since) >= l.limits.window {
		t.Failures, t.Since, t.Locked = 0, now, time.Time{}
	}
	t.Failures++
	if t.Failures >= limit && t.Locked.IsZero() {
		t.Locked = now.Add(l.limits.lock)
		return true
	}
	return false
}

// succeeded clears the pair and takes its charge back from the source.
func (l *lockout) succeeded(ctx context.Context, p pair, now time.Time) error {
	return l.edit(ctx, p, now, func(mine, all *Tally) bool {
		*mine = Tally{Trusted: now}
		uncount(all, l.limits.source)
		return true
	})
}

// refund takes a charge back that was nobody's guess: a store that failed, a
// queue that was full, a right passphrase that had expired.
func (l *lockout) refund(ctx context.Context, p pair, now time.Time) error {
	return l.edit(ctx, p, now, func(mine, all *Tally) bool {
		uncount(mine, l.limits.name)
		uncount(all, l.limits.source)
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
		end = later(end, t.Since.Add(l.limits.window))
	}
	if !t.Trusted.IsZero() {
		end = later(end, t.Trusted.Add(trustFor))
	}
	return end
}

// charge counts this dialogue as a failed try until it succeeds, once. False
// means that the name or the source is locked.
func (d *dialogue) charge(ctx context.Context) (bool, error) {
	if d.charged {
		return true, nil
	}
	before, locks, err := d.a.lockout.charge(ctx, d.pair, d.a.now())
	if err != nil {
		return false, err
	}
	d.charged, d.locks, d.barred, d.trusted = !before.locked(), locks, before, before.trusted
	return d.charged, nil
}

// provesEvery is how often a lock is looked past, for one name from one network.
const provesEvery = time.Minute

// mayProve tells whether a lock is looked past for right answers: for who has logged
// in from this network before, or shows a temporary passphrase, which nobody guesses.
// Strangers who share an address must not keep an owner out.
func (d *dialogue) mayProve(acct Account, typed string) bool {
	temporary := acct.temporaryFor(typed) && d.a.now().Before(acct.Temporary.Expires)
	return d.user != "" && d.trusted || d.serving || temporary
}

// proves tells whether a dialogue under a lock is judged, once a minute: only a
// right code lets it be, so that whoever shares the address can't use the minute up. A
// recovery code, which a wrong passphrase doesn't use up, has a minute of its own: whoever
// found one would take its owner's for ever. A right temporary passphrase is proof by
// itself. It does the same work whatever it
// finds, that behind wrong codes too, and those that are judged count as always.
func (d *dialogue) proves(ctx context.Context, acct Account, in answers, now time.Time) (bool, error) {
	if acct.temporaryFor(in.passphrase) && d.a.bare(acct) && now.Before(acct.Temporary.Expires) {
		return true, nil
	}
	code, _ := secret.ParseCode(in.code)
	m, err := d.findCode(acct, code, now)
	if err != nil {
		return false, err
	}
	right := m.Acceptable() || d.touched || d.a.bySMS(acct) && d.conn.wasTexted(acct.ID, code, now)
	recovery, may := d.findRecovery(acct, in.code), d.mayProve(acct, in.passphrase)
	switch {
	case right && may:
		return d.a.lockout.prove(ctx, d.pair, d.minuteOf(acct, ""), now)
	case recovery && may:
		return d.a.lockout.prove(ctx, d.pair, d.minuteOf(acct, in.code), now)
	case d.serving && d.key == "":
		return false, d.wrongInside(ctx, acct, m.Drift)
	case d.key == "":
		return false, d.suspect(ctx, acct, in.passphrase, m.Drift, d.formed(in.code))
	case !may, !d.formed(in.code):
		return false, nil
	}
	if ok, err := d.chargeKey(ctx, acct); err != nil || !ok {
		return false, err
	}
	return false, d.keyJudged(ctx, acct, codeWrong)
}

// seenCode is a code of an account that others may have seen, and goes on being good for
// a guess at the passphrase in front of it: one that was used up, or one of recovery.
// The zero seenCode is none.
type seenCode struct {
	name string // of its tallies
	most int    // wrong passphrases with it in accountWindow
}

// recoveryTries is how many wrong passphrases may stand before one recovery code in a
// day: its owner's typing errors. recoveryTriesThere are those that a directory judges.
const (
	recoveryTries      = 3
	recoveryTriesThere = 2
)

func (d *dialogue) seenCode(acct Account, code codeKind, typed string) seenCode {
	s := seenCode{"used|" + acct.ID, d.a.lockout.limits.account}
	recovery := code == codeRecovery
	switch {
	case acct.Realm != "" && recovery:
		// A directory has few tries, and locks its users everywhere, so that all of the
		// list has them together.
		return seenCode{"recovery|" + acct.ID, recoveryTriesThere}
	case acct.Realm != "":
		s.most = recoveryTriesThere
	case recovery: // each for itself, so that the rest of the list goes on
		name, _ := d.a.keys.TallyRecovery(acct.ID, typed)
		s = seenCode{"recovery|" + acct.ID + "|" + name, recoveryTries}
	}
	return s
}

// within changes the one tally of that name, which begins anew when its window is
// over, in one transaction that the client's leaving doesn't cancel.
func (l *lockout) within(ctx context.Context, name string, window time.Duration, now time.Time, change func(*Tally)) error {
	err := l.store.Count(context.WithoutCancel(ctx), now, func(t []Tally) bool {
		if t[0].Failures == 0 || now.Sub(t[0].Since) >= window {
			t[0] = Tally{Since: now}
		}
		change(&t[0])
		t[0].Keep = t[0].Since.Add(window)
		return true
	}, l.keys.HashTally(name))
	if err != nil {
		return fmt.Errorf("%w: count failures: %w", ErrUnavailable, err)
	}
	return nil
}

// minuteOf names what has minutes of its own: logins, commands inside connections, and
// each recovery code.
func (d *dialogue) minuteOf(acct Account, recovery string) string {
	name, ok := d.a.keys.TallyRecovery(acct.ID, recovery)
	return fmt.Sprintf("%t|%t|%s", d.serving, ok, name)
}

// prove uses up this minute's look past the lock of p, if nobody has.
func (l *lockout) prove(ctx context.Context, p pair, minute string, now time.Time) (free bool, err error) {
	err = l.store.Count(context.WithoutCancel(ctx), now, func(t []Tally) bool {
		if free = !now.Before(t[0].Locked); free {
			end := now.Add(provesEvery)
			t[0] = Tally{Locked: end, Keep: end}
		}
		return free
	}, l.keys.HashTally(fmt.Sprintf("proof|%x|%s", p.mine, minute)))
	if err != nil {
		return false, fmt.Errorf("%w: count proofs: %w", ErrUnavailable, err)
	}
	return free, nil
}

func (d *dialogue) succeeded(ctx context.Context) error {
	d.charged, d.locks = false, false
	return d.a.lockout.succeeded(ctx, d.pair, d.a.now())
}

func (d *dialogue) refund(ctx context.Context) error {
	if !d.charged {
		return nil
	}
	d.charged, d.locks = false, false
	return d.a.lockout.refund(ctx, d.pair, d.a.now())
}

// wrongPassphrase is the verdict on one behind a code; until is the end of the account's
// lock that it began. Only a right code of the account's own counts against the account,
// so that strangers can't lock an owner out.
func (d *dialogue) wrongPassphrase(ctx context.Context, acct Account, code codeKind, until time.Time) (verdict, error) {
	v := verdict{reason: reasonWrongPassphrase}
	switch code {
	case codeRight:
		v.accountLock = until
	case codeRecovery:
		return v, d.a.countRecovery(ctx, acct, Notice{User: acct.Name, Kind: noticeRecoveryGuess, Source: d.address()})
	case codeTouch:
		return v, d.keyJudged(ctx, acct, codeWrong) // a guess by who has the key
	}
	return v, nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
