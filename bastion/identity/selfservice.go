package identity

import (
	"context"
	"errors"
)

// What self-service returns besides *Refusal (text for the user), ErrProof,
// ErrRevoked, ErrChanged, ErrAbandoned, ErrLocked and ErrUnavailable.
var (
	// ErrNoDevice: the account has no authenticator of that name.
	ErrNoDevice = errors.New("identity: no such authenticator")
	// ErrLastDevice: the only authenticator can't be removed.
	ErrLastDevice = errors.New("identity: the last authenticator can't be removed")
)

// Enroll adds another authenticator under a name: a QR code through ask, and its
// first code confirms it. Device is 1 to 32 letters, digits, spaces or ._- and
// not the name of another one (ErrExists).
func (a *Authenticator) Enroll(ctx context.Context, p Proof, device string, ask Asker) error {
	return ErrUnavailable
}

// RemoveDevice takes an authenticator away, and what was remembered by its codes,
// but never the last one.
func (a *Authenticator) RemoveDevice(ctx context.Context, p Proof, device string) error {
	return ErrUnavailable
}

// ChangePassphrase asks for the passphrase, then twice for a new one. Remembered
// keys are forgotten.
func (a *Authenticator) ChangePassphrase(ctx context.Context, p Proof, ask Asker) error {
	return ErrUnavailable
}

// NewRecovery replaces the recovery codes and shows the new ones through ask.
func (a *Authenticator) NewRecovery(ctx context.Context, p Proof, ask Asker) error {
	return ErrUnavailable
}

// AddOwnKey registers a public key as AddKey does.
func (a *Authenticator) AddOwnKey(ctx context.Context, p Proof, line string) (fingerprint string, err error) {
	return "", ErrUnavailable
}

// RemoveOwnKey takes a key away, and what is remembered of it, or returns
// ErrNoKey. No code is asked: it takes access away.
func (a *Authenticator) RemoveOwnKey(ctx context.Context, id Identity, fingerprint string) error {
	return ErrUnavailable
}
