package identity

import (
	"context"
	"errors"
	"fmt"
	"time"

	"entry/audit"
)

var (
	// ErrNeedsSecond: the reset is noted and waits for another operator.
	ErrNeedsSecond = errors.New("identity: a second operator has to confirm this reset")
	// ErrSameOperator: whoever asked for the reset can't confirm it, nor can an
	// operator whose account or login isn't known.
	ErrSameOperator = errors.New("identity: another operator, under another login, has to confirm this reset")
	// ErrNothingPending: no reset waits to be confirmed, or none any more.
	ErrNothingPending = errors.New("identity: no reset of this account waits to be confirmed")
)

// confirmWithin is how long a reset waits for a second operator.
const confirmWithin = 24 * time.Hour

// PendingReset is a reset that waits for a second operator.
type PendingReset struct {
	By             audit.Actor `json:"by"`
	Asked          time.Time   `json:"asked"`
	PassphraseOnly bool        `json:"passphrase_only"` // as ResetPassphrase, not Reset
}

// askForReset notes what the operator behind ctx wants, in place of what any
// asked for before.
func (a Operators) askForReset(ctx context.Context, name string, keep bool) error {
	who := audit.ActorOf(ctx)
	if who == nil || !who.KnownLogin() {
		return ErrSameOperator
	}
	now := a.now()
	until := now.Add(confirmWithin)
	e := a.adminEvent(ctx, audit.UserResetRequested, name, &until)
	e.Detail = resetScope(keep)
	err := a.change(ctx, name, e, func(acct *Account) error {
		acct.Pending = &PendingReset{By: *who, Asked: now, PassphraseOnly: keep}
		return nil
	})
	if err != nil {
		return err
	}
	return ErrNeedsSecond
}

// ConfirmReset carries out the reset that another operator asked for within 24 h
// and returns the temporary passphrase. The two must be two people, as
// audit.Actor.Another tells. Errors: ErrNothingPending, ErrSameOperator,
// ErrNoAccount, ErrUnavailable.
func (a Operators) ConfirmReset(ctx context.Context, name string) (temporary string, err error) {
	who := audit.ActorOf(ctx)
	var pending *PendingReset
	acct, err := a.account(ctx, name)
	if err == nil {
		pending, err = a.confirmable(acct, who)
	}
	if err == nil {
		temporary, err = a.reset(ctx, name, pending.PassphraseOnly, func(acct Account) error {
			now, err := a.confirmable(acct, who)
			if err == nil && *now != *pending {
				err = ErrChanged // another one was asked for meanwhile
			}
			return err
		})
	}
	if err != nil {
		return "", fmt.Errorf("confirm reset of user %s: %w", name, err)
	}
	return temporary, nil
}

// confirmable returns the reset of acct that waits, if who may confirm it.
func (a Operators) confirmable(acct Account, who *audit.Actor) (*PendingReset, error) {
	p := a.pending(acct)
	switch {
	case p == nil:
		return nil, ErrNothingPending
	case who == nil || !who.Another(p.By):
		return nil, ErrSameOperator
	}
	return p, nil
}

// pending is the reset of acct that still can be confirmed, or nil.
func (a *core) pending(acct Account) *PendingReset {
	if p := acct.Pending; p != nil && a.now().Before(p.Asked.Add(confirmWithin)) && !a.now().Before(p.Asked) {
		return p
	}
	return nil
}
