package identity

import (
	"context"
	"time"
)

// SetEnd gives the account a last moment; the zero time takes it away. Logins
// and checks fail from then on; nothing is deleted.
func (a *Authenticator) SetEnd(ctx context.Context, name string, end time.Time) error {
	return ErrUnavailable
}

// ResetStep lets an account log in again whose authenticators have spent steps
// of the future (entry's clock was ahead): no step after the present ones stays
// spent. Codes of the present stay used.
func (a *Authenticator) ResetStep(ctx context.Context, name string) error {
	return ErrUnavailable
}
