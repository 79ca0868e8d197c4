package identity_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"entry/bastion/identity"
	"entry/e2e/testkit"
)

func TestCodeBySMS(t *testing.T) {
	w, g := texting(t, nil)
	from := w.log.Mark()
	c := identity.NewConnState()
	id, err := w.loginOn(c, attempt("alice"), round{askPass, good}, round{askCode, g.code(t)})
	if err != nil || id.Method() != "passphrase+sms" {
		t.Fatalf("%v %q", err, id.Method())
	}
	w.settled()
	got := w.log.Lines(from)
	slices.Sort(got)
	if !slices.Equal(got, []string{"login.succeeded passphrase+sms", "sms.sent"}) {
		t.Errorf("%q", got)
	}
	select {
	case <-c.CodeAwaited():
	default:
		t.Error("the grace was not extended")
	}
	if n := g.sent(); n != 2 || g.to[1] != phone {
		t.Errorf("%d sent, to %q", n, g.to)
	}
	for _, e := range w.log.All() {
		if s := fmt.Sprintf("%+v", e); strings.Contains(s, phone[1:]) {
			t.Errorf("the number is logged: %s", s)
		}
	}
}

// Only a right passphrase has anything sent; prompts and verdicts never differ.
func TestNothingIsSentToStrangers(t *testing.T) {
	w, g := texting(t, nil)
	u := w.enrolledBeside(g, "bob")
	before := g.sent()
	for _, c := range []struct{ name, passphrase string }{
		{"alice", "wrong phrase"}, {"alice", ""}, {"nobody", good}, {"bob", good}, {"alicia", good},
	} {
		rounds := []round{{askPass, c.passphrase}, {askCode, "123456"}, {noPass, ""}}
		if c.passphrase == "" {
			rounds = rounds[:1]
		}
		state := identity.NewConnState()
		_, err := w.loginOn(state, attempt(c.name), rounds...)
		wantErr(t, err, identity.ErrAbandoned)
		if c.passphrase != "" {
			select {
			case <-state.CodeAwaited():
			default:
				t.Errorf("%s: the grace tells who has codes by SMS", c.name)
			}
		}
	}
	w.settled()
	if n := g.sent() - before; n != 0 {
		t.Errorf("%d codes were sent", n)
	}
	// An authenticator's codes go on beside the gateway.
	w.clock.Advance(time.Minute)
	if id, err := w.login(attempt("bob"), round{askPass, good}, round{askCode, u.code()}); err != nil || id.Method() != "passphrase+otp" {
		t.Errorf("%v %q", err, id.Method())
	}
}

// enrolledBeside is enrolled where a gateway is configured.
func (w *world) enrolledBeside(_ *texts, name string) *user { return w.enrolled(name) }

// With a gateway, each dialogue costs the same queries and one hash, before any
// code, whatever the name.
func TestSameWorkWithSMS(t *testing.T) {
	w, g := texting(t, nil)
	w.enrolledBeside(g, "bob")
	counted := &counting{Store: w.store}
	a := w.authenticator(counted)
	hashes := 0
	var mu sync.Mutex
	a.OnHash(func() { mu.Lock(); hashes++; mu.Unlock() })
	var calls [][]string
	for _, name := range []string{"alice", "bob", "nobody", "nobody2"} {
		mu.Lock()
		hashes = 0
		mu.Unlock()
		counted.taken()
		s := &script{t: t, rounds: []round{{askPass, "some other phrase entirely"}, {askCode, "123456"}, {noPass, ""}}}
		if _, err := a.Login(t.Context(), attempt(name), identity.NewConnState(), s); !errors.Is(err, identity.ErrAbandoned) {
			t.Fatal(err)
		}
		if err := a.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if hashes != 1 {
			t.Errorf("%s: %d hashes", name, hashes)
		}
		calls = append(calls, counted.taken())
	}
	for _, c := range calls[1:] {
		if !slices.Equal(calls[0], c) {
			t.Errorf("%v, and %v", calls[0], c)
		}
	}
}

func TestSMSCodeLimits(t *testing.T) {
	w, g := texting(t, nil)
	var seen string
	keep := func(p string) string { seen = g.code(t)(p); return anotherThan(seen) }
	t.Run("wrong, then right on the same connection, one message", func(t *testing.T) {
		before := g.sent()
		_, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, keep}, round{noPass, good},
			round{askCode, func(string) string { return seen }})
		if err != nil || g.sent()-before != 1 {
			t.Errorf("%v, %d sent", err, g.sent()-before)
		}
	})
	t.Run("used once", func(t *testing.T) {
		c := identity.NewConnState()
		if _, err := w.loginOn(c, attempt("alice"), round{askPass, good}, round{askCode, func(p string) string { seen = g.code(t)(p); return seen }}); err != nil {
			t.Fatal(err)
		}
		_, err := w.loginOn(c, attempt("alice"), round{askPass, good}, round{askCode, func(p string) string {
			g.code(t)(p) // a new one came
			return seen
		}}, round{noPass, ""})
		wantErr(t, err, identity.ErrAbandoned)
	})
	w.settled()
	w.clock.Advance(2 * time.Hour)
	t.Run("not on another connection", func(t *testing.T) {
		_, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, func(p string) string { seen = g.code(t)(p); return "" }}, round{backBySMS, ""})
		wantErr(t, err, identity.ErrAbandoned)
		_, err = w.login(attempt("alice"), round{askPass, good}, round{askCode, func(p string) string {
			if c := g.code(t)(p); c == seen {
				t.Error("the same code twice: one in a million")
			}
			return seen
		}}, round{noPass, ""})
		wantErr(t, err, identity.ErrAbandoned)
	})
	t.Run("not with another name on the same connection", func(t *testing.T) {
		c := identity.NewConnState()
		_, err := w.loginOn(c, attempt("alice"), round{askPass, good}, round{askCode, func(p string) string { seen = g.code(t)(p); return "" }}, round{backBySMS, ""})
		wantErr(t, err, identity.ErrAbandoned)
		_, err = w.loginOn(c, attempt("nobody"), round{askPass, good}, round{askCode, seen}, round{ended, ""})
		wantErr(t, err, identity.ErrExhausted)
	})
	w.settled()
	w.clock.Advance(2 * time.Hour)
	for after, ok := range map[time.Duration]bool{2*time.Minute - time.Second: true, 2 * time.Minute: false, -time.Second: false} {
		t.Run("after "+after.String(), func(t *testing.T) {
			rounds := []round{{askPass, good}, {askCode, func(p string) string {
				c := g.code(t)(p)
				w.clock.Advance(after)
				return c
			}}}
			if !ok {
				rounds = append(rounds, round{noPass, ""})
			}
			if _, err := w.login(attempt("alice"), rounds...); (err == nil) != ok {
				t.Errorf("%v", err)
			}
			w.settled()
			w.clock.Advance(2 * time.Hour)
		})
	}
}

func TestFiveCodesAnHour(t *testing.T) {
	const over = "5 codes were sent to you within an hour, the most there may be: wait, or ask your lab's administrator. "
	w, g := texting(t, nil)
	// Another process on the same database counts the same.
	second := w.authenticator(w.store)
	defer func() {
		if err := second.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	start := w.clock.Now()
	for i := range 5 {
		a := w.a
		if i%2 == 1 {
			a = second
		}
		s := &script{t: t, rounds: []round{{askPass, good}, {askCode, g.code(t)}}}
		if _, err := a.Login(t.Context(), attempt("alice"), identity.NewConnState(), s); err != nil {
			t.Fatal(err)
		}
		w.clock.Advance(10 * time.Minute)
	}
	w.settled()
	before := g.sent()
	from := w.log.Mark()
	// Whoever has the passphrase is told; strangers aren't.
	_, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, w.afterFailure("123456")}, round{over + askPass, ""})
	wantErr(t, err, identity.ErrAbandoned)
	_, err = w.login(attempt("alice"), round{askPass, good}, round{askCode, w.afterFailure("")}, round{over + askPass, ""})
	wantErr(t, err, identity.ErrAbandoned)
	_, err = w.login(attempt("alice"), round{askPass, "wrong phrase"}, round{askCode, "123456"}, round{noPass, ""})
	wantErr(t, err, identity.ErrAbandoned)
	w.settled()
	if n := g.sent() - before; n != 0 {
		t.Errorf("%d more were sent", n)
	}
	if got := w.log.Lines(from); !slices.Contains(got, "sms.failed too-many-codes") || !slices.Contains(got, "login.failed no-code-sent") {
		t.Errorf("%q", got)
	}
	// One place is free an hour after the first, not more.
	w.clock.Advance(start.Add(time.Hour).Sub(w.clock.Now()))
	if _, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, g.code(t)}); err != nil {
		t.Error(err)
	}
	_, err = w.login(attempt("alice"), round{askPass, good}, round{askCode, w.afterFailure("123456")}, round{over + askPass, ""})
	wantErr(t, err, identity.ErrAbandoned)
}

// TestThiefUsesUpNoCodes: who has stolen a passphrase has five codes sent in an hour,
// and its owner gets one where she logged in before.
func TestThiefUsesUpNoCodes(t *testing.T) {
	w, g := texting(t, nil)
	w.clock.Advance(time.Hour)
	w.settled()
	before := g.sent()
	for i := range 7 {
		var s told
		s.answers = func(string) string {
			if len(s.seen) == 1 {
				return good
			}
			w.settled() // the code is sent, or not
			return ""
		}
		_, err := w.a.Login(t.Context(), from(attempt("alice"), fmt.Sprintf("203.0.113.%d", i+1)), identity.NewConnState(), &s)
		wantErr(t, err, identity.ErrAbandoned)
		w.settled()
	}
	if n := g.sent() - before; n != 5 {
		t.Errorf("%d codes were sent for the thief", n)
	}
	for range 5 {
		if _, ok := testkit.ReceiveWithin(testkit.Soon, g.out); !ok {
			t.Fatal("no message came")
		}
	}
	if _, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, g.code(t)}); err != nil {
		t.Error(err)
	}
}

func TestGatewayDown(t *testing.T) {
	const failed = "The SMS with your code could not be sent, which is not your fault: try again later, or ask your lab's administrator. "
	w, g := texting(t, nil)
	g.set(errors.New("no route to "+phone), nil)
	from := w.log.Mark()
	c := identity.NewConnState()
	_, err := w.loginOn(c, attempt("alice"), round{askPass, good}, round{askCode, w.afterFailure("123456")}, round{failed + askPass, ""})
	wantErr(t, err, identity.ErrAbandoned)
	_, err = w.loginOn(c, attempt("alice"), round{askPass, good}, round{askCode, w.afterFailure("")}, round{failed + lastTry, ""})
	wantErr(t, err, identity.ErrExhausted)
	if strings.Contains(err.Error(), phone) {
		t.Errorf("%v", err)
	}
	w.settled()
	got := w.log.Lines(from)
	if n := len(got); n != 5 || !slices.Contains(got, "sms.failed gateway") || !slices.Contains(got, "login.failed no-code-sent") {
		t.Errorf("%q", got)
	}
	// A stranger sees nothing of it.
	_, err = w.login(attempt("alice"), round{askPass, "wrong phrase"}, round{askCode, "123456"}, round{noPass, ""})
	wantErr(t, err, identity.ErrAbandoned)
	// It comes back: the next try has a new code.
	g.set(nil, nil)
	if _, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, g.code(t)}); err != nil {
		t.Error(err)
	}
}

// The prompt doesn't wait for the gateway, and neither does a verdict.
func TestSlowGatewayDoesNotShow(t *testing.T) {
	w, g := texting(t, nil)
	hold := make(chan struct{})
	g.set(nil, hold)
	_, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, "123456"}, round{noPass, ""})
	wantErr(t, err, identity.ErrAbandoned)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.a.Close(ctx); err == nil {
		t.Error("Close didn't see it")
	}
	close(hold)
	w.settled()
}

// A code counts once the log has it: a log that fails lets nobody in.
func TestSMSIsLogged(t *testing.T) {
	w, g := texting(t, nil)
	w.log.Break(errors.New("disk full"))
	_, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, func(p string) string {
		c := g.code(t)(p)
		w.settled()
		return c
	}}, round{"…", ""})
	wantErr(t, err, identity.ErrUnavailable)
}

func TestMoveToAnApp(t *testing.T) {
	w, g := texting(t, nil)
	id, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, g.code(t)})
	if err != nil {
		t.Fatal(err)
	}
	p, err := w.a.Fresh(t.Context(), id, attempt("alice"), &script{t: t, rounds: []round{{askCode, g.code(t)}}})
	if err != nil {
		t.Fatal(err)
	}
	u := &user{w: w, name: "alice"}
	if err := w.a.Enroll(t.Context(), p, "phone", &script{t: t, rounds: u.enrol()[:1]}); err != nil {
		t.Fatal(err)
	}
	w.settled()
	w.clock.Advance(time.Minute)
	before := g.sent()
	if id, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, u.code()}); err != nil || id.Method() != "passphrase+otp" {
		t.Errorf("%v %q", err, id.Method())
	}
	w.settled()
	if n := g.sent() - before; n != 0 {
		t.Errorf("%d codes were sent to an account with an app", n)
	}
	if info, err := w.a.User(t.Context(), "alice"); err != nil || info.CodeBySMS || info.Phone != phone {
		t.Errorf("%+v %v", info, err)
	}
}

func TestFreshCodeByADeadGateway(t *testing.T) {
	w, g := texting(t, nil)
	id, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, g.code(t)})
	if err != nil {
		t.Fatal(err)
	}
	g.set(errors.New("down"), nil)
	_, err = w.a.Fresh(t.Context(), id, attempt("alice"), &script{t: t, rounds: []round{{"The SMS with your code could not be sent…", ""}}})
	wantErr(t, err, identity.ErrRefused)
}

func TestKeyAndSMS(t *testing.T) {
	w, g := texting(t, nil)
	k := edKey(t)
	if _, err := w.a.AddKey(t.Context(), "alice", k.line); err != nil {
		t.Fatal(err)
	}
	at := attempt("alice")
	at.Key = k.pub
	id, err := w.login(at, round{askCode, g.code(t)})
	if err != nil || id.Method() != "publickey+sms" {
		t.Fatalf("%v %q", err, id.Method())
	}
	w.settled()
	before := g.sent()
	if id, ok, err := w.a.Remembered(t.Context(), at, nil); !ok || err != nil || id.Method() != "publickey+remembered" {
		t.Errorf("%v %v", ok, err)
	}
	if g.sent() != before {
		t.Error("a remembered key had a code sent")
	}
}

func TestSMSOfDisabledAccounts(t *testing.T) {
	w, g := texting(t, nil)
	if err := w.a.Disable(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	before := g.sent()
	const disabled = "This account is disabled: ask your lab's administrator. "
	_, err := w.login(attempt("alice"), round{askPass, "wrong phrase"}, round{askCode, "123456"}, round{noPass, good},
		round{askCode, w.settledThen("123456")}, round{disabled + askPass, good}, round{askCode, w.settledThen("")}, round{disabled + lastTry, ""})
	wantErr(t, err, identity.ErrExhausted)
	w.settled()
	if g.sent() != before {
		t.Error("a code was sent to a disabled account")
	}
}

// MAX IV's way: the passphrase is the directory's, the code comes by SMS.
func TestRealmAndSMS(t *testing.T) {
	dir := &directory{groups: []string{"users"}, at: time.Date(2026, 3, 1, 11, 0, 0, 0, time.UTC)}
	w, g := texting(t, func(o *identity.Options) { o.Realms = map[string]identity.FirstFactor{"duo": dir} })
	if err := w.a.SetRealm(t.Context(), "alice", "duo"); err != nil {
		t.Fatal(err)
	}
	id, err := w.login(attempt("alice"), round{askPass, kept}, round{askCode, g.code(t)})
	if err != nil || id.Method() != "passphrase+sms" {
		t.Fatalf("%v %q", err, id.Method())
	}
	if groups, at := id.Groups(); !slices.Equal(groups, dir.groups) || !at.Equal(dir.at) || dir.times() != 1 {
		t.Errorf("%q at %v, asked %d times", groups, at, dir.times())
	}
	w.settled()
	before := g.sent()
	_, err = w.login(attempt("alice"), round{askPass, "wrong"}, round{askCode, "123456"}, round{noPass, ""})
	wantErr(t, err, identity.ErrAbandoned)
	w.settled()
	if dir.times() != 2 {
		t.Errorf("asked %d times", dir.times())
	}
	dir.fail(no{"Your passphrase has expired.", true})
	_, err = w.login(attempt("alice"), round{askPass, kept}, round{askCode, w.settledThen("123456")}, round{"Your passphrase has expired. " + askPass, ""})
	wantErr(t, err, identity.ErrAbandoned)
	dir.fail(errors.New("down"))
	// Before a right code nothing tells that it is down, nor that it is asked for alice.
	_, err = w.login(attempt("alice"), round{askPass, kept}, round{askCode, w.settledThen("123456")}, round{noPass, ""})
	wantErr(t, err, identity.ErrAbandoned)
	w.settled()
	if n := g.sent() - before; n != 0 {
		t.Errorf("%d codes were sent", n)
	}
}

// A passphrase that may have had a code sent counts as a try, even if its giver
// leaves: it is no free guess.
func TestLeavingAtTheCodeCounts(t *testing.T) {
	w, _ := texting(t, nil)
	for range 8 {
		_, err := w.login(attempt("alice"), round{askPass, "wrong phrase"}, round{askCode, ""}, round{backBySMS, ""})
		wantErr(t, err, identity.ErrAbandoned)
	}
	_, err := w.login(attempt("alice"), round{askPass, "wrong phrase"}, round{askCode, "123456"},
		round{noPass, "wrong phrase"}, round{askCode, "123456"}, round{"…for 30 minutes. Wait, or ask your lab's administrator. Press Enter to leave entry: ", ""})
	wantErr(t, err, identity.ErrLocked)
}

// TestWhatIsStolenTakesNoOthersCodes: who has a key of hers, remembered or not, has codes
// sent by verbs and by logins behind it; her own logins and verbs behind the passphrase
// keep theirs, in the same network and in another.
func TestWhatIsStolenTakesNoOthersCodes(t *testing.T) {
	w, g := texting(t, nil)
	at, _ := (&user{w: w, name: "alice"}).withKey()
	id, err := w.login(at, round{askCode, g.code(t)})
	if err != nil {
		t.Fatal(err)
	}
	w.settled()
	w.clock.Advance(61 * time.Minute)
	before := g.sent()
	for range 8 {
		_, _ = w.a.Fresh(t.Context(), id, attempt(""), &told{answers: func(string) string { return "" }})
		for _, at := range []identity.Attempt{at, from(at, "203.0.113.7")} {
			_, err := w.a.Login(t.Context(), at, identity.NewConnState(), &told{answers: func(string) string { return "" }})
			wantErr(t, err, identity.ErrAbandoned)
			w.settled()
		}
	}
	if n := g.sent() - before; n != 15 {
		t.Errorf("%d codes were sent to her", n)
	}
	for len(g.out) > 0 {
		<-g.out
	}
	for _, at := range []identity.Attempt{attempt("alice"), from(attempt("alice"), "203.0.113.8")} {
		if id, err = w.login(at, round{askPass, good}, round{askCode, g.code(t)}); err != nil {
			t.Errorf("from %s: %v", at.Source, err)
		}
	}
	if _, err := w.prove(id, round{askCode, g.code(t)}); err != nil {
		t.Errorf("a verb behind the passphrase: %v", err)
	}
}
