package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"entry/audit"
	"entry/audit/plain"
)

const mostHolders = 5 // who have one key, in a line

// owned is whose a key is: of the accounts that an operator gave it to or that have
// shown it, which one person may have several of.
func owned(h KeyHolder) bool { return h.Proven || h.Shared }

// ownedBy says whose the key is, as far as that isn't the account called name, or "".
func ownedBy(holders []KeyHolder, name string) string {
	var sharing []string
	for _, h := range holders {
		switch {
		case h.Name == name || !owned(h):
		case !h.Shared:
			return "the key of " + h.Name
		default:
			sharing = append(sharing, h.Name)
		}
	}
	switch len(sharing) {
	case 0:
		return ""
	case 1:
		return "the key of " + sharing[0] + ", who shares it"
	}
	return "the key of " + plain.List(sharing, mostHolders) + ", who share it"
}

// namesOf are the holders' names, but for some.
func namesOf(holders []KeyHolder, but ...string) (names []string) {
	for _, h := range holders {
		if !slices.Contains(but, h.Name) {
			names = append(names, h.Name)
		}
	}
	return names
}

// AlsoHeld says, in a clause, who else than name has a key and what that comes to; ""
// where nobody has.
func (a Operators) AlsoHeld(ctx context.Context, name, fingerprint string) (string, error) {
	holders, err := a.holders(ctx, fingerprint)
	if err != nil {
		return "", err
	}
	var said []string
	if owner := ownedBy(holders, name); owner != "" {
		said = append(said, "it is "+owner+", too")
	}
	if claim := namesOf(slices.DeleteFunc(holders, owned), name); len(claim) > 0 {
		said = append(said, plain.List(claim, mostHolders)+map[bool]string{true: " has", false: " have"}[len(claim) == 1]+" it, too, not shown yet: "+FirstKeeps)
	}
	return strings.Join(said, "; "), nil
}

// owner says whose the key is that the account called name has no part in, in words
// for operators; "" where it is nobody's. e is who asks for the key, for the log.
func (a *core) owner(ctx context.Context, name, fingerprint string, e audit.Event) (string, error) {
	holders, err := a.holders(ctx, fingerprint)
	if err != nil {
		return "", err
	}
	owner := ownedBy(holders, name)
	if owner == "" {
		return "", nil
	}
	e.Type, e.Key, e.Reason, e.Detail = audit.KeyRefused, fingerprint, string(reasonKeyTaken), "it is "+owner
	return owner, a.report(ctx, e)
}

func (a *core) holders(ctx context.Context, fingerprint string) ([]KeyHolder, error) {
	holders, err := a.store.KeyHolders(ctx, fingerprint)
	if err != nil {
		return nil, fmt.Errorf("%w: read holders of a key: %w", ErrUnavailable, err)
	}
	return holders, nil
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
	if err := a.report(ctx, e); err != nil {
		return err
	}
	holders, err := a.holders(ctx, fingerprint)
	if err != nil {
		return err
	}
	for _, h := range holders {
		if h.Account == acct.ID || owned(h) {
			continue
		}
		if err := a.dropClaim(ctx, h, fingerprint); err != nil {
			return fmt.Errorf("%w: take a claim to a key away: %w", ErrUnavailable, err)
		}
	}
	return nil
}

// yield takes the claim to a key back that acct has made just now, if the key became
// another account's before the claim stood, and says whose it is.
func (a *core) yield(ctx context.Context, acct Account, fingerprint string, e audit.Event) (owner string, err error) {
	owner, err = a.owner(ctx, acct.Name, fingerprint, e)
	if err != nil || owner == "" {
		return "", err
	}
	if err := a.dropClaim(ctx, KeyHolder{Account: acct.ID, Name: acct.Name}, fingerprint); err != nil {
		return "", fmt.Errorf("%w: take a claim to a key away: %w", ErrUnavailable, err)
	}
	return owner, nil
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
