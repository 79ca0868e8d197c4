package identity

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"entry/bastion/identity/secret"
)

var cheap = secret.Costs{Memory: 64, Passes: 1, Threads: 1}

// MakeCheap gives a's passphrases costs that tests can pay a thousand times.
// Nothing outside tests can reach it.
func (a *Authenticator) MakeCheap() { a.OnHash(nil) }

// OnHash makes a's passphrases cheap and calls f for every hash.
func (a *Authenticator) OnHash(f func()) {
	a.hasher = secret.NewHasher(secret.HasherOptions{Costs: cheap, OnTurn: f})
	a.dummy.Passphrase = a.hasher.Dummy()
}

// BlockHashes takes every turn at hashing and shortens the wait for one; the
// returned function gives the turns back.
func (a *Authenticator) BlockHashes() (release func()) {
	usual := a.hasher
	taken, free := make(chan struct{}), make(chan struct{})
	h := secret.NewHasher(secret.HasherOptions{Costs: cheap, Wait: time.Millisecond, OnTurn: func() {
		taken <- struct{}{}
		<-free
	}})
	for n := 0; n < secret.AtOnce; {
		late := make(chan error, 1)
		go func() {
			_, err := h.Hash(context.Background(), "")
			late <- err
		}()
		select {
		case <-taken:
			n++
		case <-late: // a busy machine let its wait pass
		}
	}
	a.hasher = h
	return func() {
		close(free)
		a.hasher = usual
	}
}

// HoldStrangers takes the turn at hashing of those who go behind others, and shortens the
// wait for one; the returned function gives it back.
func (a *Authenticator) HoldStrangers() (release func()) {
	usual := a.hasher
	taken, free, over := make(chan struct{}), make(chan struct{}), make(chan struct{})
	var held atomic.Bool
	a.hasher = secret.NewHasher(secret.HasherOptions{Costs: cheap, Wait: 50 * time.Millisecond, OnTurn: func() {
		if held.CompareAndSwap(false, true) {
			close(taken)
			<-free
		}
	}})
	go func() {
		defer close(over)
		_, _ = a.hasher.VerifyAhead(context.Background(), a.dummy.Passphrase, "")
	}()
	<-taken
	return func() {
		close(free)
		<-over
		a.hasher = usual
	}
}

// CodeAt is the code that an authenticator shows in the step of t.
func CodeAt(seed []byte, t time.Time) string {
	c, err := totp.GenerateCodeCustom(secret.SeedText(seed), t, totp.ValidateOpts{Period: 30, Digits: otp.DigitsSix})
	if err != nil {
		panic(err)
	}
	return c
}

// Pending is a wrong code of name whose passphrase is looked at until done is called.
func (a *Authenticator) Pending(name, typed string) (done func()) {
	return a.guesses.begin(Account{}, name, typed)
}

// Settle waits until no code is being sent or counted, and lets them be again.
func (a *Authenticator) Settle(ctx context.Context) error {
	if err := a.Close(ctx); err != nil {
		return err
	}
	drain(a.looking)
	drain(a.sending)
	return nil
}

// ErrLocked is the ErrExhausted of too many failures.
var ErrLocked = errLocked

// Key is the fingerprint of the key that was the first factor, or "".
func (i Identity) Key() string { return i.key }

// Check is Standing without its time.
func (a *Authenticator) Check(ctx context.Context, id Identity) error {
	_, err := a.Standing(ctx, id)
	return err
}

// CheckFully is Check by everything that the store knows of the account.
func (a *Authenticator) CheckFully(ctx context.Context, id Identity) error {
	_, err := a.owned(ctx, id)
	return err
}

// FloodTyped counts one thing that was typed five times, then n others once. It
// returns how many tallies there are, and what is left of the first.
func FloodTyped(n int) (tallies, kept int) {
	f, now := newFleeting(), time.Now()
	count := func(k TallyKey) {
		_ = f.Count(context.Background(), now, func(t []Tally) bool { // it never fails
			t[0].Failures, t[0].Keep = t[0].Failures+1, now.Add(time.Hour)
			return true
		}, k)
	}
	for range 5 {
		count(TallyKey{})
	}
	for i := range n {
		count(TallyKey{1, byte(i >> 16), byte(i >> 8), byte(i)})
	}
	return len(f.all), f.all[TallyKey{}].Failures
}

// OtpauthURI is the link that the QR code holds.
var OtpauthURI = otpauthURI

// TakeNew uses up one code to a new number of the account's.
func (a *Authenticator) TakeNew(ctx context.Context, account string) error {
	return a.takeText(ctx, account, newNumbers)
}

// What TakeNew returns when none is left.
var (
	ErrTooManyTexts = errTooManyTexts
	ErrTooManyNew   = errTooManyNew
)

// Taken is what the log has of the change.
func Taken(before, next Account) string { return taken(before, next) }

// Spelling is what passphrases that may be one have in common.
func Spelling(typed string) string { return string(spelling(typed)) }

// SourceName is sourceName.
var SourceName = sourceName

// What becomes of a TryAccount.
const (
	TryWrong = iota
	TryRight
	TryLost // with its process
)

// TryAccount begins a guess at the passphrase of an account behind a right code, and ends
// it like that.
func (a *Authenticator) TryAccount(ctx context.Context, account string, verdict int) (free bool, err error) {
	t := a.lockout.accountTry(Account{ID: account})
	free, _, err = t.begin(ctx, a.now)
	if err != nil || !free || verdict == TryLost {
		return free, err
	}
	_, err = t.settle(ctx, map[int]outcome{TryWrong: tryWrong, TryRight: tryNone}[verdict], a.now())
	return free, err
}
