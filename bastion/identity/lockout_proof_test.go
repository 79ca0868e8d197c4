package identity_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"entry/bastion/identity"
)

// locks make a lock that covers alice at home.
func locks() map[string]func(w *world, wrong string) {
	return map[string]func(w *world, wrong string){
		"name": func(w *world, wrong string) { w.fail("alice", home, wrong, 9) },
		"source": func(w *world, wrong string) {
			for i := range 30 {
				w.fail(fmt.Sprintf("name%d", i), home, wrong, 3)
			}
		},
	}
}

// TestLockNeverOutlastsProof: a stranger behind the same address keeps the lock up
// for ever; a remembered key, and a right passphrase and code, open nevertheless, the
// latter once a minute, which the stranger can't use up.
func TestLockNeverOutlastsProof(t *testing.T) {
	for kind, lock := range locks() {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t)
			u := w.enrolled("alice")
			at, _ := u.withKey()
			if _, err := w.login(at, round{askCode, u.code()}); err != nil {
				t.Fatal(err)
			}
			w.clock.Advance(time.Minute)
			for range 4 {
				lock(w, u.wrongCode())
				if !w.remembers(at) {
					t.Error("the remembered key is kept out")
				}
				for range 5 { // the stranger's
					w.locked("alice", "any", u.wrongCode())
				}
				if _, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, u.code()}); err != nil {
					t.Errorf("the owner: %v", err)
				}
				w.clock.Advance(time.Minute)
			}
			// A key that isn't remembered is a first factor like a passphrase.
			if err := w.a.Forget(t.Context(), u.in(), ""); err != nil {
				t.Fatal(err)
			}
			lock(w, u.wrongCode())
			if _, err := w.login(at, round{askCode, u.code()}); err != nil {
				t.Errorf("the owner by key: %v", err)
			}
		})
	}
}

// locked logs in under a lock and expects its words after both answers.
func (w *world) locked(name, passphrase, code string) {
	w.t.Helper()
	_, err := w.login(attempt(name), round{askPass, passphrase}, round{askCode, code}, round{"Too many failed logins: nothing is accepted for …", ""})
	wantErr(w.t, err, identity.ErrLocked)
}

// TestLockedLooksAlike: under a lock everybody sees the same: unknown names, known
// ones, and the owner, with one right factor too, and when the minute is used up.
func TestLockedLooksAlike(t *testing.T) {
	for kind, lock := range locks() {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t)
			u := w.enrolled("alice")
			if _, err := w.a.AddUser(t.Context(), "bob"); err != nil {
				t.Fatal(err)
			}
			counted := &counting{Store: w.store}
			w.a = w.authenticator(counted)
			lock(w, u.wrongCode())
			w.fail("nobody", home, u.wrongCode(), 9)
			w.fail("bob", home, u.wrongCode(), 9)
			w.settled()
			var calls [][]string
			for _, name := range []string{"nobody", "bob", "alice"} {
				counted.taken()
				w.locked(name, "not the passphrase", u.wrongCode())
				w.settled()
				calls = append(calls, counted.taken())
			}
			if !slices.Equal(calls[0], calls[1]) || !slices.Equal(calls[0], calls[2]) {
				t.Errorf("%v, %v, %v", calls[0], calls[1], calls[2])
			}
			w.locked("alice", good, u.wrongCode())
			w.locked("alice", "not the passphrase", u.code()) // this uses the minute up
			w.clock.Advance(30 * time.Second)
			w.locked("alice", good, u.code())
			w.clock.Advance(31 * time.Second)
			if _, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, u.code()}); err != nil {
				t.Errorf("a minute later: %v", err)
			}
		})
	}
}

// TestARecoveryCodeUsesNoMinuteUp: whoever found a recovery code, and shows it behind the
// owner's address as often as a lock lets it be judged, keeps out neither the owner's
// codes nor the rest of the list.
func TestARecoveryCodeUsesNoMinuteUp(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	at, _ := u.withKey()
	for range 5 { // beyond what the code is good for in a day
		w.fail("alice", home, u.wrongCode(), 9)
		w.locked("alice", "a thief's guess", u.recovery[0])
		w.settled()
		if _, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, u.code()}); err != nil {
			t.Fatalf("the owner: %v", err)
		}
		w.clock.Advance(time.Minute)
	}
	w.fail("alice", home, u.wrongCode(), 9)
	w.locked("alice", "a thief's guess", u.recovery[0])
	if _, err := w.login(at, round{askCode, u.code()}); err != nil {
		t.Errorf("the owner by key: %v", err)
	}
	w.clock.Advance(time.Minute)
	w.fail("alice", home, u.wrongCode(), 9)
	w.locked("alice", "a thief's guess", u.recovery[1])
	w.locked("alice", good, u.recovery[1]) // its own minute is used up
	if _, err := w.login(attempt("alice"), append([]round{{askPass, good}, {askCode, u.recovery[2]}}, u.enrol()...)...); err != nil {
		t.Errorf("another one of the list: %v", err)
	}
}

// TestUnknownNetworkWaits: right answers from a network without a login before wait
// for the lock's end.
func TestUnknownNetworkWaits(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	elsewhere := from(attempt("alice"), "203.0.113.5")
	w.fail("alice", elsewhere.Source, u.wrongCode(), 9)
	_, err := w.login(elsewhere, round{askPass, good}, round{askCode, u.code()}, round{fmt.Sprintf(lockedText, "30 minutes"), ""})
	wantErr(t, err, identity.ErrLocked)
	// The code was not looked at.
	if _, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, u.code()}); err != nil {
		t.Error(err)
	}
}

// TestGuessesUnderALock: a thief of the passphrase behind the owner's address
// guesses within the limits, whatever the lock.
func TestGuessesUnderALock(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	w.fail("alice", home, u.wrongCode(), 9)
	for range 15 { // five are the network's own, ten the passphrase's
		w.locked("alice", good, u.wrongCode())
		w.settled()
	}
	_, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, u.code()}, round{"Right, but refused…", "x"},
		round{askCode, u.wrongCode()}, round{"Too many failed logins…", ""})
	wantErr(t, err, identity.ErrLocked)
}

// TestNewcomerUnderALock: a right temporary passphrase is proof by itself.
func TestNewcomerUnderALock(t *testing.T) {
	w := newWorld(t)
	temp, err := w.a.AddUser(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	for _, lock := range locks() {
		lock(w, "000000")
	}
	u := &user{w: w, name: "alice"}
	if _, err := w.login(attempt("alice"), u.firstLogin(temp)...); err != nil {
		t.Error(err)
	}
}

// TestResetBehindALock: whoever has a temporary passphrase and an authenticator, which a
// reset has left, gets in behind a stranger's lock anywhere, and has no more codes to guess
// there than elsewhere.
func TestResetBehindALock(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	elsewhere := from(attempt("alice"), "203.0.113.5")
	for _, thief := range []bool{false, true} {
		temp, err := w.a.ResetPassphrase(t.Context(), "alice")
		if err != nil {
			t.Fatal(err)
		}
		w.fail("alice", elsewhere.Source, u.wrongCode(), 9)
		if !thief {
			if _, err := w.login(elsewhere, round{askPass, temp}, round{"…" + askCode, u.code()}, round{askOwn, good}, round{"Repeat new entry passphrase: ", good}); err != nil {
				t.Errorf("the owner: %v", err)
			}
			w.clock.Advance(31 * time.Minute)
			continue
		}
		elsewhere = from(attempt("alice"), "203.0.113.6")
		w.fail("alice", elsewhere.Source, u.wrongCode(), 9)
		for range 10 {
			_, err := w.login(elsewhere, round{askPass, temp}, round{"…" + askCode, u.wrongCode()}, round{"Too many failed logins…", ""})
			wantErr(t, err, identity.ErrLocked)
			w.settled()
		}
		_, err = w.login(elsewhere, round{askPass, temp}, round{"…" + askCode, u.code()}, round{"Right, but refused…", ""})
		wantErr(t, err, identity.ErrAbandoned)
	}
}

// TestLockedSendsNothing: a dialogue under a lock has no code sent.
func TestLockedSendsNothing(t *testing.T) {
	w, g := texting(t, nil)
	w.fail("alice", home, "000000", 9)
	w.settled()
	before := g.sent()
	w.locked("alice", good, "000000")
	w.settled()
	if n := g.sent() - before; n != 0 {
		t.Errorf("%d codes were sent", n)
	}
}

// TestCommandsUnderALock: whoever is in can go on, one command a minute.
func TestCommandsUnderALock(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	id := u.in()
	w.fail("alice", home, u.wrongCode(), 9)
	s := &script{t: t, rounds: []round{{askPass, good}}}
	if err := w.a.Confirm(t.Context(), id, attempt(""), s); err != nil {
		t.Error(err)
	}
	w.fail("alice", home, u.wrongCode(), 9)
	w.clock.Advance(time.Minute)
	p := u.fresh(id)
	next := "seven lanterns above the harbour"
	if err := w.a.ChangePassphrase(t.Context(), p, w.ask(round{"Current entry passphrase: ", good}, round{askChanged, next}, round{"Repeat new entry passphrase: ", next})); err != nil {
		t.Error(err)
	}
}
