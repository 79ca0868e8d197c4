package identity

import (
	"context"
	"errors"
	"fmt"
	"time"

	"entry/audit"
	"entry/audit/plain"
	"entry/bastion/identity/secret"
	"entry/policy"
)

// Invite makes an account, or renews the temporary passphrase of one that nobody
// has used yet, and returns that passphrase in two halves for two channels,
// which are typed as one: in this order, dashes and spaces don't matter. It
// returns ErrExists for an account in use (Reset is for those) and a *Refusal
// for one that is disabled. Disable revokes an invitation, and so does the next
// one. Each half has 40 random bits, so that one channel alone is no way in.
func (a Operators) Invite(ctx context.Context, name string) (mail, signal string, until time.Time, err error) {
	if err := policy.ValidUser(name); err != nil {
		return "", "", time.Time{}, fmt.Errorf("invite user: %w", err)
	}
	temporary, fresh := a.issueTemporary()
	e := a.adminEvent(ctx, audit.UserInvited, name, &fresh.Expires)
	_, err = a.account(ctx, name)
	switch {
	case errors.Is(err, ErrNoAccount):
		acct := Account{ID: secret.NewID(), Name: name, Generation: 1, Created: a.now(), Temporary: fresh}
		err = storeFailed(a.created(ctx, acct, e))
	case err == nil:
		err = a.change(ctx, name, e, func(acct *Account) error {
			switch {
			case acct.Passphrase != "" || len(acct.Authenticators) > 0 || !acct.LastLogin.IsZero():
				return ErrExists
			case acct.Disabled:
				return &Refusal{Text: "the account is disabled: enable it first"}
			}
			acct.Temporary, acct.ActiveSince = fresh, a.now()
			acct.Epoch++
			return nil
		})
	}
	if err != nil {
		return "", "", time.Time{}, fmt.Errorf("invite user %s: %w", name, err)
	}
	a.notify(ctx, Notice{User: name, Kind: noticeInvited, Detail: "until " + plain.Moment(fresh.Expires)})
	mail, signal = Halves(temporary)
	return mail, signal, fresh.Expires, nil
}
