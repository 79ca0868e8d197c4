package identity

import (
	"context"
	"errors"
	"fmt"
	"time"

	"entry/audit"
)

// Confirm asks the client behind ask for the passphrase of id, once, where
// another local program than its owner's may have opened an inner connection.
// at is the client connection's attempt; its name is not used. A wrong answer is
// an event and never counts against the account. Whoever asks bounds how often it can
// be tried on one client connection. Each of those has cost a code, but for those of a
// remembered key, which has confirmsOfKey wrong answers a day: who has taken it must
// not find out its owner's passphrase here, nor use up the tries at a directory.
//
// Errors: ErrRefused, ErrAbandoned, ErrRevoked, ErrUnavailable.
func (a *Authenticator) Confirm(ctx context.Context, id Identity, at Attempt, ask Asker) error {
	if !id.Valid() {
		return ErrRevoked
	}
	at.Name, at.Key = id.user, nil
	d := &dialogue{a: a.core, at: at, conn: NewConnState(), ask: ask, user: id.user}
	typed, err := d.answer(ctx, a.issuer+" passphrase: ", false)
	if err != nil {
		return d.end(ctx, err)
	}
	acct, err := a.owned(ctx, id)
	if errors.Is(err, ErrRevoked) {
		return err
	}
	if err != nil {
		return d.end(ctx, err)
	}
	v := verdict{reason: reasonTooMany, text: "Too many wrong passphrases were typed here: log in with a code, from a program that is known to be yours."}
	free, until, err := a.chargeConfirm(ctx, id)
	if err == nil && free {
		v, err = d.firstFactor(ctx, acct, typed)
	}
	if err != nil {
		return d.end(ctx, err)
	}
	if v.reason == "" {
		if err := a.confirmed(ctx, id); err != nil {
			return d.end(ctx, err)
		}
		return nil
	}
	e := d.event(audit.LoginFailed, v.reason)
	if e.Reason == string(reasonTooMany) {
		e.Until = &until
	}
	if err := a.report(ctx, e); err != nil {
		return d.end(ctx, err)
	}
	text := v.text
	if text == "" {
		text = notAccepted
	}
	d.notice(ctx, text)
	return ErrRefused
}

const (
	confirmsOfKey  = 4
	confirmsPeriod = 24 * time.Hour
)

// chargeConfirm counts an answer of a remembered key's holder as wrong until it proves
// right, so that many at once can't all be judged.
func (a *Authenticator) chargeConfirm(ctx context.Context, id Identity) (free bool, until time.Time, err error) {
	err = a.editConfirms(ctx, id, func(t *Tally, now time.Time) {
		if t.Failures == 0 || now.Sub(t.Since) >= confirmsPeriod {
			*t = Tally{Since: now}
		}
		free, until = t.Failures < confirmsOfKey, t.Since.Add(confirmsPeriod)
		t.Failures = min(t.Failures+1, confirmsOfKey)
	})
	return free || err == nil && id.method != byRemembrance, until, err
}

func (a *Authenticator) confirmed(ctx context.Context, id Identity) error {
	return a.editConfirms(ctx, id, func(t *Tally, _ time.Time) { *t = Tally{} })
}

func (a *Authenticator) editConfirms(ctx context.Context, id Identity, change func(*Tally, time.Time)) error {
	if id.method != byRemembrance {
		return nil
	}
	now := a.now()
	err := a.store.Count(context.WithoutCancel(ctx), now, func(t []Tally) bool {
		change(&t[0], now)
		t[0].Keep = later(now, t[0].Since.Add(confirmsPeriod))
		return true
	}, a.keys.HashTally("confirm|"+id.account+"|"+id.key))
	if err != nil {
		return fmt.Errorf("%w: count wrong passphrases: %w", ErrUnavailable, err)
	}
	return nil
}
