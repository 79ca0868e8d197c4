package identity

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"time"
)

// typedOf is the factor that a passphrase would be if it were right, of an account
// that may not exist.
func (g *guesses) typedOf(acct Account, name, typed string, source netip.Addr, known bool) factor {
	return factor{name: "typed|" + name + "|" + g.digest(acct, name, typed), typed: true}.from(source, known)
}

// digest stands for what was typed as the passphrase of name, until it is forgiven.
func (g *guesses) digest(acct Account, name, typed string) string {
	m := hmac.New(sha256.New, g.typedKey)
	m.Write(acct.alike(typed))
	return fmt.Sprintf("%d|%x", g.pardons(name), m.Sum(nil))
}

// pardons is how often an operator has forgiven an account.
func (g *guesses) pardons(name string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.forgiven[name]
}

// pardon forgets what counts in memory behind the passphrases of an account.
func (g *guesses) pardon(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.forgiven[name]++
}

// carry adds what counts in memory for what was typed to f, the passphrase that it has
// proven to be, and forgets it there: from then on it counts over all processes, and
// after their end. n is how many wrong codes that were, limit tells that f has reached
// one by that.
func (g *guesses) carry(ctx context.Context, typed, f factor, now time.Time) (n int, after guessState, limit bool, err error) {
	var more []Tally
	take := func(t []Tally) bool {
		g.state(typed, t, now) // what is over goes first
		more = append(more, t...)
		clear(t)
		return true
	}
	if err := g.edit(ctx, typed, now, take); err != nil || more[0].Failures+more[1].Failures+more[2].Failures == 0 {
		return 0, guessState{}, false, err
	}
	add := func(t []Tally) bool {
		before := g.state(f, t, now)
		for i, m := range more {
			if m.Failures > 0 && (t[i].Failures == 0 || m.Since.Before(t[i].Since)) {
				t[i].Since = m.Since
			}
			t[i].Failures += m.Failures
		}
		if more[0].Failures > 0 && t[0].Failures >= g.limits.row {
			t[0].Locked = now.Add(g.limits.pause) // when the last one came isn't known
		}
		after = g.state(f, t, now)
		limit = before.closed.IsZero() && !after.closed.IsZero()
		return true
	}
	if err := g.edit(ctx, f, now, add); err != nil {
		_ = g.edit(ctx, typed, now, add) // back into memory, which never fails
		return 0, guessState{}, false, err
	}
	return more[1].Failures + more[2].Failures, after, limit, nil
}

// overlook counts a wrong code for whoever is to read that there were such, where
// nobody could look at the passphrase in front of it: it is in no factor's tallies that
// anybody is shown.
func (g *guesses) overlook(name string, now time.Time) {
	_ = g.typed.Count(context.Background(), now, func(t []Tally) bool { // in memory: it never fails
		fade(&t[0], g.limits.monthLong, now)
		bump(&t[0], now)
		t[0].Keep = t[0].Since.Add(g.limits.monthLong)
		return true
	}, g.overlookedOf(name))
}

// overlooked is how many wrong codes overlook has counted in 30 days, in this process,
// until they were forgiven or placed.
func (g *guesses) overlooked(name string, now time.Time) int {
	t, _ := g.typed.Tallies(context.Background(), g.overlookedOf(name)) // in memory: it never fails
	fade(&t[0], g.limits.monthLong, now)
	return t[0].Failures
}

// placed says of n of those that it is known by now what they were behind.
func (g *guesses) placed(name string, n int, now time.Time) {
	_ = g.typed.Count(context.Background(), now, func(t []Tally) bool { // in memory: it never fails
		t[0].Failures = max(0, t[0].Failures-n)
		return true
	}, g.overlookedOf(name))
}

func (g *guesses) overlookedOf(name string) TallyKey {
	return g.keys.HashTally(fmt.Sprintf("overlooked|%s|%d", name, g.pardons(name)))
}
