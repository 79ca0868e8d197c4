package identity

import (
	"context"
	"time"
)

// MakeCheap gives a's passphrases costs that tests can pay a thousand times.
// Nothing outside tests can reach it.
func (a *Authenticator) MakeCheap() {
	a.hasher.params = params{memory: 64, time: 1, threads: 1}
	a.dummy.Passphrase = a.hasher.dummy()
}

// OnHash calls f for every argon2id hash.
func (a *Authenticator) OnHash(f func()) { a.hasher.hashed = f }

// BlockHashes takes every turn at hashing and shortens the wait for one; the
// returned function gives the turns back.
func (a *Authenticator) BlockHashes() (release func()) {
	a.hasher.wait = time.Millisecond
	for range atOnce {
		a.hasher.turn <- struct{}{}
	}
	return func() {
		for range atOnce {
			<-a.hasher.turn
		}
	}
}

// CodeAt is the code that an authenticator shows in the step of t.
func CodeAt(seed []byte, t time.Time) string {
	c, err := codeAt(seed, stepAt(t))
	if err != nil {
		panic(err)
	}
	return c
}

// Settle waits until no code is being sent, and lets them be sent again.
func (a *Authenticator) Settle(ctx context.Context) error {
	if err := a.Close(ctx); err != nil {
		return err
	}
	for range smsAtOnce {
		<-a.sending
	}
	return nil
}

// CheckFully is Check by everything that the store knows of the account.
func (a *Authenticator) CheckFully(ctx context.Context, id Identity) error {
	_, err := a.owned(ctx, id)
	return err
}
