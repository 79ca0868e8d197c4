package identity

import (
	"context"
	"fmt"
	"time"
)

// recoveriesOf names the wrong passphrases in front of right recovery codes of the list
// that acct has now; of a new list there are none.
func recoveriesOf(acct Account) string {
	if len(acct.Recovery) == 0 {
		return "recoveries|" + acct.ID
	}
	return fmt.Sprintf("recoveries|%s|%x", acct.ID, acct.Recovery[0].Hash)
}

// countRecovery counts one, for who is to read of it, and tells the owner. What they are
// bounded by is seenCode.
func (a *core) countRecovery(ctx context.Context, acct Account, n Notice) error {
	err := a.lockout.within(ctx, recoveriesOf(acct), a.guesses.limits.monthLong, a.now(), func(t *Tally) { t.Failures++ })
	if err != nil {
		return err
	}
	return a.notifyHourly(ctx, acct.ID, n)
}

// guessedRecovery is how many there were in 30 days, and when the first was.
func (a *core) guessedRecovery(ctx context.Context, acct Account) (n int, since time.Time, err error) {
	t, err := a.store.Tallies(ctx, a.keys.HashTally(recoveriesOf(acct)))
	if err != nil {
		return 0, time.Time{}, fmt.Errorf("%w: read wrong passphrases: %w", ErrUnavailable, err)
	}
	fade(&t[0], a.guesses.limits.monthLong, a.now())
	return t[0].Failures, t[0].Since, nil
}

func (a *core) clearRecovery(ctx context.Context, acct Account) error {
	return a.lockout.within(ctx, recoveriesOf(acct), a.guesses.limits.monthLong, a.now(), func(t *Tally) { t.Failures = 0 })
}
