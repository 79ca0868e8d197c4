package identity

import (
	"context"
	"errors"

	"entry/audit"
)

// Confirm asks the client behind ask for the passphrase of id, once, where
// another local program than its owner's may have opened an inner connection.
// at is the client connection's attempt; its name is not used. A wrong answer is
// an event and counts against nothing: whoever asks bounds how often it can be
// tried on one client connection, and each of those has cost a code.
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
	var v verdict
	if err == nil {
		v, err = d.firstFactor(ctx, acct, typed)
	}
	if err != nil {
		return d.end(ctx, err)
	}
	if v.reason == "" {
		return nil
	}
	if err := a.report(ctx, d.event(audit.LoginFailed, v.reason)); err != nil {
		return d.end(ctx, err)
	}
	text := v.text
	if text == "" {
		text = notAccepted
	}
	d.notice(ctx, text)
	return ErrRefused
}
