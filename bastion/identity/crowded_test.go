package identity_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"entry/bastion/identity"
)

// TestStrangersCrowdOutStrangers: where codes go by SMS, passphrases of networks that nobody
// has logged in from are hashed behind all others. While those fill their queue, owners
// get in where somebody did before, by SMS too, and elsewhere by an authenticator; no
// code is sent there, and whoever types none is told why, whatever the name. Guesses
// count as always.
func TestStrangersCrowdOutStrangers(t *testing.T) {
	w, g := texting(t, nil)
	u := w.enrolledBeside(g, "bob")
	w.clock.Advance(time.Minute)
	release := w.a.HoldStrangers()
	familiar := func(name string) identity.Attempt {
		at := from(attempt(name), "192.0.2.77")
		at.Familiar = true
		return at
	}
	if id, err := w.login(familiar("bob"), round{askPass, good}, round{askCode, u.code()}); err != nil || id.Method() != "passphrase+otp" {
		t.Errorf("where somebody logged in before: %v %q", err, id.Method())
	}
	if id, err := w.login(familiar("alice"), round{askPass, good}, round{askCode, g.code(t)}); err != nil || id.Method() != "passphrase+sms" {
		t.Errorf("by SMS, there: %v %q", err, id.Method())
	}
	w.clock.Advance(time.Minute)
	if id, err := w.login(from(attempt("bob"), "198.51.100.7"), round{askPass, good}, round{askCode, u.code()}); err != nil || id.Method() != "passphrase+otp" {
		t.Errorf("elsewhere: %v %q", err, id.Method())
	}
	w.clock.Advance(time.Minute)
	before := g.sent()
	for i, name := range []string{"alice", "bob", "nobody"} {
		_, err := w.login(from(attempt(name), fmt.Sprintf("198.51.100.%d", i+10)), round{askPass, good}, round{askCode, w.settledThen("")},
			round{"No code was typed, and entry is too busy with other logins to send one by SMS: try again in a minute. " + askPass, ""})
		wantErr(t, err, identity.ErrAbandoned)
		for _, code := range []string{u.wrongCode(), u.code()} {
			_, err := w.login(from(attempt(name), fmt.Sprintf("198.51.100.%d", i+10)), round{askPass, "some other phrase entirely"}, round{askCode, code}, round{noPass, ""})
			wantErr(t, err, identity.ErrAbandoned)
		}
	}
	w.typedBy("bob", good, u.wrongCode(), 10)
	w.settled()
	if n := g.sent() - before; n != 0 {
		t.Errorf("%d codes were sent", n)
	}
	w.clock.Advance(time.Minute)
	w.refused(u, good, "198.51.100.9")
	release()
}

// TestCrowdedOutAndDownIsNoVerdict: what a directory gave no answer to isn't right because
// the hash beside it had no turn either.
func TestCrowdedOutAndDownIsNoVerdict(t *testing.T) {
	w, g, dir := textingRealm(t)
	id, err := w.login(attempt("alice"), round{askPass, kept}, round{askCode, g.code(t)})
	if err != nil {
		t.Fatal(err)
	}
	p, err := w.a.Fresh(t.Context(), id, attempt(""), &script{t: t, rounds: []round{{askCode, g.code(t)}}})
	if err != nil {
		t.Fatal(err)
	}
	u := &user{w: w, name: "alice"}
	if err := w.a.NewRecovery(t.Context(), p, w.ask(u.enrol()[1])); err != nil {
		t.Fatal(err)
	}
	defer w.a.HoldStrangers()()
	dir.fail(errors.New("no route"))
	_, err = w.login(from(attempt("alice"), "198.51.100.7"), round{askPass, "a thief's guess"}, round{askCode, u.recovery[0]}, round{"The directory duo that knows your passphrase can't be asked…", ""})
	wantErr(t, err, identity.ErrUnavailable)
}
