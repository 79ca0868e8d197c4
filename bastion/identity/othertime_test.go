package identity_test

import (
	"errors"
	"testing"
	"time"

	"entry/bastion/identity"
)

// A code that was guessed where nothing counts, behind a wrong passphrase or without
// the key, opens nothing afterwards with the factor that a thief has: else every guess
// could be made there.
func TestACodeGuessedBehindNothing(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	at, _ := u.withKey()
	keyless := at
	keyless.Key = nil
	const used = "Code already used, wait for the next one. "
	for _, tc := range []struct {
		name  string
		first func(code string) []round // without a factor
		at    identity.Attempt
		then  func(code string) []round // with it
	}{
		{"in one field, then the passphrase", func(code string) []round { return []round{{askPass, "x" + code}, {noPass, ""}} },
			keyless, func(code string) []round { return []round{{askPass, good}, {askCode, code}, {used + lastTry, ""}} }},
		{"in two fields, then the passphrase", func(code string) []round { return []round{{askPass, "x"}, {askCode, code}, {noPass, ""}} },
			keyless, func(code string) []round { return []round{{askPass, good + code}, {used + lastTry, ""}} }},
		{"then a key", func(code string) []round { return []round{{askPass, "x" + code}, {noPass, ""}} },
			at, func(code string) []round { return []round{{askCode, code}, {used + lastTry, ""}} }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w.clock.Advance(time.Minute)
			c, code := identity.NewConnState(), u.code()
			for i, rounds := range [][]round{tc.first(code), tc.then(code)} {
				attempt := keyless
				if i == 1 {
					attempt = tc.at
				}
				if _, err := w.loginOn(c, attempt, rounds...); !(errors.Is(err, identity.ErrAbandoned) || errors.Is(err, identity.ErrExhausted)) {
					t.Errorf("%d: %v", i, err)
				}
			}
		})
	}
}

// TestACodeOfAnotherTimeIsAnsweredLikeAWrongOne: no passphrase is hashed before the
// answer, which would tell by its time that the code will be right soon, to somebody
// who has no factor yet and against whom nothing counts.
func TestACodeOfAnotherTimeIsAnsweredLikeAWrongOne(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	release := w.a.BlockHashes()
	for _, d := range []time.Duration{time.Minute, 5 * time.Minute, -time.Minute, -5 * time.Minute} {
		for _, passphrase := range []string{"a stranger's guess", good} {
			for _, at := range []identity.Attempt{attempt("alice"), from(attempt("alice"), "203.0.113.9")} {
				_, err := w.login(at, round{askPass, passphrase}, round{askCode, u.codeAfter(d)}, round{noPass, ""})
				wantErr(t, err, identity.ErrAbandoned)
			}
		}
	}
	w.settled()
	release()
	// Nor is one told afterwards to who hadn't the passphrase, or, of a time to come,
	// to a network without a login before.
	w.clock.Advance(2 * time.Hour)
	for _, d := range []time.Duration{5 * time.Minute, -5 * time.Minute} {
		_, err := w.login(attempt("alice"), round{askPass, "a stranger's guess"}, round{askCode, u.codeAfter(d)}, round{noPass, w.settledThen(good)}, round{askCode, ""}, round{backPass, ""})
		wantErr(t, err, identity.ErrAbandoned)
	}
	_, err := w.login(from(attempt("alice"), "203.0.113.10"), round{askPass, good}, round{askCode, u.codeAfter(5 * time.Minute)}, round{noPass, w.settledThen(good)}, round{askCode, ""}, round{backPass, ""})
	wantErr(t, err, identity.ErrAbandoned)
}

// A code of a later time is a guess that will be right: behind a key or a passphrase it
// counts, and only where its owner has logged in before is it told from a wrong one.
func TestACodeOfLaterIsAGuess(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	at, key := u.withKey()
	later := func() string { return u.codeAfter(3 * time.Minute) }
	for i := range 10 {
		w.clock.Advance(time.Minute)
		rounds := []round{{askPass, good}, {askCode, later()}, {noPass, ""}}
		if i%2 == 0 {
			rounds = []round{{askPass, good + later()}, {askCode, later()}, {noPass, ""}}
		}
		thief := at
		thief.Source = thieves("IPv4", i)
		next := askCode
		if i == 9 {
			next = askPass // the key is suspended
		}
		_, err := w.login(thief, round{askCode, later()}, round{"Not accepted. " + next, ""})
		wantErr(t, err, identity.ErrAbandoned)
		thief.Key = nil
		_, err = w.login(thief, rounds...)
		wantErr(t, err, identity.ErrAbandoned)
		w.settled()
	}
	w.clock.Advance(time.Minute)
	_, err := w.login(from(attempt("alice"), "203.0.113.77"), round{askPass, good}, round{askCode, u.code()}, round{"Right, but refused…", ""})
	wantErr(t, err, identity.ErrAbandoned)
	acct, err := w.store.Account(t.Context(), "alice")
	if err != nil || len(acct.Keys) != 1 || acct.Keys[0].Suspended.IsZero() {
		t.Errorf("%s isn't suspended: %v", key.print, err)
	}
	w.clock.Advance(time.Hour)
	_, err = w.login(attempt("alice"), round{askPass, good}, round{askCode, later()}, round{noPass, w.settledThen(good)},
		round{"The clock of your authenticator is about 3 minutes ahead: set it to automatic, then use a new code. " + askCode, ""}, round{backPass, ""})
	wantErr(t, err, identity.ErrAbandoned)
}
