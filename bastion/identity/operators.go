package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"entry/audit"
	"entry/audit/plain"
	"entry/bastion/identity/secret"
	"entry/policy"
)

// Operators is what operators can see and change of any account. Who they are
// comes with the context (audit.WithActor); whether they may is not asked here.
type Operators struct{ *core }

// UserInfo is what may be shown of an account: nothing in it is a secret.
type UserInfo struct {
	Name             string       `json:"user"`
	Created          time.Time    `json:"created"`
	LastLogin        time.Time    `json:"last_login,omitzero"` // zero before the first
	Disabled         bool         `json:"disabled"`
	Realm            string       `json:"realm,omitempty"`            // the directory that has the passphrase
	Phone            string       `json:"phone,omitempty"`            // for codes by SMS
	CodeBySMS        bool         `json:"code_by_sms,omitempty"`      // codes go there while there is no authenticator
	SMSUntil         time.Time    `json:"sms_until,omitzero"`         // when the next login enrols an app instead; zero for never
	TermsAccepted    time.Time    `json:"terms_accepted,omitzero"`    // of the version that counts; zero while it wasn't, or without one
	TermsWait        bool         `json:"terms_wait,omitempty"`       // the next login asks for them
	Ends             time.Time    `json:"ends,omitzero"`              // last moment of the account; zero for none
	InactiveAfter    time.Time    `json:"inactive_after,omitzero"`    // when it expires unless somebody logs in; may be past
	LockedUntil      time.Time    `json:"locked_until,omitzero"`      // zero unless locked now
	Failures         int          `json:"failures,omitempty"`         // wrong passphrases behind a right code, which may lead to a lock
	TemporaryExpires time.Time    `json:"temporary_expires,omitzero"` // zero unless a temporary passphrase waits to be used
	PassphraseSet    time.Time    `json:"passphrase_set,omitzero"`    // zero before the first
	MustChange       bool         `json:"must_change,omitempty"`      // the next login asks for a new passphrase, whatever its age
	Authenticators   []DeviceInfo `json:"authenticators"`
	RecoveryLeft     int          `json:"recovery_left"` // unused recovery codes
	Keys             []Key        `json:"keys"`
	// Wrong codes behind the right passphrase, in 30 days, and until when they let it
	// open nothing from a network without a login before. Only User tells; neither is
	// known for the passphrases of a directory.
	WrongCodes     int       `json:"wrong_codes,omitempty"`
	WrongSince     time.Time `json:"wrong_since,omitzero"` // the first of them
	CodesLockUntil time.Time `json:"codes_lock_until,omitzero"`
	// WrongUnseen are wrong codes of those days that came while this server was too busy
	// to find out what they were behind: they aren't among WrongCodes.
	WrongUnseen int `json:"wrong_codes_unseen,omitempty"`
	// Wrong passphrases of those days in front of right recovery codes of the list.
	WrongRecovery int `json:"wrong_before_recovery,omitempty"`
	// Wrong codes of those days inside connections that passphrase and code had opened, and
	// until when no code opens anything there.
	WrongInside     int       `json:"wrong_codes_inside,omitempty"`
	InsideLockUntil time.Time `json:"inside_lock_until,omitzero"`

	PendingReset *PendingReset `json:"pending_reset,omitempty"` // waits for a second operator
}

// DeviceInfo is one enrolled authenticator.
type DeviceInfo struct {
	Name    string    `json:"name"`
	Created time.Time `json:"created"`
}

// AddUser makes an account and returns its temporary passphrase, the only time.
// It returns ErrExists for a name that is taken.
func (a Operators) AddUser(ctx context.Context, name string) (temporary string, err error) {
	if err := policy.ValidUser(name); err != nil {
		return "", fmt.Errorf("add user: %w", err)
	}
	switch _, err := a.store.Account(ctx, name); {
	case err == nil:
		return "", fmt.Errorf("add user %s: %w", name, ErrExists)
	case !errors.Is(err, ErrNoAccount):
		return "", fmt.Errorf("add user %s: %w", name, storeFailed(err))
	}
	acct := Account{ID: secret.NewID(), Name: name, Generation: 1, Created: a.now()}
	temporary, acct.Temporary = a.issueTemporary()
	if err := a.created(ctx, acct, a.adminEvent(ctx, audit.UserAdded, name, &acct.Temporary.Expires)); err != nil {
		return "", fmt.Errorf("add user %s: %w", name, storeFailed(err))
	}
	a.notify(ctx, Notice{User: name, Kind: noticeInvited, Detail: "until " + plain.Moment(acct.Temporary.Expires)})
	return temporary, nil
}

// Disable refuses the account from now on; identities proven before don't stand.
// A temporary passphrase that is all the account has is void for good: whoever
// took an invitation back must not give it again by Enable.
func (a Operators) Disable(ctx context.Context, name string) error {
	err := a.change(ctx, name, a.adminEvent(ctx, audit.UserDisabled, name, nil), func(acct *Account) error {
		acct.Disabled = true
		acct.Epoch++
		if acct.Passphrase == "" && (acct.Realm == "" || len(acct.Authenticators) == 0) {
			acct.Temporary = nil
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("disable user %s: %w", name, err)
	}
	a.notify(ctx, Notice{User: name, Kind: noticeDisabled})
	return nil
}

// Enable admits the account again, starts its time without a login anew, and
// lifts the locks that wrong passphrases led to, and wrong codes behind the right
// one. It doesn't move the account's end (SetEnd), and keys stay suspended: their
// owner knows whether a thief has them (RestoreKey), and RemoveKey takes them away.
func (a Operators) Enable(ctx context.Context, name string) error {
	err := a.change(ctx, name, a.adminEvent(ctx, audit.UserEnabled, name, nil), func(acct *Account) error {
		acct.Disabled, acct.ActiveSince = false, a.now()
		return nil
	})
	if err == nil {
		err = a.clearFailures(ctx, name)
	}
	if err != nil {
		return fmt.Errorf("enable user %s: %w", name, err)
	}
	a.notify(ctx, Notice{User: name, Kind: noticeEnabled})
	return nil
}

// Remove deletes the account and all that belongs to it.
func (a Operators) Remove(ctx context.Context, name string) error {
	acct, err := a.account(ctx, name)
	if err == nil {
		e := a.adminEvent(ctx, audit.UserRemoved, name, nil)
		e.Change = &audit.Change{Account: acct.ID, Generation: acct.Generation + 1, Taken: TakenAccount}
		err = a.logged(ctx, func(ctx context.Context) error { return a.store.Delete(ctx, acct.ID, acct.Generation) }, e)
	}
	if err != nil {
		return fmt.Errorf("remove user %s: %w", name, storeFailed(err))
	}
	return nil
}

// Users lists all accounts, sorted by name.
func (a Operators) Users(ctx context.Context) ([]UserInfo, error) {
	all, err := a.store.Accounts(ctx)
	if err != nil {
		return nil, fmt.Errorf("list users: %w: %w", ErrUnavailable, err)
	}
	infos := make([]UserInfo, 0, len(all))
	for _, acct := range all {
		infos = append(infos, a.info(acct))
	}
	return infos, nil
}

// User shows one account, or returns ErrNoAccount.
func (a Operators) User(ctx context.Context, name string) (UserInfo, error) {
	acct, err := a.account(ctx, name)
	if err != nil {
		return UserInfo{}, fmt.Errorf("show user %s: %w", name, err)
	}
	i := a.info(acct)
	s, err := a.guessed(ctx, acct)
	if err != nil {
		return UserInfo{}, fmt.Errorf("show user %s: %w", name, err)
	}
	inside, err := a.guessedInside(ctx, acct)
	if err != nil {
		return UserInfo{}, fmt.Errorf("show user %s: %w", name, err)
	}
	if i.WrongRecovery, _, err = a.guessedRecovery(ctx, acct); err != nil {
		return UserInfo{}, fmt.Errorf("show user %s: %w", name, err)
	}
	i.WrongCodes, i.WrongSince, i.CodesLockUntil = s.month, s.since, s.closed
	i.WrongInside, i.InsideLockUntil = inside.month, inside.closed
	if i.WrongUnseen, err = a.guesses.overlooked(ctx, acct.Name, a.now()); err != nil {
		return UserInfo{}, fmt.Errorf("show user %s: %w", name, err)
	}
	return i, nil
}

func (a *core) info(acct Account) UserInfo {
	i := UserInfo{
		Name: acct.Name, Created: acct.Created, LastLogin: acct.LastLogin, Disabled: acct.Disabled,
		PassphraseSet: acct.PassphraseSet, MustChange: acct.mustChange(), Realm: acct.Realm, Phone: acct.Phone, CodeBySMS: acct.CodeBySMS, Ends: acct.Ends, InactiveAfter: a.lifetimes.inactiveAfter(acct.standing("")), PendingReset: a.pending(acct),
		// Never nil: readers of the JSON get lists.
		Authenticators: []DeviceInfo{}, Keys: append([]Key{}, acct.Keys...),
	}
	i.SMSUntil, i.TermsWait = a.textsEnd(acct), a.terms.wanted(acct)
	if a.terms.version != "" && !i.TermsWait {
		i.TermsAccepted = acct.TermsAt
	}
	if a.now().Before(acct.LockedUntil) {
		i.LockedUntil = acct.LockedUntil
	}
	if a.now().Before(acct.LockedUntil) || a.now().Sub(acct.FailuresSince) < a.lockout.limits.accountWindow {
		i.Failures = acct.Failures
	}
	if acct.Temporary != nil {
		i.TemporaryExpires = acct.Temporary.Expires
	}
	for _, d := range acct.Authenticators {
		i.Authenticators = append(i.Authenticators, DeviceInfo{Name: d.Name, Created: d.Created})
	}
	i.RecoveryLeft = acct.recoveryLeft()
	return i
}

func (a Operators) issueTemporary() (string, *Temporary) {
	t := secret.NewTemporary()
	return t, &Temporary{Hash: secret.HashTemporary(t), Expires: a.now().Add(a.temp)}
}

func (a Operators) account(ctx context.Context, name string) (Account, error) {
	acct, err := a.store.Account(ctx, name)
	return acct, storeFailed(err)
}

// change applies an operator's edit to the newest state of the account. A login
// that changes the account at the same moment makes it read again.
func (a Operators) change(ctx context.Context, name string, e audit.Event, edit func(*Account) error) error {
	const tries = 5 // each lost try means that somebody else's change went through
	for try := 1; ; try++ {
		acct, err := a.account(ctx, name)
		if err != nil {
			return err
		}
		before := acct
		before.Keys = slices.Clone(acct.Keys) // edit may change them in place
		if err := edit(&acct); err != nil {
			return err
		}
		_, err = a.saved(ctx, before, acct, e)
		if !errors.Is(err, ErrChanged) || try == tries {
			return storeFailed(err)
		}
	}
}

// storeFailed marks what is no answer of a Store as ErrUnavailable.
func storeFailed(err error) error {
	for _, answer := range []error{nil, ErrNoAccount, ErrExists, ErrChanged, ErrKeyTaken, ErrUnavailable} {
		if errors.Is(err, answer) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

func (a Operators) clearFailures(ctx context.Context, name string) error {
	acct, err := a.account(ctx, name)
	if err != nil {
		return err
	}
	if err := a.clearWrong(ctx, acct); err != nil {
		return err
	}
	return errors.Join(a.guesses.forgive(ctx, acct, a.now()), a.clearRecovery(ctx, acct))
}

// clearWrong forgets the wrong passphrases behind right codes, and their lock.
func (a *core) clearWrong(ctx context.Context, acct Account) error {
	if err := a.store.ClearFailures(context.WithoutCancel(ctx), acct.ID); err != nil {
		return fmt.Errorf("%w: clear failures: %w", ErrUnavailable, err)
	}
	return a.lockout.namedTry(confirmsOf(acct), 0).forget(ctx, a.now())
}

func (a Operators) adminEvent(ctx context.Context, t audit.Type, name string, until *time.Time) audit.Event {
	return audit.Event{Type: t, User: name, Actor: audit.ActorOf(ctx), Until: until}
}
