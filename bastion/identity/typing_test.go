package identity_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"entry/bastion/identity"
	"entry/bastion/identity/secret"
)

// mistyped is a temporary passphrase with the last symbol of a half replaced.
func mistyped(temp string, last int) string {
	b := []byte(temp)
	if b[last]++; b[last] == ':' || b[last] > 'y' || strings.IndexByte("ilou", b[last]) >= 0 {
		b[last] = '5'
		if temp[last] == '5' {
			b[last] = '6'
		}
	}
	return string(b)
}

// TestMistypedTemporaryIsNoDeadEnd: a typing error is pointed out before any code is
// asked, for every name alike, and the way to the first login stays open.
func TestMistypedTemporaryIsNoDeadEnd(t *testing.T) {
	w := newWorld(t)
	temp, err := w.a.AddUser(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	const (
		first  = "That temporary passphrase has a typing error in its first half (two groups of five). Type it again as it was given to you.\n" + askPass
		second = "That temporary passphrase has a typing error in its second half (two groups of five). Type it again as it was given to you.\n" + askPass
		both   = "That temporary passphrase has a typing error; it has four groups of five. Type it again as it was given to you.\n" + askPass
	)
	errors := []round{
		{askPass, mistyped(temp, 10)}, {first, strings.ToUpper(mistyped(temp, 22))}, {second, "2" + temp[:5] + "-" + temp[6:]}, {first, "k3m9b-x0p21-7hq4t-c8w6e"},
	}
	from := w.log.Mark()
	for _, name := range []string{"alice", "nobody", "Not A Name"} {
		_, err := w.login(attempt(name), append(slices.Clone(errors), round{both, ""})...)
		wantErr(t, err, identity.ErrAbandoned)
	}
	w.wantLog(from, "login.abandoned empty-answer", "login.abandoned empty-answer", "login.abandoned empty-answer")
	// However often: nothing was counted, and the right one is right.
	for range 15 {
		_, err := w.login(attempt("alice"), append(slices.Clone(errors), round{both, ""})...)
		wantErr(t, err, identity.ErrAbandoned)
	}
	u := &user{w: w, name: "alice"}
	rounds := append(slices.Clone(errors), u.firstLogin(temp)...)
	rounds[len(errors)].prompt = both
	if _, err := w.login(attempt("alice"), rounds...); err != nil {
		t.Fatal(err)
	}
}

// TestTypingErrorsAreBounded: a client that says the same for ever is judged.
func TestTypingErrorsAreBounded(t *testing.T) {
	w := newWorld(t)
	temp, err := w.a.AddUser(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	one, other := mistyped(temp, 10), mistyped(temp, 22)
	var rounds []round
	for i := range 6 {
		rounds = append(rounds, round{"…" + askPass, []string{one, other}[i%2]})
	}
	_, err = w.login(attempt("alice"), append(rounds, round{askCode, "123456"}, round{noPass, ""})...)
	wantErr(t, err, identity.ErrAbandoned)
	_, err = w.login(attempt("alice"), round{askPass, one}, round{"…" + askPass, one}, round{askCode, "123456"}, round{noPass, ""})
	wantErr(t, err, identity.ErrAbandoned)
}

// TestWorthlessTemporary: one that opens nothing is told so with the question for
// the code, from the string alone: whoever's it was, used, expired, withdrawn, and
// right beside an authenticator. Enter goes back, three times a connection.
func TestWorthlessTemporary(t *testing.T) {
	w := newWorld(t)
	add := func(name string) string {
		t.Helper()
		temp, err := w.a.AddUser(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		return temp
	}
	expired := add("erin")
	w.clock.Advance(241 * time.Hour)
	bob := add("bob")
	used := add("alice")
	u := &user{w: w, name: "alice"}
	if _, err := w.login(attempt("alice"), u.firstLogin(used)...); err != nil {
		t.Fatal(err)
	}
	kept, err := w.a.ResetPassphrase(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, typed string }{
		{"alice", used}, {"alice", kept}, {"alice", bob}, {"bob", used}, {"erin", expired}, {"nobody", bob}, {"nobody", strings.ToUpper(used)},
	} {
		_, err := w.login(attempt(c.name), round{askPass, c.typed}, round{codeBehind, ""}, round{backPass, c.typed}, round{codeBehind, ""},
			round{backPass, "guess"}, round{askCode, ""}, round{"No code was typed. Without an authenticator only a temporary passphrase works here; if yours does not, ask your lab's administrator. " + lastTry, ""})
		wantErr(t, err, identity.ErrExhausted)
	}
	// Back at the passphrase, the right one goes on.
	rounds := append([]round{{askPass, used}, {codeBehind, ""}}, (&user{w: w, name: "bob"}).firstLogin(bob)...)
	rounds[2].prompt = backPass
	if _, err := w.login(attempt("bob"), rounds...); err != nil {
		t.Fatal(err)
	}
}

// TestOwnPassphraseInThatForm: a passphrase that came from elsewhere may look like a
// temporary one with a typing error. Typed once more, it is taken for what it is.
func TestOwnPassphraseInThatForm(t *testing.T) {
	const own = "green1-table2-horse-cow12"
	w := newWorld(t)
	u := w.enrolled("alice")
	acct, err := w.store.Account(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	if acct.Passphrase, err = secret.NewHasher(secret.HasherOptions{Costs: secret.Costs{Memory: 64, Passes: 1, Threads: 1}}).Hash(t.Context(), own); err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.Save(t.Context(), acct); err != nil {
		t.Fatal(err)
	}
	typo := "That temporary passphrase has a typing error; it has four groups of five. Type it again as it was given to you.\n"
	id, err := w.login(attempt("alice"), round{askPass, own}, round{typo + askPass, own}, round{askCode, u.code()})
	if err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(time.Minute)
	s := w.ask(round{"Current entry passphrase: ", own}, round{askChanged, "cow12-green1-table2-horse"}, round{"Refused: it looks like a temporary passphrase. New entry passphrase: ", ""})
	if err := w.a.ChangePassphrase(t.Context(), u.fresh(id), s); err == nil {
		t.Error("a new passphrase looks like a temporary one")
	}
}

// TestTemporaryOfBefore: what was handed out without check characters, before the
// server was upgraded, leads to the first login.
func TestTemporaryOfBefore(t *testing.T) {
	w := newWorld(t)
	if _, err := w.a.AddUser(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	acct, err := w.store.Account(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	acct.Temporary.Hash = sha256.Sum256([]byte("entry temporary|78z87nh49dqvq8fk"))
	if _, err := w.store.Save(t.Context(), acct); err != nil {
		t.Fatal(err)
	}
	u := &user{w: w, name: "alice"}
	if _, err := w.login(attempt("alice"), u.firstLogin("78Z8-7nh4 9dqv-q8fk")...); err != nil {
		t.Fatal(err)
	}
}

// shown keeps which prompts let the client show what is typed.
type shown struct {
	script
	hidden []string
}

func (s *shown) Ask(ctx context.Context, prompt string, echo bool) (string, error) {
	if !echo {
		s.hidden = append(s.hidden, prompt)
	}
	return s.script.Ask(ctx, prompt, echo)
}

// TestHabitIsNotShown: whatever may get a passphrase out of habit isn't shown: codes,
// wherever they are asked, the last words of a connection, a lock's, and the question
// for a command's own code.
func TestHabitIsNotShown(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	at, _ := u.withKey()
	for _, c := range []struct {
		at     identity.Attempt
		rounds []round
	}{
		{at, []round{{askCode, u.code()}}},
		{attempt("alice"), []round{{askPass, "a"}, {askCode, "1"}, {noPass, "b"}, {askCode, "1"}, {noPass, "c"}, {askCode, "1"}, {ended, "habit"}}},
		{attempt("alice"), []round{{askPass, secret.NewTemporary()}, {codeBehind, "habit"}, {noPass, ""}}},
		{attempt("nobody"), []round{{askPass, secret.NewTemporary()}, {codeBehind, "habit"}, {noPass, ""}}},
		{attempt("alice"), []round{{askPass, "123 456"}, {codeFirst, "habit"}, {askCode, "123456"}, {noPass, "654321"}, {codeFirst, "654321"}, {askCode, ""}, {backPass, ""}}},
		{attempt("nobody"), []round{{askPass, "123 456"}, {codeFirst, "habit"}, {askCode, "123456"}, {noPass, "654321"}, {codeFirst, "654321"}, {askCode, ""}, {backPass, ""}}},
		{attempt("alice"), []round{{askPass, ""}}},
		{from(attempt("bob"), "198.51.100.9"), nil},
	} {
		if c.rounds == nil { // a lock
			for range 9 {
				_, _ = w.login(c.at, round{askPass, "a"}, round{askCode, "1"}, round{"…", ""})
			}
			c.rounds = []round{{askPass, "a"}, {askCode, "1"}, {"Too many failed logins: nothing is accepted for this name from your address for …", "habit"}}
		}
		s := &shown{script: script{t: t, rounds: c.rounds}}
		_, _ = w.a.Login(t.Context(), c.at, identity.NewConnState(), s)
		if len(s.seen) != len(c.rounds) || !slices.Equal(s.hidden, s.seen) {
			t.Errorf("hidden: %q of %q", s.hidden, s.seen)
		}
		w.clock.Advance(time.Minute)
	}
	// Enrolment, where the picture's keys are typed too, and a command's own code: a
	// passphrase there is no guess.
	temp, err := w.a.AddUser(t.Context(), "carol")
	if err != nil {
		t.Fatal(err)
	}
	s := &shown{script: script{t: t, rounds: (&user{w: w, name: "carol"}).firstLogin(temp)}}
	id, err := w.a.Login(t.Context(), attempt("carol"), identity.NewConnState(), s)
	if err != nil || !slices.Equal(s.hidden, s.seen) {
		t.Errorf("%v; hidden: %q of %q", err, s.hidden, s.seen)
	}
	mark := w.log.Mark()
	const noCode = "That is no code: a one-time code has six digits. "
	s = &shown{script: script{t: t, rounds: []round{{askCode, good}, {noCode + askCode, good}, {noCode + askCode, "12345"}, {noCode + "That was the last try. An app's codes change every 30 seconds: see that your phone sets its clock by itself. Press Enter to go back to entry: ", good}}}}
	if _, err := w.a.Fresh(t.Context(), id, attempt("carol"), s); !errors.Is(err, identity.ErrRefused) || !slices.Equal(s.hidden, s.seen) {
		t.Errorf("%v; hidden: %q of %q", err, s.hidden, s.seen)
	}
	w.wantLog(mark)
}

const codeFirst = "That looks like a one-time code: the passphrase is asked first, then the code.\n" + askPass
