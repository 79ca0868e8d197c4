package identity

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// ErrProof: the proof is none, was used, is older than two minutes, or its
// account has changed since: a fresh code is needed.
var ErrProof = errors.New("identity: a fresh code is needed")

// proofLifetime is how long a fresh code stands for the command it was asked in.
const proofLifetime = 2 * time.Minute

// Proof is a code given just now by the holder of an identity. It admits one
// operation. Only Fresh makes one; the zero Proof proves nothing.
type Proof struct {
	id    Identity
	at    Attempt // the connection it was given on, for events
	until time.Time
	spent *atomic.Bool
}

// Refusal is an error whose text is for the user: one sentence or two, saying
// what to do.
type Refusal struct{ Text string }

func (r *Refusal) Error() string { return r.Text }

// Fresh asks the holder of id for a code that was not used yet, at most three
// times. The limits of Login apply, and a code of the login itself is used.
// at is the client connection's attempt; its name and key are not used.
//
// Errors: ErrRefused, ErrAbandoned, ErrLocked, ErrRevoked, ErrUnavailable; what
// there is to say has been said through ask.
func (a *Authenticator) Fresh(ctx context.Context, id Identity, at Attempt, ask Asker) (Proof, error) {
	return Proof{}, ErrUnavailable
}
