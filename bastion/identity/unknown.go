package identity

import (
	"context"
	"errors"
	"fmt"

	"entry/bastion/identity/secret"
	"entry/policy"
)

// load returns the account of a name, or the dummy after the same query.
func (a *core) load(ctx context.Context, name string) (acct Account, known bool, err error) {
	asked := name
	if policy.ValidUser(name) != nil {
		asked = "-" // no account can have it
	}
	acct, err = a.store.Account(ctx, asked)
	switch {
	case errors.Is(err, ErrNoAccount):
		return a.dummy, false, nil
	case err != nil:
		return Account{}, false, fmt.Errorf("%w: read account: %w", ErrUnavailable, err)
	}
	return acct, true, nil
}

func (d *dialogue) load(ctx context.Context) (Account, error) {
	acct, known, err := d.a.load(ctx, d.at.Name)
	if known {
		d.user = acct.Name
	}
	return acct, err
}

// dummyAccount stands in for unknown names: it has one of everything, and
// nobody knows any of it. It is in no store, so nothing of it can be spent.
func (a *core) dummyAccount() (Account, error) {
	acct := Account{ID: secret.NewID(), Generation: -1, Passphrase: a.hasher.Dummy()}
	dev := secret.NewID()
	acct.Authenticators = []EnrolledAuthenticator{{ID: dev, Sealed: a.keys.SealSeed(acct.ID, dev, secret.NewSeed())}}
	_, acct.Recovery = a.newRecovery(acct.ID)
	return acct, nil
}
