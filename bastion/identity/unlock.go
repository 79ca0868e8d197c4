package identity

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"entry/audit"
	"entry/audit/plain"
)

// SourceLock is what failed logins of one name from one source have come to.
type SourceLock struct {
	Source   string    `json:"source"`          // an address, or the /64 of an IPv6 one
	Failures int       `json:"failures"`        // of this name
	Until    time.Time `json:"until,omitzero"`  // end of the lock; zero if there is none
	Whole    bool      `json:"whole,omitempty"` // every name is locked from there but those that prove themselves
}

// sourceName is what people call what failures are counted under.
func sourceName(a netip.Addr) string {
	p := sourceOf(a)
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// ParseSource reads an address as people have it at hand: as it is, with a port as in
// events, in brackets, or as the network that failures are counted under. A wider network
// is none.
func ParseSource(s string) (from netip.Addr, ok bool) {
	if at, err := netip.ParseAddrPort(s); err == nil {
		return at.Addr().Unmap().WithZone(""), true
	}
	if inner, yes := strings.CutPrefix(s, "["); yes {
		if s, yes = strings.CutSuffix(inner, "]"); !yes {
			return netip.Addr{}, false
		}
	}
	if from, err := netip.ParseAddr(s); err == nil {
		return from.Unmap().WithZone(""), true
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Addr{}, false
	}
	bits := p.Bits()
	if p.Addr().Is4In6() {
		bits -= 96
	}
	return p.Addr().Unmap(), bits >= sourceOf(p.Addr()).Bits()
}

// SourceLocks tells from which of the sources name has failures or a lock now. Which
// sources there are can't be told from what is stored: the caller has them from the
// log.
func (a Operators) SourceLocks(ctx context.Context, name string, sources []netip.Addr) ([]SourceLock, error) {
	locks := []SourceLock{}
	for _, from := range sources {
		l := SourceLock{Source: sourceName(from)}
		if slices.ContainsFunc(locks, func(o SourceLock) bool { return o.Source == l.Source }) {
			continue
		}
		p, now := a.lockout.pairOf(name, from), a.now()
		t, err := a.store.Tallies(ctx, p.mine, p.all)
		if err != nil {
			return nil, fmt.Errorf("%w: read failures: %w", ErrUnavailable, err)
		}
		st := lockStateOf(t[0], t[1], now)
		l.Until, l.Whole = st.until, st.whole
		if now.Sub(t[0].Since) < a.lockout.limits.window || st.locked() {
			l.Failures = t[0].Failures
		}
		if l.Failures > 0 || st.locked() {
			locks = append(locks, l)
		}
	}
	return locks, nil
}

// Unlock lifts what failed logins have led to for the account: its own lock, what
// wrong codes behind its passphrase closed, and the locks of its name from the
// sources. With whole, the sources' own locks go too, for every name. It says what it
// did, a clause for each lock; nothing means that there was nothing to lift. Keys stay
// suspended: their owner knows whether a thief has them.
func (a Operators) Unlock(ctx context.Context, name string, sources []netip.Addr, whole bool) (did []string, err error) {
	info, err := a.User(ctx, name)
	if err != nil {
		return nil, err
	}
	did = lifted(info)
	locks, err := a.SourceLocks(ctx, name, sources)
	if err != nil {
		return nil, err
	}
	var forgotten []string
	failures := 0
	for _, l := range locks {
		switch {
		case l.Whole && whole:
			did = append(did, "lifted the lock of everybody from "+l.Source+", which lasted until "+plain.Minute(l.Until))
		case l.Whole:
			// Another name's guesses: whoever shares that address is kept out for them.
		case !l.Until.IsZero():
			did = append(did, "lifted the lock from "+l.Source+", which lasted until "+plain.Minute(l.Until))
		default:
			forgotten, failures = append(forgotten, l.Source), failures+l.Failures
		}
	}
	if len(forgotten) > 0 {
		did = append(did, "forgot "+plain.Count(failures, "failed login")+" from "+plain.List(forgotten, 3))
	}
	if len(did) == 0 {
		// What only memory has, and what came of it: nobody knows whether it is a lock.
		acct, err := a.account(ctx, name)
		if err == nil {
			err = errors.Join(a.guesses.forgive(ctx, acct, a.now()), a.clearBinds(ctx, acct, sources))
		}
		return did, err
	}
	e := a.adminEvent(ctx, audit.UserChanged, name, nil)
	e.Detail = plain.Clip(Unlocked+strings.Join(did, "; "), maxDetail)
	err = a.logged(ctx, func(ctx context.Context) error {
		for _, from := range sources {
			err := a.lockout.edit(ctx, a.lockout.pairOf(name, from), a.now(), func(mine, all *Tally) bool {
				*mine = Tally{Trusted: mine.Trusted}
				if whole {
					*all = Tally{Trusted: all.Trusted}
				}
				return true
			})
			if err != nil {
				return err
			}
		}
		acct, err := a.account(ctx, name)
		if err != nil {
			return err
		}
		return errors.Join(a.clearFailures(ctx, name), a.clearBinds(ctx, acct, sources))
	}, e)
	if err != nil {
		return nil, fmt.Errorf("unlock user %s: %w", name, storeFailed(err))
	}
	return did, nil
}

// clearBinds lets the directory of acct be asked ahead of a code again: see bind.
func (a *core) clearBinds(ctx context.Context, acct Account, sources []netip.Addr) error {
	places := []string{""}
	for _, from := range sources {
		places = append(places, sourceOf(from).String())
	}
	for _, place := range places {
		if acct.Realm == "" {
			continue
		}
		if err := errors.Join(a.lockout.namedTry(bindsOf(acct.ID, place), 0).forget(ctx, a.now()), a.lockout.namedTry(bindsOf(acct.ID, place+byKey), 0).forget(ctx, a.now())); err != nil {
			return err
		}
	}
	return nil
}

// maxDetail bounds what an event says of an unlocking.
const maxDetail = 1 << 10 // bytes

// lifted is what clearFailures takes away from an account that stands like this.
func lifted(u UserInfo) (did []string) {
	switch {
	case !u.LockedUntil.IsZero():
		did = append(did, "lifted the account's lock after many wrong passphrases, which lasted until "+plain.Minute(u.LockedUntil))
	case u.Failures > 0:
		did = append(did, "forgot "+plain.Count(u.Failures, "wrong passphrase")+" behind a right code")
	}
	if u.WrongRecovery > 0 {
		did = append(did, "forgot "+plain.Count(u.WrongRecovery, "wrong passphrase")+" in front of right recovery codes")
	}
	switch {
	case !u.CodesLockUntil.IsZero():
		did = append(did, "opened the passphrase again to networks without a login before, which "+plain.Count(u.WrongCodes, "wrong code")+" had closed until "+plain.Minute(u.CodesLockUntil))
	case u.WrongCodes > 0:
		did = append(did, "forgot "+plain.Count(u.WrongCodes, "wrong code")+" behind the passphrase")
	}
	switch {
	case !u.InsideLockUntil.IsZero():
		did = append(did, "let codes inside open connections count again, which "+plain.Count(u.WrongInside, "wrong one")+" had stopped until "+plain.Minute(u.InsideLockUntil))
	case u.WrongInside > 0:
		did = append(did, "forgot "+plain.Count(u.WrongInside, "wrong code")+" inside open connections")
	}
	return did
}

// Enabled is Enable that says what it did, and what it left as it was, in
// sentences without a full stop.
func (a Operators) Enabled(ctx context.Context, name string) (did []string, err error) {
	u, err := a.User(ctx, name)
	if err != nil {
		return nil, err
	}
	if err := a.Enable(ctx, name); err != nil {
		return nil, err
	}
	now := a.now()
	if u.Disabled {
		did = append(did, "admitted the account again")
	}
	if !u.InactiveAfter.IsZero() && !now.Before(u.InactiveAfter) {
		did = append(did, "ended its expiry for disuse, which began on "+plain.Minute(u.InactiveAfter))
	}
	did = append(did, lifted(u)...)
	if u.WrongUnseen > 0 { // which an unlocking forgets without a word: nobody knows whether it is a lock
		did = append(did, "forgot "+plain.Count(u.WrongUnseen, "wrong code")+" that came while the server was too busy to tell what they were behind")
	}
	if len(did) == 0 {
		did = append(did, "nothing was to be done: the account was neither disabled, expired nor locked")
	}
	if u.Disabled && u.TemporaryExpires.IsZero() && u.PassphraseSet.IsZero() && !u.MustChange && u.Realm == "" {
		did = append(did, "still, it has no passphrase; entry user reset "+name+" gives a temporary one")
	}
	return append(did, a.barredStill(u)...), nil
}

// StillBarred says what keeps the owner of an account out that no unlocking ends, in
// sentences without a full stop.
func (a Operators) StillBarred(ctx context.Context, name string) ([]string, error) {
	u, err := a.User(ctx, name)
	if err != nil {
		return nil, err
	}
	var still []string
	switch {
	case u.Disabled:
		still = append(still, "the account is disabled, which unlock leaves: entry user enable "+name)
	case !u.InactiveAfter.IsZero() && !a.now().Before(u.InactiveAfter):
		still = append(still, "the account has expired unused, which unlock leaves: entry user enable "+name)
	}
	return append(still, a.barredStill(u)...), nil
}

// barredStill is what neither unlocking nor enabling ends.
func (a Operators) barredStill(u UserInfo) (did []string) {
	name, now := u.Name, a.now()
	if !u.Ends.IsZero() && !now.Before(u.Ends) {
		did = append(did, "still, the account has ended on "+plain.Minute(u.Ends)+"; entry user end "+name+" changes that")
	}
	if !u.TemporaryExpires.IsZero() && !now.Before(u.TemporaryExpires) {
		did = append(did, "still, its temporary passphrase has expired on "+plain.Minute(u.TemporaryExpires)+"; entry user reset "+name+" makes a new one")
	}
	for _, k := range u.Keys {
		if !k.Suspended.IsZero() {
			did = append(did, "still, the key "+k.Fingerprint+" is suspended; its owner enables it, by another factor")
		}
	}
	return did
}
