package identity

import (
	"context"
	"errors"
)

// Confirm asks the client behind ask for the passphrase of id, once, where
// another local program than its owner's may have opened an inner connection.
// at is the client connection's attempt; its name is not used. The same limits
// apply as to Login, and a wrong passphrase counts against the account, because
// the client connection's code was right.
//
// Errors: ErrRefused, ErrAbandoned, ErrExhausted, ErrRevoked, ErrUnavailable.
func (a *Authenticator) Confirm(ctx context.Context, id Identity, at Attempt, ask Asker) error {
	if !id.Valid() {
		return ErrRevoked
	}
	at.Name, at.Key = id.user, nil
	d := &dialogue{a: a.core, at: at, conn: NewConnState(), ask: ask, pair: a.lockout.pairOf(id.user, at.Source.Addr()), user: id.user}
	st, err := a.lockout.look(ctx, d.pair, a.now())
	if err != nil {
		return d.end(ctx, err)
	}
	if !st.judged() {
		return d.locked(ctx, st)
	}
	typed, err := d.answer(ctx, a.issuer+" passphrase: ", false)
	if err != nil {
		return d.end(ctx, err)
	}
	if err := d.confirm(ctx, id, typed); err != nil {
		if errors.Is(err, ErrRefused) || errors.Is(err, ErrRevoked) || errors.Is(err, errLocked) {
			return err
		}
		return d.end(ctx, err)
	}
	return nil
}

func (d *dialogue) confirm(ctx context.Context, id Identity, typed string) error {
	if ok, err := d.charge(ctx); err != nil {
		return err
	} else if !ok {
		return d.locked(ctx, d.barred)
	}
	now := d.a.now()
	acct, err := d.a.owned(ctx, id)
	if errors.Is(err, ErrRevoked) {
		if err := d.refund(ctx); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	v := verdict{reason: reasonAccountLocked}
	if !now.Before(acct.LockedUntil) {
		if v, err = d.firstFactor(ctx, acct, typed, codeRight); err != nil {
			return err
		}
		if v.reason == "" {
			return d.succeeded(ctx)
		}
		if v.reason == reasonWrongPassphrase {
			if v, err = d.wrongPassphrase(ctx, acct, codeRight, now); err != nil {
				return err
			}
		}
	}
	var said *again
	if err := d.failed(ctx, v); !errors.As(err, &said) {
		return err
	}
	d.notice(ctx, said.text)
	return ErrRefused
}
