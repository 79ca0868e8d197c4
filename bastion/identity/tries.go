package identity

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	// judgedWithin is how long a try may be judged, a full queue and a slow directory
	// included. One that has no verdict by then, because the process ended, was wrong.
	judgedWithin = time.Minute
	// lookAgain is how often who waits for the verdicts of another process looks.
	lookAgain = 200 * time.Millisecond
)

// try is a guess at a passphrase that is about to be judged. How many may be wrong in
// accountWindow is bounded, and those that are judged side by side, by whichever
// process, are never more than there are wrong ones left: one more waits for their
// verdicts, so that many guesses at once aren't more than one after the other, and right
// answers at once are no wrong ones. The zero try is none.
type try struct {
	l       *lockout
	name    string // of its tallies
	account string // ID, where the wrong ones count as the account's failures, and lock it; ""
	most    int    // that may be wrong
}

// accountTry is a guess at the passphrase of acct behind a right code.
func (l *lockout) accountTry(acct Account) try {
	return try{l, "account|" + acct.ID, acct.ID, l.limits.account}
}

// namedTry is a guess that counts under a name.
func (l *lockout) namedTry(name string, most int) try { return try{l, name, "", most} }

// begin returns true once t may be judged, which settle ends; false where there were too
// many wrong ones, until then. It waits while only verdicts are lacking, until ctx ends:
// then its error is the cause. Every other one is ErrUnavailable.
func (t try) begin(ctx context.Context, now func() time.Time) (free bool, until time.Time, err error) {
	if t.l == nil {
		return true, time.Time{}, nil
	}
	for {
		settled := t.l.settled.next()
		waits := false
		err := t.edit(ctx, now(), func(wrong, judged *Tally) bool {
			free, until, waits = false, t.until(*wrong), false
			switch {
			case t.over(*wrong, now()):
				return true // what has lapsed stays counted
			case wrong.Failures+judged.Failures >= t.most:
				waits = true
				return false
			}
			free = true
			judged.Failures++
			judged.Locked = now().Add(judgedWithin)
			return true
		})
		if err != nil || !waits {
			return free, until, err
		}
		again := time.NewTimer(lookAgain)
		select {
		case <-settled:
		case <-again.C:
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
		again.Stop()
		if err != nil {
			return false, time.Time{}, err
		}
	}
}

// outcome is what a try has come to.
type outcome uint8

const (
	tryWrong   outcome = iota
	tryNone            // it was right, or no guess
	tryForgive         // it was right, and forgives those before it
)

// settle ends what begin began; until is the end of the lock that this led to.
func (t try) settle(ctx context.Context, o outcome, now time.Time) (until time.Time, err error) {
	if t.l == nil {
		return time.Time{}, nil
	}
	defer t.l.settled.tell()
	err = t.edit(ctx, now, func(wrong, judged *Tally) bool {
		lapsed := judged.Failures == 0 // and counts as wrong already
		judged.Failures = max(0, judged.Failures-1)
		switch {
		case o == tryForgive:
			wrong.Failures = 0
		case o == tryNone && lapsed:
			wrong.Failures = max(0, wrong.Failures-1)
		case o == tryWrong && !lapsed:
			if t.bump(wrong, 1, now); t.account != "" && t.over(*wrong, now) {
				until = wrong.Locked
			}
		}
		return true
	})
	return until, err
}

// forget forgets the wrong ones.
func (t try) forget(ctx context.Context, now time.Time) error {
	return t.edit(ctx, now, func(wrong, _ *Tally) bool {
		*wrong = Tally{}
		return true
	})
}

// until is when too many wrong ones are forgotten.
func (t try) until(wrong Tally) time.Time {
	if t.account != "" {
		return wrong.Locked
	}
	return wrong.Since.Add(t.l.limits.accountWindow)
}

// over tells whether nothing more is judged.
func (t try) over(wrong Tally, now time.Time) bool {
	if t.account != "" {
		return now.Before(wrong.Locked)
	}
	return wrong.Failures >= t.most
}

// bump counts n wrong ones. The account's lock begins with the last that may be
// wrong, and its count anew with the lock.
func (t try) bump(wrong *Tally, n int, now time.Time) {
	if wrong.Failures == 0 {
		wrong.Since = now
	}
	if wrong.Failures += n; t.account != "" && wrong.Failures >= t.most {
		*wrong = Tally{Locked: now.Add(t.l.limits.accountWindow)}
	}
}

// edit changes how many were wrong and how many are being judged in one transaction,
// which the client's leaving doesn't cancel.
func (t try) edit(ctx context.Context, now time.Time, change func(wrong, judged *Tally) bool) error {
	window := t.l.limits.accountWindow
	edit := func(all []Tally) bool {
		wrong, judged := &all[0], &all[1]
		if wrong.Failures == 0 || now.Sub(wrong.Since) >= window {
			*wrong = Tally{Locked: wrong.Locked}
		}
		if judged.Failures > 0 && !now.Before(judged.Locked) {
			t.bump(wrong, judged.Failures, now)
			*judged = Tally{}
		}
		changed := change(wrong, judged)
		wrong.Keep = wrong.Since.Add(window)
		judged.Keep = judged.Locked.Add(window) // what has no verdict goes on counting
		return changed
	}
	keep, name := context.WithoutCancel(ctx), t.l.keys.HashTally("judged|"+t.name)
	var err error
	if t.account != "" {
		err = t.l.ledger.CountFailures(keep, t.account, now, edit, name)
	} else {
		err = t.l.store.Count(keep, now, edit, t.l.keys.HashTally(t.name), name)
	}
	if err != nil {
		return fmt.Errorf("%w: count failures: %w", ErrUnavailable, err)
	}
	return nil
}

// news tells who waits that something has happened. It is safe for concurrent use, and
// its zero value is ready.
type news struct {
	mu sync.Mutex // guards c
	c  chan struct{}
}

// next is closed at the next tell.
func (n *news) next() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.c == nil {
		n.c = make(chan struct{})
	}
	return n.c
}

func (n *news) tell() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.c != nil {
		close(n.c)
		n.c = nil
	}
}
