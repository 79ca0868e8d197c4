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
// that may not exist, since it was forgiven last.
func (g *guesses) typedOf(ctx context.Context, acct Account, name, typed string, source netip.Addr, known bool) (factor, error) {
	since, err := g.pardoned(ctx, name)
	if err != nil {
		return factor{}, err
	}
	f := factor{name: fmt.Sprintf("typed|%s|%d|%s", name, since, g.digest(acct, typed)), typed: true, unseen: g.unseenOf(name, since)}
	return f.from(source, known), nil
}

// digest stands for what was typed as the passphrase of acct.
func (g *guesses) digest(acct Account, typed string) string {
	m := hmac.New(sha256.New, g.typedKey)
	m.Write(acct.alike(typed))
	return fmt.Sprintf("%x", m.Sum(nil))
}

// pardoned is when an operator forgave the account of that name last, by whichever
// process: what counts in the memory of this one is named by it, so that all of them
// forget at once. It is one read, of a name that nobody has, too.
func (g *guesses) pardoned(ctx context.Context, name string) (int64, error) {
	t, err := g.store.Tallies(ctx, g.pardonOf(name))
	if err != nil {
		return 0, fmt.Errorf("%w: read what was forgiven: %w", ErrUnavailable, err)
	}
	return micros(t[0].Since), nil
}

// pardon has every process forget what counts in memory behind the passphrases of an
// account. It is kept for as long as anything counts that came before.
func (g *guesses) pardon(ctx context.Context, name string, now time.Time) error {
	err := g.store.Count(context.WithoutCancel(ctx), now, func(t []Tally) bool {
		t[0] = Tally{Failures: t[0].Failures + 1, Since: now, Keep: now.Add(g.limits.monthLong)}
		return true
	}, g.pardonOf(name))
	if err != nil {
		return fmt.Errorf("%w: forgive wrong codes: %w", ErrUnavailable, err)
	}
	return nil
}

func (g *guesses) pardonOf(name string) TallyKey { return g.keys.HashTally("pardoned|" + name) }

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

// overlook counts a wrong code behind f, which was typed, for whoever is to read that
// there were such, where nobody could look at the passphrase in front of it: it is in no
// factor's tallies that anybody is shown.
func (g *guesses) overlook(f factor, now time.Time) {
	_ = g.typed.Count(context.Background(), now, func(t []Tally) bool { // in memory: it never fails
		fade(&t[0], g.limits.monthLong, now)
		bump(&t[0], now)
		t[0].Keep = t[0].Since.Add(g.limits.monthLong)
		return true
	}, f.unseen)
}

// overlooked is how many wrong codes overlook has counted in 30 days, in this process,
// until they were forgiven or placed.
func (g *guesses) overlooked(ctx context.Context, name string, now time.Time) (int, error) {
	since, err := g.pardoned(ctx, name)
	if err != nil {
		return 0, err
	}
	t, err := g.typed.Tallies(ctx, g.unseenOf(name, since))
	if err != nil {
		return 0, err
	}
	fade(&t[0], g.limits.monthLong, now)
	return t[0].Failures, nil
}

// placed says of n of those, behind f, that it is known by now what they were behind.
func (g *guesses) placed(f factor, n int, now time.Time) {
	_ = g.typed.Count(context.Background(), now, func(t []Tally) bool { // in memory: it never fails
		t[0].Failures = max(0, t[0].Failures-n)
		return true
	}, f.unseen)
}

func (g *guesses) unseenOf(name string, since int64) TallyKey {
	return g.keys.HashTally(fmt.Sprintf("unseen|%s|%d", name, since))
}
