package identity

import (
	"context"
	"fmt"
	"time"

	"entry/audit"
)

// Reset gives the account a new temporary passphrase and takes its passphrase,
// authenticators and recovery codes away, for an owner who has lost the device.
// Public keys stay, but are no first factor until the new passphrase is set.
// With operators.reset_needs_two it only notes that this operator wants it and
// returns ErrNeedsSecond.
func (a Operators) Reset(ctx context.Context, name string) (temporary string, err error) {
	return a.startReset(ctx, name, false)
}

// ResetPassphrase gives the account a new temporary passphrase in place of its
// passphrase; the next login still needs a code of its authenticator. For
// operators.reset_needs_two see Reset.
func (a Operators) ResetPassphrase(ctx context.Context, name string) (temporary string, err error) {
	return a.startReset(ctx, name, true)
}

func (a Operators) startReset(ctx context.Context, name string, keep bool) (temporary string, err error) {
	if a.resetNeedsTwo {
		err = a.askForReset(ctx, name, keep)
	} else {
		temporary, err = a.reset(ctx, name, keep, func(Account) error { return nil })
	}
	if err != nil {
		return "", fmt.Errorf("reset user %s: %w", name, err)
	}
	return temporary, nil
}

// reset carries a reset out, if the account as it is then may be.
func (a Operators) reset(ctx context.Context, name string, keep bool, may func(Account) error) (temporary string, err error) {
	temporary, fresh := a.issueTemporary()
	e := a.adminEvent(ctx, audit.UserReset, name, &fresh.Expires)
	e.Detail = resetScope(keep)
	err = a.change(ctx, name, e, func(acct *Account) error {
		if err := may(*acct); err != nil {
			return err
		}
		acct.Passphrase, acct.PassphraseSet, acct.Temporary, acct.Pending = "", time.Time{}, fresh, nil
		acct.Epoch++
		if !keep {
			acct.Authenticators, acct.Recovery = nil, nil
		}
		return nil
	})
	if err == nil {
		err = a.clearFailures(ctx, name)
	}
	if err != nil {
		return "", err
	}
	a.notify(ctx, Notice{User: name, Kind: noticeReset, Detail: e.Detail})
	return temporary, nil
}

func resetScope(keep bool) string {
	if keep {
		return "passphrase"
	}
	return "passphrase, authenticators and recovery codes"
}
