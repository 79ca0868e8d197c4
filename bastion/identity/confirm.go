package identity

import (
	"context"
	"errors"
	"fmt"
)

// Confirm asks the client behind ask for the passphrase of id, once, where
// another local program than its owner's may have opened an inner connection.
// at is the client connection's attempt; its name is not used. The same limits
// apply as to Login, and a wrong passphrase counts against the account, because
// the client connection's code was right.
//
// Errors: ErrRefused, ErrAbandoned, ErrLocked, ErrRevoked, ErrUnavailable.
func (a *Authenticator) Confirm(ctx context.Context, id Identity, at Attempt, ask Asker) error {
	if !id.Valid() {
		return ErrRevoked
	}
	at.Name, at.Key = id.user, nil
	d := &dialogue{a: a, at: at, conn: NewConnState(), ask: ask, pair: pairOf(id.user, at.Source.Addr()), user: id.user}
	if st := a.lockout.look(d.pair, a.now()); !st.judged() {
		return d.locked(ctx, st)
	}
	typed, err := d.answer(ctx, a.issuer+" passphrase: ", false)
	if err != nil {
		return d.end(ctx, err)
	}
	if err := d.confirm(ctx, id, typed); err != nil {
		if errors.Is(err, ErrRefused) || errors.Is(err, ErrRevoked) || errors.Is(err, ErrLocked) {
			return err
		}
		return d.end(ctx, err)
	}
	return nil
}

func (d *dialogue) confirm(ctx context.Context, id Identity, typed string) error {
	if !d.charge() {
		return d.locked(ctx, d.barred)
	}
	now := d.a.now()
	acct, err := d.a.store.Account(ctx, id.user)
	gone := errors.Is(err, ErrNoAccount) || (err == nil && (acct.ID != id.account || acct.Epoch != id.epoch || acct.Disabled))
	switch {
	case gone:
		d.refund()
		return ErrRevoked
	case err != nil:
		return fmt.Errorf("%w: read account: %w", ErrUnavailable, err)
	}
	v := verdict{reason: reasonAccountLocked}
	if !now.Before(acct.LockedUntil) {
		right, err := d.firstFactor(ctx, acct, typed, false)
		if err != nil {
			return err
		}
		if right {
			d.a.lockout.succeeded(d.pair, now)
			return nil
		}
		if v, err = d.wrongPassphrase(ctx, acct, codeRight, now); err != nil {
			return err
		}
	}
	var said *again
	if err := d.failed(ctx, v); !errors.As(err, &said) {
		return err
	}
	d.notice(ctx, notAccepted)
	return ErrRefused
}
