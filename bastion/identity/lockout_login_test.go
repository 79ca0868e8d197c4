package identity_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"entry/bastion/identity"
)

const lockedText = "Too many failed logins: nothing is accepted for this name from your address for %s. Wait, or ask your lab's administrator. Press Enter to leave entry: "

// fail runs n failed dialogues, three a connection, up to the lock if it comes.
func (w *world) fail(name string, source netip.AddrPort, code string, n int) {
	w.t.Helper()
	for n > 0 {
		in := answering{}
		for range min(n, 3) {
			in = append(in, "some other phrase entirely", code)
		}
		at := attempt(name)
		at.Source = source
		if _, err := w.a.Login(w.t.Context(), at, identity.NewConnState(), &in); err == nil {
			w.t.Fatal("got in")
		}
		n -= 3
	}
}

func TestLockoutSaysHowLong(t *testing.T) {
	street := netip.MustParseAddrPort("203.0.113.9:7") // nobody has logged in from there
	for _, name := range []string{"alice", "nobody"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			u := w.enrolled("alice")
			wrong := u.wrongCode()
			w.fail(name, street, wrong, 8)
			mark := w.log.Mark()
			at := attempt(name)
			at.Source = street
			_, err := w.login(at, round{askPass, good}, round{askCode, wrong},
				round{noPass, good}, round{askCode, wrong}, round{fmt.Sprintf(lockedText, "30 minutes"), good})
			wantErr(t, err, identity.ErrLocked)
			wantErr(t, err, identity.ErrExhausted)
			why := "wrong-code"
			if name == "nobody" {
				why = "unknown-user"
			}
			w.wantLog(mark, "login.failed "+why, "login.locked too-many-failures", "login.locked too-many-failures")

			// Right answers are not evaluated either, and don't lengthen it.
			w.clock.Advance(28*time.Minute + time.Second)
			_, err = w.login(at, round{askPass, good}, round{askCode, u.code()}, round{fmt.Sprintf(lockedText, "2 minutes"), good})
			wantErr(t, err, identity.ErrLocked)
			at.Source = netip.MustParseAddrPort("198.51.100.1:1")
			_, err = w.login(at, round{askPass, ""}) // from elsewhere nothing is locked
			wantErr(t, err, identity.ErrAbandoned)
			w.clock.Advance(2 * time.Minute)
			at.Source = street
			_, err = w.login(at, round{askPass, good}, round{askCode, wrong}, round{noPass, ""})
			wantErr(t, err, identity.ErrAbandoned)
		})
	}
}

func TestEmptyAnswersAreNotCounted(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	for range 40 {
		_, err := w.login(attempt("alice"), round{askPass, ""})
		wantErr(t, err, identity.ErrAbandoned)
		_, err = w.login(attempt("alice"), round{askPass, good}, round{askCode, ""}, round{backPass, ""})
		wantErr(t, err, identity.ErrAbandoned)
	}
	if _, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, u.code()}); err != nil {
		t.Error(err)
	}
}

// TestGuessingCodesInOneField: whether the digits at the end match shows in the
// next prompt, so leaving there is counted.
func TestGuessingCodesInOneField(t *testing.T) {
	for _, name := range []string{"alice", "nobody"} {
		w := newWorld(t)
		u := w.enrolled("alice")
		for range 9 {
			_, err := w.login(attempt(name), round{askPass, "guess" + u.wrongCode()}, round{askCode, ""}, round{backPass, ""})
			wantErr(t, err, identity.ErrAbandoned)
		}
		_, err := w.login(attempt(name), round{askPass, "guess" + u.wrongCode()}, round{askCode, u.wrongCode()}, round{fmt.Sprintf(lockedText, "30 minutes"), ""})
		wantErr(t, err, identity.ErrLocked)
	}
}

func TestSuccessForgivesOwnFailures(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	for range 4 {
		w.fail("alice", home, u.wrongCode(), 8)
		if _, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, u.code()}); err != nil {
			t.Fatal(err)
		}
		w.clock.Advance(time.Minute)
	}
}

// TestSharedSource: somebody behind the same NAT burns the source's limit. Who
// has logged in from there still can; for all others, known or not, the prompts
// come and nothing is evaluated.
func TestSharedSource(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.enrolled("alice"), &user{w: w, name: "bob"}
	temp, err := w.a.AddUser(t.Context(), "bob")
	if err != nil {
		t.Fatal(err)
	}
	from := attempt("bob")
	from.Source = netip.MustParseAddrPort("203.0.113.5:99")
	if _, err := w.login(from, bob.firstLogin(temp)...); err != nil {
		t.Fatal(err)
	}
	for i := range 30 {
		w.fail(fmt.Sprintf("name%d", i), home, "000000", 3)
	}
	w.clock.Advance(time.Minute)
	text := "Too many failed logins: nothing is accepted for your address for 29 minutes. Wait, or ask your lab's administrator. Press Enter to leave entry: "
	_, err = w.login(attempt("nobody"), round{askPass, good}, round{askCode, "123456"}, round{text, ""})
	wantErr(t, err, identity.ErrLocked)
	_, err = w.login(attempt("bob"), round{askPass, good}, round{askCode, bob.code()}, round{text, ""})
	wantErr(t, err, identity.ErrLocked)
	_, err = w.login(attempt("bob"), round{askPass, good + bob.code()}, round{askCode, bob.code()}, round{text, ""})
	wantErr(t, err, identity.ErrLocked)
	if _, err = w.login(attempt("alice"), round{askPass, good}, round{askCode, alice.code()}); err != nil {
		t.Errorf("who has logged in from there: %v", err)
	}
	// Nothing was evaluated for bob: his code is still good.
	if _, err = w.login(from, round{askPass, good}, round{askCode, bob.code()}); err != nil {
		t.Errorf("bob from his own address: %v", err)
	}
}

func TestAccountLock(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	var until time.Time
	for i := range 10 {
		at := attempt("alice")
		at.Source = netip.MustParseAddrPort(fmt.Sprintf("198.51.100.%d:1", i))
		_, err := w.login(at, round{askPass, "some other phrase entirely"}, round{askCode, u.code()}, round{noPass, ""})
		wantErr(t, err, identity.ErrAbandoned)
		until = w.clock.Now().Add(24 * time.Hour)
		w.clock.Advance(time.Minute)
	}
	if got := w.log.All()[len(w.log.All())-2]; got.Reason != "account-locked" || !got.Until.Equal(until) {
		t.Errorf("event %+v", got)
	}
	// Told to a holder of the authenticator, whatever the passphrase; nobody else.
	text := "This account is locked until " + until.Format("2006-01-02 15:04 UTC") + " after many wrong passphrases: wait, or ask your lab's administrator. "
	_, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, u.wrongCode()},
		round{noPass, "some other phrase entirely"}, round{askCode, u.code()},
		round{text + askPass, good}, round{askCode, u.codeAfter(30 * time.Second)},
		round{text + lastTry, ""})
	wantErr(t, err, identity.ErrExhausted)
	if err := w.a.Enable(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(time.Minute)
	if _, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, u.code()}); err != nil {
		t.Errorf("after the operator's enable: %v", err)
	}
}

// TestASeenCodeLocksNobodyOut: who has seen one code, or guessed it, is neither able
// to lock its owner out by it, nor to try passphrases behind it for long.
func TestASeenCodeLocksNobodyOut(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	at, _ := u.withKey()
	w.clock.Advance(time.Minute)
	if _, err := w.login(at, round{askCode, u.code()}); err != nil { // the key is remembered now
		t.Fatal(err)
	}
	w.clock.Advance(time.Minute)
	seen := u.code()
	stranger := func(i int) identity.Attempt { return from(attempt("alice"), fmt.Sprintf("203.0.113.%d", i)) }
	for i := range 9 {
		_, err := w.login(stranger(i), round{askPass, "a guess"}, round{askCode, seen}, round{noPass, "another guess"}, round{askCode, seen}, round{noPass, ""})
		wantErr(t, err, identity.ErrAbandoned)
	}
	info, err := w.a.User(t.Context(), "alice")
	if err != nil || info.Failures != 1 || !info.LockedUntil.IsZero() {
		t.Errorf("%d failures, locked until %s, %v", info.Failures, info.LockedUntil, err)
	}
	_, err = w.login(stranger(10), round{askPass, good}, round{askCode, seen}, round{noPass, ""})
	wantErr(t, err, identity.ErrAbandoned)
	w.clock.Advance(time.Minute)
	if _, err := w.login(stranger(11), round{askPass, good}, round{askCode, u.code()}); err != nil {
		t.Errorf("the owner: %v", err)
	}
	// Whoever has the codes and guesses passphrases locks the passphrase, not a key.
	for i := range 9 { // the code that was seen is the first of ten
		w.clock.Advance(time.Minute)
		_, err := w.login(stranger(20+i), round{askPass, "a guess"}, round{askCode, u.code()}, round{noPass, ""})
		wantErr(t, err, identity.ErrAbandoned)
	}
	if info, err := w.a.User(t.Context(), "alice"); err != nil || info.LockedUntil.IsZero() {
		t.Errorf("not locked: %v", err)
	}
	if _, ok, err := w.a.Remembered(t.Context(), at, nil); !ok || err != nil {
		t.Errorf("the remembered key: %t %v", ok, err)
	}
	w.clock.Advance(time.Minute)
	if _, err := w.login(at, round{askCode, u.code()}); err != nil {
		t.Errorf("key and code: %v", err)
	}
}

func TestConfirm(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	id, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, u.code()})
	if err != nil {
		t.Fatal(err)
	}
	confirm := func(want error, rounds ...round) {
		t.Helper()
		s := &script{t: t, rounds: rounds}
		if err := w.a.Confirm(t.Context(), id, attempt(""), s); want == nil && err != nil {
			t.Error(err)
		} else if want != nil {
			wantErr(t, err, want)
		}
		if len(s.seen) != len(rounds) {
			t.Errorf("%d rounds", len(s.seen))
		}
	}
	mark := w.log.Mark()
	confirm(nil, round{askPass, good})
	confirm(identity.ErrAbandoned, round{askPass, ""})
	confirm(identity.ErrRefused, round{askPass, good + u.code()}, round{"Not accepted. Connect once more to try again. Press Enter to leave entry: ", ""})
	w.wantLog(mark, "login.abandoned empty-answer", "login.failed wrong-passphrase")
	// Wrong answers count against nothing: their number is the server's matter.
	for range 12 {
		confirm(identity.ErrRefused, round{askPass, "no"}, round{"…", ""})
	}
	confirm(nil, round{askPass, good})
	if u, err := w.a.User(t.Context(), "alice"); err != nil || !u.LockedUntil.IsZero() {
		t.Errorf("%+v, %v", u, err)
	}
	// A remembered key costs no code, so whoever has taken it has four a day, on
	// however many connections.
	at, _ := u.withKey()
	w.clock.Advance(time.Minute)
	if _, err := w.login(at, round{askCode, u.code()}); err != nil {
		t.Fatal(err)
	}
	var ok bool
	if id, ok, err = w.a.Remembered(t.Context(), at, nil); !ok || err != nil {
		t.Fatal(ok, err)
	}
	for range 4 {
		confirm(identity.ErrRefused, round{askPass, "no"}, round{"Not accepted…", ""})
	}
	mark = w.log.Mark()
	confirm(identity.ErrRefused, round{askPass, good}, round{"Too many wrong passphrases were typed here: log in with a code, from a program that is known to be yours. Press Enter to leave entry: ", ""})
	w.wantLog(mark, "login.failed too-many-failures")
	w.clock.Advance(25 * time.Hour)
	confirm(nil, round{askPass, good})
	// A code with it has ten a day, for all such connections of the account together, and
	// none while the account is locked.
	w.notices = nil
	again := func(at identity.Attempt) {
		t.Helper()
		w.clock.Advance(time.Minute)
		if id, err = w.login(at, round{askCode, u.code()}); err != nil {
			t.Fatal(err)
		}
	}
	const full = "Too many wrong passphrases were typed here: log in with passphrase and code, from a program that is known to be yours. Press Enter to leave entry: "
	again(at)
	for range 4 {
		confirm(identity.ErrRefused, round{askPass, "no"}, round{"Not accepted…", ""})
		confirm(nil, round{askPass, good})
	}
	other, _ := u.withKey()
	again(other)
	for range 6 {
		confirm(identity.ErrRefused, round{askPass, "no"}, round{"Not accepted…", ""})
	}
	w.wantNotices("key-added " + id.Key())
	confirm(identity.ErrRefused, round{askPass, good}, round{full, ""})
	confirm(identity.ErrRefused, round{askPass, good}, round{full, ""})
	w.wantNotices("passphrase-tried " + id.Key())
	w.clock.Advance(25 * time.Hour)
	again(at)
	confirm(nil, round{askPass, good})
	for i := range 10 {
		w.clock.Advance(time.Minute)
		_, err := w.login(from(attempt("alice"), fmt.Sprintf("203.0.113.%d", i+1)), round{askPass, "no"}, round{askCode, u.code()}, round{noPass, ""})
		wantErr(t, err, identity.ErrAbandoned)
	}
	confirm(identity.ErrRefused, round{askPass, good}, round{"This account is locked until …", ""})
	if _, err := w.a.Unlock(t.Context(), "alice", nil, false); err != nil {
		t.Fatal(err)
	}
	confirm(nil, round{askPass, good})
	if err := w.a.Disable(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	confirm(identity.ErrRevoked, round{askPass, good})
	if err := w.a.Confirm(t.Context(), identity.Identity{}, attempt("alice"), &script{t: t}); err == nil {
		t.Error("nobody was confirmed")
	}
}
