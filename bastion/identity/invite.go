package identity

import (
	"context"
	"time"
)

// Invite makes an account, or renews the temporary passphrase of one that nobody
// has used yet, and returns that passphrase in two halves for two channels,
// which are typed as one. It returns ErrExists for an account in use (Reset is
// for those). Disable revokes an invitation, and so does the next one.
func (a *Authenticator) Invite(ctx context.Context, name string) (mail, signal string, until time.Time, err error) {
	return "", "", time.Time{}, ErrUnavailable
}
