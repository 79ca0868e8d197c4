package identity

import (
	"context"
	"fmt"
	"time"

	"entry/bastion/identity/secret"
)

// LoginInfo is one login that succeeded.
type LoginInfo struct {
	At     time.Time `json:"at"`
	Source string    `json:"source"` // IP address
	Method string    `json:"method"` // as Identity.Method
}

// DeviceHealth is one authenticator and how well it keeps time.
type DeviceHealth struct {
	Name    string        `json:"name"`
	Created time.Time     `json:"created"`
	Used    time.Time     `json:"used,omitzero"` // last code; zero if none since it was enrolled
	Drift   time.Duration `json:"drift"`         // how far its clock was ahead then, in whole steps of 30 s
}

// Health is what an account's owner may want to know when something doesn't
// work. Zero times mean never.
type Health struct {
	Devices           []DeviceHealth `json:"devices"`
	RecoveryLeft      int            `json:"recovery_left"` // unused recovery codes
	LockedUntil       time.Time      `json:"locked_until,omitzero"`
	PassphraseSet     time.Time      `json:"passphrase_set,omitzero"`
	PassphraseExpires time.Time      `json:"passphrase_expires,omitzero"`
	AccountEnds       time.Time      `json:"account_ends,omitzero"`
	InactiveAfter     time.Time      `json:"inactive_after,omitzero"` // when it expires unless somebody logs in
	LastLogins        []LoginInfo    `json:"last_logins"`             // the newest first
	// Wrong codes behind the right passphrase, as UserInfo has them.
	WrongCodes     int       `json:"wrong_codes,omitempty"`
	WrongSince     time.Time `json:"wrong_since,omitzero"`
	CodesLockUntil time.Time `json:"codes_lock_until,omitzero"`
	WrongUnseen    int       `json:"wrong_codes_unseen,omitempty"`
	WrongRecovery  int       `json:"wrong_before_recovery,omitempty"`
}

// Health tells the holder of id how the account stands.
func (a SelfService) Health(ctx context.Context, id Identity) (Health, error) {
	acct, err := a.owned(ctx, id)
	if err != nil {
		return Health{}, err
	}
	logins, err := a.store.LastLogins(ctx, acct.ID)
	if err != nil {
		return Health{}, fmt.Errorf("%w: read logins: %w", ErrUnavailable, err)
	}
	guessed, err := a.guessed(ctx, acct)
	if err != nil {
		return Health{}, err
	}
	unseen, err := a.guesses.overlooked(ctx, acct.Name, a.now())
	if err != nil {
		return Health{}, err
	}
	recovery, _, err := a.guessedRecovery(ctx, acct)
	if err != nil {
		return Health{}, err
	}
	info := a.info(acct)
	h := Health{
		WrongCodes: guessed.month, WrongSince: guessed.since, CodesLockUntil: guessed.closed, WrongUnseen: unseen, WrongRecovery: recovery,
		RecoveryLeft: info.RecoveryLeft, LockedUntil: info.LockedUntil, PassphraseSet: acct.PassphraseSet,
		PassphraseExpires: a.lifetimes.passphraseExpires(acct), AccountEnds: acct.Ends, InactiveAfter: a.lifetimes.inactiveAfter(acct.standing("")), LastLogins: logins,
	}
	for _, e := range acct.Authenticators {
		dev := DeviceHealth{Name: e.Name, Created: e.Created, Used: e.Used}
		if !e.Used.IsZero() {
			dev.Drift = secret.Drift(e.LastStep, e.Used)
		}
		h.Devices = append(h.Devices, dev)
	}
	return h, nil
}

// LastLogin is the newest login of an account, nil if none is known.
func (a Operators) LastLogin(ctx context.Context, name string) (*LoginInfo, error) {
	acct, err := a.account(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("show user %s: %w", name, err)
	}
	all, err := a.store.LastLogins(ctx, acct.ID)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: read logins: %w", ErrUnavailable, err)
	case len(all) == 0:
		return nil, nil
	}
	return &all[0], nil
}

// Sources returns the last login from each address since then, of any account,
// as far as they are kept (20 an account).
func (a *Authenticator) Sources(ctx context.Context, since time.Time) ([]LoginInfo, error) {
	all, err := a.store.Sources(ctx, since)
	if err != nil {
		return nil, fmt.Errorf("%w: read sources: %w", ErrUnavailable, err)
	}
	return all, nil
}
