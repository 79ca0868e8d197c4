package identity

import (
	"context"
	"errors"
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
	typed, err := d.answer(ctx, a.issuer+" passphrase: ")
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
	if id.method != byRemembrance {
		return true, time.Time{}, nil
	}
	err = a.lockout.within(ctx, confirmsOf(id), confirmsPeriod, a.now(), func(t *Tally) {
		free, until = t.Failures < confirmsOfKey, t.Since.Add(confirmsPeriod)
		t.Failures = min(t.Failures+1, confirmsOfKey)
	})
	return free, until, err
}

func (a *Authenticator) confirmed(ctx context.Context, id Identity) error {
	if id.method != byRemembrance {
		return nil
	}
	return a.lockout.within(ctx, confirmsOf(id), confirmsPeriod, a.now(), func(t *Tally) { t.Failures = 0 })
}

func confirmsOf(id Identity) string { return "confirm|" + id.account + "|" + id.key }
