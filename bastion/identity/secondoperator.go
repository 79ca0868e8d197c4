package identity

import (
	"context"
	"errors"
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

// ConfirmReset carries out the reset that another operator asked for within 24 h
// and returns the temporary passphrase. The two must differ in uid and in
// loginuid. Errors: ErrNothingPending, ErrSameOperator, ErrNoAccount.
func (a *Authenticator) ConfirmReset(ctx context.Context, name string) (temporary string, err error) {
	return "", ErrUnavailable
}
