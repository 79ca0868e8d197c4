package identity

import (
	"context"
	"fmt"

	"entry/audit"
)

// ClockDrift is the reason of a login.failed by a code that was right at another time: the
// authenticator's clock is wrong.
const ClockDrift = "clock-drift"

// reason is why a login failed, precise for staff; the user sees one verdict.
type reason string

const (
	reasonUnknownUser     reason = "unknown-user"
	reasonUnknownKey      reason = ReasonUnknownKey
	reasonWrongCode       reason = "wrong-code"
	reasonWrongPassphrase reason = "wrong-passphrase"
	reasonCodeUsed        reason = "code-used"
	reasonClockDrift      reason = ClockDrift
	reasonRecoveryUsed    reason = "recovery-code-used"
	reasonExpired         reason = "temporary-passphrase-expired"
	reasonDisabled        reason = "account-disabled"
	reasonEnded           reason = "account-ended"
	reasonInactive        reason = "account-inactive"
	reasonAccountLocked   reason = "account-locked"
	reasonTooMany         reason = "too-many-failures"
	reasonRevoked         reason = "revoked"
	reasonChanged         reason = "account-changed"
	reasonBarred          reason = "barred-by-directory"
	reasonDirectory       reason = "directory-unavailable"
	reasonNoText          reason = "no-code-sent"
	reasonGateway         reason = "gateway"
	reasonTooManyTexts    reason = "too-many-codes"
	reasonTooManyNew      reason = "too-many-new-numbers"
	reasonCountry         reason = "country"
	reasonBusy            reason = "busy"
	reasonUnavailable     reason = "unavailable"
	reasonEmptyAnswer     reason = "empty-answer"
	reasonNoAnswer        reason = "no-answer"
	reasonRounds          reason = "too-many-rounds"
	reasonNotApplied      reason = "not-applied"
	reasonManyCodes       reason = "too-many-codes-guessed"
	reasonKeySuspended    reason = "key-suspended"
	reasonTerms           reason = "terms-not-accepted"
	reasonKeyTaken        reason = "key-of-another-account"
)

// report appends events. It outlives the caller's context: what was decided
// must reach the log even if the client has left.
func (a *core) report(ctx context.Context, e ...audit.Event) error {
	if err := a.events(context.WithoutCancel(ctx), e...); err != nil {
		return fmt.Errorf("%w: append event: %w", ErrUnavailable, err)
	}
	return nil
}

// logged appends what is about to change, changes it, and says so if that
// failed. The change sees a context that the client's leaving doesn't cancel.
func (a *core) logged(ctx context.Context, change func(context.Context) error, e ...audit.Event) error {
	if err := a.report(ctx, e...); err != nil {
		return err
	}
	err := change(context.WithoutCancel(ctx))
	if err == nil {
		return nil
	}
	for i := range e {
		e[i].Reason = string(reasonNotApplied)
	}
	if logErr := a.report(ctx, e...); logErr != nil {
		return fmt.Errorf("%w (after: %w)", logErr, err)
	}
	return err
}
