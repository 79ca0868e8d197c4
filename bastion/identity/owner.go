package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"entry/audit"
)

// owner is the name of the other account than that of this ID which the key was
// proven to be of, and which doesn't share it; "" where there is none. e is who asks
// for the key, for the log.
func (a *core) owner(ctx context.Context, account, fingerprint string, e audit.Event) (string, error) {
	holders, err := a.store.KeyHolders(ctx, fingerprint)
	if err != nil {
		return "", fmt.Errorf("%w: read holders of a key: %w", ErrUnavailable, err)
	}
	i := slices.IndexFunc(holders, func(h KeyHolder) bool { return h.Account != account && h.Proven && !h.Shared })
	if i < 0 {
		return "", nil
	}
	e.Type, e.Key, e.Reason, e.Detail = audit.KeyRefused, fingerprint, string(reasonKeyTaken), "it is the key of "+holders[i].Name
	return holders[i].Name, a.report(ctx, e)
}

// prove notes that the holder of the account has shown the key's private half, for
// the first time, and takes the key from whoever merely claimed it. It returns
// ErrKeyTaken if another account was faster.
func (a *core) prove(ctx context.Context, acct Account, fingerprint string, e audit.Event) error {
	i := slices.IndexFunc(acct.Keys, func(k Key) bool { return k.Fingerprint == fingerprint })
	if i < 0 || !acct.Keys[i].Proven.IsZero() {
		return nil
	}
	first, err := a.store.ProveKey(context.WithoutCancel(ctx), acct.ID, fingerprint, a.now())
	switch {
	case errors.Is(err, ErrKeyTaken):
		return err
	case err != nil:
		return fmt.Errorf("%w: prove key: %w", ErrUnavailable, err)
	case !first:
		return nil
	}
	e.Type, e.Key = audit.KeyProven, fingerprint
	if err := a.report(ctx, e); err != nil || acct.Keys[i].Shared != "" {
		return err
	}
	holders, err := a.store.KeyHolders(ctx, fingerprint)
	if err != nil {
		return fmt.Errorf("%w: read holders of a key: %w", ErrUnavailable, err)
	}
	for _, h := range holders {
		if h.Account == acct.ID || h.Proven || h.Shared {
			continue
		}
		if err := a.dropClaim(ctx, h, fingerprint); err != nil {
			return fmt.Errorf("%w: take a claim to a key away: %w", ErrUnavailable, err)
		}
	}
	return nil
}

// yield takes the claim to a key back that acct has made just now, and tells so, if the
// key was proven to be another account's before the claim stood.
func (a *core) yield(ctx context.Context, acct Account, fingerprint string, e audit.Event) (bool, error) {
	owner, err := a.owner(ctx, acct.ID, fingerprint, e)
	if err != nil || owner == "" {
		return false, err
	}
	if err := a.dropClaim(ctx, KeyHolder{Account: acct.ID, Name: acct.Name}, fingerprint); err != nil {
		return false, fmt.Errorf("%w: take a claim to a key away: %w", ErrUnavailable, err)
	}
	return true, nil
}

// dropClaim takes a key away that the account has never shown.
func (a *core) dropClaim(ctx context.Context, h KeyHolder, fingerprint string) error {
	gone := errors.New("not claimed any more")
	e := audit.Event{Type: audit.KeyRemoved, User: h.Name, Key: fingerprint, Reason: string(reasonKeyTaken)}
	err := Operators{a}.change(ctx, h.Name, e, func(acct *Account) error {
		kept := slices.DeleteFunc(slices.Clone(acct.Keys), func(k Key) bool {
			return k.Fingerprint == fingerprint && k.Proven.IsZero() && k.Shared == ""
		})
		if acct.ID != h.Account || len(kept) == len(acct.Keys) {
			return gone
		}
		acct.Keys = kept
		return nil
	})
	switch {
	case errors.Is(err, gone), errors.Is(err, ErrNoAccount):
		return nil
	case err != nil:
		return err
	}
	a.notify(ctx, Notice{User: h.Name, Kind: noticeKeyRemoved, Detail: fingerprint})
	return nil
}
