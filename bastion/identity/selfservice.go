package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"entry/audit"
	"entry/audit/plain"
)

// What self-service returns besides *Refusal and *KeyRefused (text for the
// user), ErrProof, ErrRevoked, ErrAbandoned, ErrExhausted and ErrUnavailable.
var (
	// ErrNoDevice: the account has no authenticator of that name.
	ErrNoDevice = errors.New("identity: no such authenticator")
	// ErrLastDevice: the only authenticator can't be removed.
	ErrLastDevice = errors.New("identity: the last authenticator can't be removed")
)

const (
	maxDevices    = 8  // a user; each costs 21 codes a try
	maxDeviceName = 32 // bytes
)

// SelfService is what the users of proven connections can see and change of their
// own accounts. What strengthens or renews access takes a Proof.
type SelfService struct{ *core }

// Enroll adds another authenticator under a name: a QR code through ask, and its
// first code confirms it. Device is 1 to 32 letters, digits, spaces or ._- and
// not the name of another one (*Refusal).
func (a SelfService) Enroll(ctx context.Context, p Proof, device string, ask Asker) error {
	d, acct, err := a.take(ctx, p, ask)
	if err != nil {
		return err
	}
	device = strings.TrimSpace(device)
	taken := slices.ContainsFunc(acct.Authenticators, func(e EnrolledAuthenticator) bool { return strings.EqualFold(e.Name, device) })
	switch {
	case !validDevice(device):
		return &Refusal{Text: fmt.Sprintf("The name of a device has 1 to %d letters (a to z), digits, spaces or ._- in it.", maxDeviceName)}
	case taken:
		return &Refusal{Text: "You have a device of this name already: give another name."}
	case len(acct.Authenticators) >= maxDevices:
		return &Refusal{Text: fmt.Sprintf("You have %d devices, the most there may be: remove one first.", maxDevices)}
	}
	added, err := d.firstCode(ctx, acct, device, "")
	if err != nil {
		return err
	}
	next := acct
	// From now on the app gives the codes: nothing that can be sent elsewhere
	// stands beside it.
	next.Authenticators, next.CodeBySMS = append(slices.Clone(acct.Authenticators), added), false
	next.SMSSince = time.Time{}
	return d.commit(ctx, acct, next, audit.AuthenticatorEnrolled, noticeDeviceAdded, device)
}

func validDevice(s string) bool {
	return s != "" && len(s) <= maxDeviceName && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(" ._-", r)
	})
}

// RemoveDevice takes an authenticator away, and what was remembered by its codes,
// but never the last one.
func (a SelfService) RemoveDevice(ctx context.Context, p Proof, device string) error {
	d, acct, err := a.take(ctx, p, nil)
	if err != nil {
		return err
	}
	device = strings.TrimSpace(device)
	next := acct
	next.Authenticators = slices.DeleteFunc(slices.Clone(acct.Authenticators), func(e EnrolledAuthenticator) bool {
		return strings.EqualFold(e.Name, device)
	})
	switch len(next.Authenticators) {
	case len(acct.Authenticators):
		return ErrNoDevice
	case 0:
		return ErrLastDevice
	}
	return d.commit(ctx, acct, next, audit.AuthenticatorRemoved, noticeDeviceRemoved, device)
}

// ChangePassphrase asks for the passphrase, at most three times, then twice for
// a new one. Remembered keys are forgotten. A wrong passphrase counts against
// the account, because a right code went before it, and while that is locked none is
// judged (*Refusal), so that there are as many as at logins. A changed passphrase ends
// what guesses at the one before had come to, a lock that began meanwhile included. An
// account of a directory is told where to go instead (*Refusal).
func (a SelfService) ChangePassphrase(ctx context.Context, p Proof, ask Asker) error {
	d, acct, err := a.take(ctx, p, ask)
	if err != nil {
		return err
	}
	if err := a.ownPassphrase(acct); err != nil {
		return err
	}
	old, err := d.oldPassphrase(ctx, p.id)
	if err != nil {
		return err
	}
	passphrase, err := d.newPassphrase(ctx, acct, old, "")
	if err != nil {
		return err
	}
	next := acct
	if next.Passphrase, err = a.hasher.Hash(ctx, passphrase); err != nil {
		return unavailable(err)
	}
	next.PassphraseSet = a.now()
	if err := d.commit(ctx, acct, next, audit.PassphraseChanged, noticePassphraseChanged, ""); err != nil {
		return err
	}
	_ = a.clearWrong(ctx, acct) // the change stands: a lock that stays runs out, or is lifted
	return nil
}

func (d *dialogue) oldPassphrase(ctx context.Context, id Identity) (string, error) {
	if _, err := d.unlocked(ctx, id); err != nil {
		return "", err
	}
	for range dialoguesPerConn {
		d.charged, d.locks = false, false
		typed, err := d.answer(ctx, d.verdict+"Current "+d.a.issuer+" passphrase: ")
		if err != nil {
			return "", err
		}
		// A source's lock is looked past: a code was right just now, and what is left to
		// guess counts against the account.
		if _, err := d.charge(ctx); err != nil {
			return "", err
		}
		acct, err := d.unlocked(ctx, id)
		if err != nil {
			return "", err
		}
		t := d.a.lockout.accountTry(acct)
		switch free, until, err := t.begin(ctx, d.a.now); {
		case err != nil:
			return "", err
		case !free: // since the account was read
			return "", d.accountLocked(ctx, until)
		}
		first, err := d.firstFactor(ctx, acct, typed)
		until, settling := t.settle(ctx, outcomeOf(ctx, first, err), d.a.now())
		if err = errors.Join(err, settling); err != nil {
			_ = d.refund(ctx) // the store may be what failed; then this try stays counted
			return "", unavailable(err)
		}
		if first.reason == "" {
			return typed, d.succeeded(ctx)
		}
		v := verdict{reason: reasonWrongPassphrase, accountLock: until}
		var said *again
		if err := d.failed(ctx, v); !errors.As(err, &said) {
			return "", err
		}
		d.verdict = said.text + " "
	}
	return "", &Refusal{Text: "Not accepted. Nothing was changed."}
}

// unlocked is the account of id as it is now, or a *Refusal while it is locked.
func (d *dialogue) unlocked(ctx context.Context, id Identity) (Account, error) {
	acct, err := d.a.owned(ctx, id)
	if err == nil && d.a.now().Before(acct.LockedUntil) {
		err = d.accountLocked(ctx, acct.LockedUntil)
	}
	return acct, err
}

// accountLocked says what a login says, in the log too.
func (d *dialogue) accountLocked(ctx context.Context, until time.Time) error {
	var said *again
	err := d.failed(ctx, verdict{reason: reasonAccountLocked, innocent: true, text: d.a.lockedText(until)})
	if errors.As(err, &said) {
		return &Refusal{Text: said.text}
	}
	return err
}

// NewRecovery replaces the recovery codes and shows the new ones through ask.
func (a SelfService) NewRecovery(ctx context.Context, p Proof, ask Asker) error {
	d, acct, err := a.take(ctx, p, ask)
	if err != nil {
		return err
	}
	next := acct
	var codes []string
	codes, next.Recovery = a.newRecovery(acct.ID)
	if err := d.commit(ctx, acct, next, audit.RecoveryCreated, noticeRecoveryCreated, ""); err != nil {
		return err
	}
	return d.showRecovery(ctx, codes, "The old recovery codes are worth nothing now. ")
}

// CheckKey is the error with which AddOwnKey would refuse a line whoever's it is: it is
// no public key, or none that is accepted.
func (a SelfService) CheckKey(line string) error {
	_, err := parseKey(line)
	return err
}

// AddOwnKey registers a public key as AddKey does, and asks for a signature of it
// through ask, which makes it the account's alone (proven). Without one it is a claim,
// which yields to whoever shows the key, by a login with it or by a signature.
func (a SelfService) AddOwnKey(ctx context.Context, p Proof, line string, ask Asker) (fingerprint string, proven bool, err error) {
	d, acct, err := a.take(ctx, p, ask)
	if err != nil {
		return "", false, err
	}
	key, err := parseKey(line)
	if err != nil {
		return "", false, err
	}
	key.Added = a.now()
	next := acct
	if next.Keys, err = withKey(acct.Keys, key); err != nil {
		return "", false, err
	}
	pub, err := publicKey(key)
	if err != nil {
		return "", false, err
	}
	// Whose it is isn't said.
	taken := refuseKey("it is in use by another account, and a key belongs to one: make another with ssh-keygen -t ed25519, or ask %s", a.contact)
	switch owner, err := a.owner(ctx, acct.Name, key.Fingerprint, d.event("", "")); {
	case err != nil:
		return "", false, err
	case owner != "":
		return "", false, taken
	}
	if proven, err = d.askForSignature(ctx, pub); err != nil {
		return "", false, err
	}
	d.key = key.Fingerprint
	if err := d.commit(ctx, acct, next, audit.KeyAdded, noticeKeyAdded, key.Fingerprint); err != nil {
		return "", false, err
	}
	// It may have become somebody else's since it was looked at: that took no claim
	// away which wasn't there yet. So may it before the proof is noted.
	for range 2 {
		switch owner, err := a.yield(ctx, acct, key.Fingerprint, d.event("", "")); {
		case err != nil:
			return "", false, err
		case owner != "":
			return "", false, taken
		case !proven:
			return key.Fingerprint, false, nil
		}
		if err := a.prove(ctx, next, key.Fingerprint, d.event("", "")); !errors.Is(err, ErrKeyTaken) {
			return key.Fingerprint, true, err
		}
	}
	return key.Fingerprint, false, nil
}

// RestoreKey lets a suspended key of the account be a first factor again, remembered
// nowhere, or returns
// ErrNoKey if there is none of that fingerprint. The connection must have been opened
// by another factor (*Refusal).
func (a SelfService) RestoreKey(ctx context.Context, p Proof, fingerprint string) error {
	d, acct, err := a.take(ctx, p, nil)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(acct.Keys, func(k Key) bool { return k.Fingerprint == fingerprint && !k.Suspended.IsZero() })
	if i < 0 {
		return ErrNoKey
	}
	if p.id.key == fingerprint {
		return &Refusal{Text: "This connection was opened with that key: log in with your passphrase, or with another key, to use it again."}
	}
	f := keyOf(acct, acct.Keys[i], d.at.Source.Addr(), false)
	if err := a.guesses.restart(ctx, f, a.now()); err != nil {
		return err
	}
	switch s, err := a.guesses.look(ctx, f, a.now()); {
	case err != nil:
		return err
	case !s.closed.IsZero():
		return &Refusal{Text: fmt.Sprintf("%d wrong codes came behind this key within %s: somebody else has it. Remove it and add a new one; this one can be used again from %s.",
			s.month, plain.Span(a.guesses.limits.monthLong), plain.Moment(s.closed))}
	}
	d.key = fingerprint
	if slices.ContainsFunc(acct.Remembered, func(r Remembrance) bool { return r.Fingerprint == fingerprint }) {
		// It may be the thief who is. First: whatever fails after it has let nobody in.
		forgotten := func(ctx context.Context) error { return a.store.Forget(ctx, acct.ID, fingerprint) }
		if err := a.logged(ctx, forgotten, d.event(audit.KeyForgotten, "")); err != nil {
			return unavailable(err)
		}
	}
	next := acct
	next.Keys = slices.Clone(acct.Keys)
	next.Keys[i].Suspended = time.Time{}
	return d.commit(ctx, acct, next, audit.UserChanged, noticeKeyRestored, fingerprint)
}

// RemoveOwnKey takes a key away, and what is remembered of it, or returns
// ErrNoKey. No code is asked: it takes access away.
func (a SelfService) RemoveOwnKey(ctx context.Context, id Identity, fingerprint string) error {
	acct, err := a.owned(ctx, id)
	if err != nil {
		return err
	}
	next := acct
	next.Keys = slices.DeleteFunc(slices.Clone(acct.Keys), func(k Key) bool { return k.Fingerprint == fingerprint })
	if len(next.Keys) == len(acct.Keys) {
		return ErrNoKey
	}
	d := &dialogue{a: a.core, user: acct.Name, key: fingerprint}
	return d.commit(ctx, acct, next, audit.KeyRemoved, noticeKeyRemoved, fingerprint)
}

// commit saves what a command has changed, logged before and told after.
func (d *dialogue) commit(ctx context.Context, before, next Account, t audit.Type, kind NoticeKind, detail string) error {
	e := d.event(t, "")
	if kind == noticeDeviceAdded || kind == noticeDeviceRemoved || kind == noticePhoneChanged {
		e.Detail = detail
	}
	if kind == noticeKeyRestored {
		e.Detail = KeyInUse
	}
	_, err := d.a.saved(ctx, before, next, e)
	switch {
	case errors.Is(err, ErrChanged):
		return &Refusal{Text: "Not saved: this account was changed meanwhile, elsewhere or by an administrator. Look, and try again."}
	case err != nil:
		return unavailable(err)
	}
	d.tell(ctx, kind, detail)
	return nil
}

// unavailable marks an error as ErrUnavailable, once.
func unavailable(err error) error {
	if errors.Is(err, ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}
