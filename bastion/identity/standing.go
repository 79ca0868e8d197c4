package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Standing is the part of an account that decides whether who is in may stay.
type Standing struct {
	Account     string // its ID
	Epoch       int64
	Disabled    bool
	Ends        time.Time // last moment of the account; zero for none
	Created     time.Time
	LastLogin   time.Time // zero before the first
	ActiveSince time.Time // when an operator enabled it last; zero if never
	HasKey      bool      // the key that was asked for is one of its keys
	Suspended   bool      // and is suspended
}

// standing is what Reader.Standing returns for an account like acct.
func (acct Account) standing(fingerprint string) Standing {
	s := Standing{
		Account: acct.ID, Epoch: acct.Epoch, Disabled: acct.Disabled, Ends: acct.Ends,
		Created: acct.Created, LastLogin: acct.LastLogin, ActiveSince: acct.ActiveSince,
	}
	if i := slices.IndexFunc(acct.Keys, func(k Key) bool { return k.Fingerprint == fingerprint }); i >= 0 {
		s.HasKey, s.Suspended = true, !acct.Keys[i].Suspended.IsZero()
	}
	return s
}

// Standing tells whether id still stands: ErrRevoked if not (ErrSuspended, which is one,
// where nothing new may open but what is open goes on), ErrUnavailable if the database
// can't say. It is the whole answer (disabled, ended, inactive,
// removed, reset, key removed), in one query. The server asks once it has
// registered the connection, whenever it decides something new for it and after
// every change (Changed); see the package documentation.
//
// until is when id ceases to stand if nobody does anything: the account's end, or
// the end of its time without a login; zero for never. It moves with every change
// and every login of the account, so that it is when to ask again rather than
// when to end something.
func (a *Authenticator) Standing(ctx context.Context, id Identity) (until time.Time, err error) {
	return a.standing(ctx, id)
}

func (a *core) standing(ctx context.Context, id Identity) (until time.Time, err error) {
	if !id.Valid() {
		return time.Time{}, ErrRevoked
	}
	s, err := a.store.Standing(ctx, id.user, id.key)
	if err == nil {
		err = a.stands(id, s)
	}
	if err != nil && !errors.Is(err, ErrSuspended) {
		return time.Time{}, revokedOr(id, err)
	}
	return a.lifetimes.lapses(s), err
}

// Changed blocks until an account changed in a way that may take access away or
// give it back, in any process on the database, after the change that since
// stands for; it returns the number that stands for the newest. For since zero it
// returns at once. Logins aren't changes, and what time alone ends isn't either
// (Standing). Whoever keeps connections asks, in a loop, and after each answer
// checks all of them: the number is read before they are, so nothing is missed.
//
// The error is ctx's cause, or ErrUnavailable when the database can't say; then
// changes may have passed unseen, and the caller asks again after a pause.
func (a *Authenticator) Changed(ctx context.Context, since int64) (now int64, err error) {
	now, err = a.store.Changed(ctx, since)
	switch {
	case err != nil && ctx.Err() != nil:
		return since, context.Cause(ctx)
	case err != nil:
		return since, fmt.Errorf("%w: watch accounts: %w", ErrUnavailable, err)
	}
	return now, nil
}

// owned returns the account of id while id stands, or ErrRevoked.
func (a *core) owned(ctx context.Context, id Identity) (Account, error) {
	if !id.Valid() {
		return Account{}, ErrRevoked
	}
	acct, err := a.store.Account(ctx, id.user)
	if err == nil {
		err = a.stands(id, acct.standing(id.key))
	}
	if err != nil {
		return Account{}, revokedOr(id, err)
	}
	return acct, nil
}

// stands is the one judgement of an identity by its account: nil, ErrRevoked or, where
// nothing else is against it, ErrSuspended.
func (a *core) stands(id Identity, s Standing) error {
	switch {
	case s.Account != id.account || s.Epoch != id.epoch || a.lifetimes.unfit(s, a.now()).reason != "":
		return ErrRevoked
	case id.key != "" && !s.HasKey:
		return ErrRevoked // what a key opened ends with the key
	case id.method == byRemembrance && s.Suspended:
		return ErrSuspended
	}
	return nil
}

// revokedOr is ErrRevoked for an account that is gone, and ErrUnavailable for a
// store that can't tell.
func revokedOr(id Identity, err error) error {
	switch {
	case errors.Is(err, ErrNoAccount):
		return ErrRevoked
	case errors.Is(err, ErrRevoked):
		return err
	}
	return fmt.Errorf("%w: check %s: %w", ErrUnavailable, id.user, err)
}
