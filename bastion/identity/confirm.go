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
// be tried on one client connection. Who came in by a key may not know the passphrase,
// and must not find it out here, nor use up the tries at a directory: ten wrong answers a
// day, and none while the account is locked, are judged for all who gave a code with a
// key (confirmsOfKey at a directory), and confirmsOfKey for each remembered key, which
// cost no code.
//
// Errors: ErrRefused, ErrAbandoned, ErrRevoked, ErrUnavailable.
func (a *Authenticator) Confirm(ctx context.Context, id Identity, at Attempt, ask Asker) error {
	if !id.Valid() {
		return ErrRevoked
	}
	at.Name, at.Key = id.user, nil
	d := &dialogue{a: a.core, at: at, conn: NewConnState(), ask: ask, user: id.user, inside: true}
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
	v, until, err := d.confirmed(ctx, acct, id, typed)
	if err != nil {
		return d.end(ctx, err)
	}
	if v.reason == "" {
		return nil
	}
	e := d.event(audit.LoginFailed, v.reason)
	if !until.IsZero() {
		e.Until = &until
	}
	if err := a.report(ctx, e); err != nil {
		return d.end(ctx, err)
	}
	text := v.text
	if text == "" {
		text = notAccepted + " Connect once more to try again."
	}
	d.notice(ctx, text)
	return ErrRefused
}

// confirmsOfKey is how many wrong answers behind one remembered key are judged in
// accountWindow.
const confirmsOfKey = 4

// confirmed judges what was typed, until when nothing more is if that is why not.
func (d *dialogue) confirmed(ctx context.Context, acct Account, id Identity, typed string) (v verdict, until time.Time, err error) {
	a, now := d.a, d.a.now()
	if id.key == "" { // its login had the passphrase
		v, err = d.firstFactor(ctx, acct, typed)
		return v, time.Time{}, err
	}
	if now.Before(acct.LockedUntil) {
		return verdict{reason: reasonAccountLocked, text: a.lockedText(acct.LockedUntil)}, acct.LockedUntil, nil
	}
	name, most, by := confirmsOf(acct), a.lockout.limits.account, "passphrase and code"
	switch {
	case id.method == byRemembrance:
		name, most, by = name+"|"+id.key, confirmsOfKey, "a code"
	case acct.Realm != "":
		most = confirmsOfKey // a directory has few tries
	}
	t := a.lockout.namedTry(name, most)
	switch free, until, err := t.begin(ctx, a.now); {
	case err != nil:
		return verdict{}, time.Time{}, err
	case !free:
		return verdict{reason: reasonTooMany, text: "Too many wrong passphrases were typed here: log in with " + by + ", from a program that is known to be yours."},
			until, a.notifyHourly(ctx, acct.ID, Notice{User: acct.Name, Kind: noticePassphraseGuess, Source: d.address(), Detail: id.key})
	}
	v, err = d.firstFactor(ctx, acct, typed)
	_, settling := t.settle(ctx, outcomeOf(ctx, v, err), a.now())
	return v, time.Time{}, errors.Join(err, settling)
}

// outcomeOf is what a try comes to by which firstFactor returned that: a directory may
// have been asked for who left meanwhile.
func outcomeOf(ctx context.Context, v verdict, err error) outcome {
	if err != nil && ctx.Err() == nil || err == nil && (v.reason == "" || v.innocent) {
		return tryNone
	}
	return tryWrong
}

// confirmsOf names the wrong passphrases that were typed inside connections of a key.
func confirmsOf(acct Account) string { return "confirm|" + acct.ID }
