package identity_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"entry/audit"
	"entry/bastion/identity"
)

const other = "seven lanterns above the harbour"

// fresh answers one code in a command and moves the clock on, so that the next
// code is another one.
func (u *user) fresh(id identity.Identity) identity.Proof {
	u.w.t.Helper()
	p, err := u.w.prove(id, round{askCode, u.code()})
	if err != nil {
		u.w.t.Fatal(err)
	}
	return p
}

func (w *world) prove(id identity.Identity, rounds ...round) (identity.Proof, error) {
	w.t.Helper()
	s := &script{t: w.t, rounds: rounds}
	p, err := w.a.Fresh(w.t.Context(), id, attempt(""), s)
	if len(s.seen) != len(rounds) {
		w.t.Errorf("%d rounds, not %d", len(s.seen), len(rounds))
	}
	return p, err
}

func (w *world) ask(rounds ...round) *script { return &script{t: w.t, rounds: rounds} }

func wantRefusal(t *testing.T, err error, text string) {
	t.Helper()
	var r *identity.Refusal
	if !errors.As(err, &r) || !strings.Contains(r.Text, text) {
		t.Errorf("error %v, want a refusal with %q", err, text)
	}
}

func TestFreshCode(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	code := u.code()
	id, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, code})
	if err != nil {
		t.Fatal(err)
	}
	const back = " That was the last try. An app's codes change every 30 seconds: see that your phone sets its clock by itself. Press Enter to go back to entry: "
	mark := w.log.Mark()
	_, err = w.prove(id, round{askCode, code},
		round{"Code already used, wait for the next one. " + askCode, u.wrongCode()},
		round{"Not accepted. " + askCode, u.recovery[0]},
		round{"A recovery code is for logging in: that enrols a new device. Here a code of your authenticator is needed." + back, ""})
	wantErr(t, err, identity.ErrRefused)
	w.wantLog(mark, "login.failed code-used", "login.failed wrong-code", "login.failed wrong-code")
	if info, err := w.a.User(t.Context(), "alice"); err != nil || info.RecoveryLeft != 10 {
		t.Errorf("%d recovery codes left, %v", info.RecoveryLeft, err)
	}
	_, err = w.prove(id, round{askCode, u.codeAfter(5 * time.Minute)},
		round{"Not accepted. The clock of your authenticator is about 5 minutes ahead: set it to automatic, then use a new code. " + askCode, u.wrongCode()},
		round{"Not accepted. " + askCode, ""})
	wantErr(t, err, identity.ErrAbandoned)

	w.clock.Advance(time.Minute)
	mark = w.log.Mark()
	p := u.fresh(id)
	w.wantLog(mark)
	// The code of a command is spent for the next one.
	_, err = w.prove(id, round{askCode, u.code()}, round{"Code already used, …", ""})
	wantErr(t, err, identity.ErrAbandoned)
	// A proof stands once.
	if err := w.a.NewRecovery(t.Context(), p, w.ask(round{"…", ""})); err != nil {
		t.Error(err)
	}
	wantErr(t, w.a.NewRecovery(t.Context(), p, w.ask()), identity.ErrProof)
}

// TestProofs: what proves nothing opens nothing.
func TestProofs(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	id := u.in()
	for name, c := range map[string]struct {
		proof func() identity.Proof
		want  error
	}{
		"zero": {func() identity.Proof { return identity.Proof{} }, identity.ErrProof},
		"old": {func() identity.Proof {
			p := u.fresh(id)
			w.clock.Advance(2 * time.Minute)
			return p
		}, identity.ErrProof},
		"from the future": {func() identity.Proof {
			p := u.fresh(id)
			w.clock.Advance(-time.Minute)
			return p
		}, identity.ErrProof},
		"revoked": {func() identity.Proof {
			w.clock.Advance(10 * time.Minute)
			id := u.in()
			p := u.fresh(id)
			if err := errors.Join(w.a.Disable(t.Context(), "alice"), w.a.Enable(t.Context(), "alice")); err != nil {
				t.Fatal(err)
			}
			return p
		}, identity.ErrRevoked},
	} {
		t.Run(name, func(t *testing.T) {
			w.clock.Advance(10 * time.Minute)
			id = u.in()
			for verb, do := range map[string]func(identity.Proof) error{
				"enroll": func(p identity.Proof) error { return w.a.Enroll(t.Context(), p, "phone", w.ask()) },
				"remove": func(p identity.Proof) error { return w.a.RemoveDevice(t.Context(), p, "app") },
				"passwd": func(p identity.Proof) error { return w.a.ChangePassphrase(t.Context(), p, w.ask()) },
				"codes":  func(p identity.Proof) error { return w.a.NewRecovery(t.Context(), p, w.ask()) },
				"key": func(p identity.Proof) error {
					_, _, err := w.a.AddOwnKey(t.Context(), p, edKey(t).line, w.ask(round{"…Signature: ", ""}))
					return err
				},
			} {
				p := c.proof()
				mark := w.log.Mark()
				if err := do(p); !errors.Is(err, c.want) || w.log.Mark() != mark {
					t.Errorf("%s: %v, events %v", verb, err, w.log.Lines(mark))
				}
				w.clock.Advance(5 * time.Minute)
				id = u.in()
			}
		})
	}
	if _, err := w.prove(identity.Identity{}); !errors.Is(err, identity.ErrRevoked) {
		t.Error(err)
	}
}

// TestGuessingFreshCodes: the limits of logins hold inside a connection.
func TestGuessingFreshCodes(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	id := u.in()
	for range 2 {
		_, err := w.prove(id, round{askCode, u.wrongCode()}, round{"…", u.wrongCode()}, round{"…", u.wrongCode()}, round{"…", ""})
		wantErr(t, err, identity.ErrRefused)
	}
	_, err := w.prove(id, round{askCode, u.wrongCode()}, round{"…", u.wrongCode()}, round{"…", u.wrongCode()}, round{"…", ""})
	wantErr(t, err, identity.ErrRefused)
	locked := strings.ReplaceAll(fmt.Sprintf(lockedText, "30 minutes"), "to leave entry", "to go back to entry")
	_, err = w.prove(id, round{askCode, u.wrongCode()}, round{locked, ""})
	wantErr(t, err, identity.ErrLocked)
	_, err = w.login(attempt("alice"), round{askPass, good}, round{askCode, u.wrongCode()}, round{fmt.Sprintf(lockedText, "30 minutes"), ""})
	wantErr(t, err, identity.ErrLocked)
	w.clock.Advance(31 * time.Minute)
	u.fresh(id)
}

func TestEnrollAnotherDevice(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	id := u.in()
	mark := w.log.Mark()
	phone := &user{w: w, name: "alice"}
	if err := w.a.Enroll(t.Context(), u.fresh(id), " old phone ", w.ask(phone.enrol()[0])); err != nil {
		t.Fatal(err)
	}
	w.wantLog(mark, "authenticator.enrolled")
	if e := w.log.All()[mark]; e.User != "alice" || e.Conn != "01CONN" || e.Detail != "old phone" {
		t.Errorf("event %+v", e)
	}
	w.wantNotices("authenticator-added old phone")
	w.clock.Advance(time.Minute)
	for name, text := range map[string]string{
		"Old Phone": "already", "APP": "already", "": "1 to 32", "   ": "1 to 32", "p\x1b[2Jx": "1 to 32", "téléphone": "1 to 32", strings.Repeat("a", 33): "1 to 32",
	} {
		wantRefusal(t, w.a.Enroll(t.Context(), u.fresh(id), name, w.ask()), text)
		w.clock.Advance(time.Minute)
	}
	// Either shows codes that log in, and prove; each has steps of its own.
	for _, d := range []*user{u, phone} {
		if _, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, d.code()}); err != nil {
			t.Error(err)
		}
	}
	w.clock.Advance(time.Minute)

	mark = w.log.Mark()
	wantErr(t, w.a.RemoveDevice(t.Context(), u.fresh(id), "tablet"), identity.ErrNoDevice)
	if err := w.a.RemoveDevice(t.Context(), phone.fresh(id), "APP"); err != nil {
		t.Fatal(err)
	}
	w.wantLog(mark, "authenticator.removed")
	w.wantNotices("authenticator-removed APP")
	w.clock.Advance(time.Minute)
	wantErr(t, w.a.RemoveDevice(t.Context(), phone.fresh(id), "old phone"), identity.ErrLastDevice)
	w.clock.Advance(time.Minute)
	_, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, u.code()}, round{noPass, good}, round{askCode, phone.code()})
	if err != nil {
		t.Error(err)
	}
}

func TestDevicesAreBounded(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	id := u.in()
	for i := range 7 {
		if err := w.a.Enroll(t.Context(), u.fresh(id), fmt.Sprintf("device %d", i), w.ask((&user{w: w}).enrol()[0])); err != nil {
			t.Fatal(err)
		}
		w.clock.Advance(time.Minute)
	}
	wantRefusal(t, w.a.Enroll(t.Context(), u.fresh(id), "one more", w.ask()), "8 devices")
}

// TestRemovedDeviceForgetsItsKeys: what a lost phone's codes opened ends with it.
func TestRemovedDeviceForgetsItsKeys(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	id := u.in()
	phone := &user{w: w, name: "alice"}
	if err := w.a.Enroll(t.Context(), u.fresh(id), "phone", w.ask(phone.enrol()[0])); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(time.Minute)
	at, _ := u.withKey()
	if _, err := w.login(at, round{askCode, phone.code()}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.login(from(at, "192.0.2.8"), round{askCode, u.code()}); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(time.Minute)
	if err := w.a.RemoveDevice(t.Context(), u.fresh(id), "phone"); err != nil {
		t.Fatal(err)
	}
	if w.remembers(at) || !w.remembers(from(at, "192.0.2.8")) {
		t.Error("remembered by the wrong device")
	}
}

func TestParallelEnrollsOneWins(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	id := u.in()
	first := u.fresh(id)
	w.clock.Advance(time.Minute)
	second := u.fresh(id)
	loser := w.ask(round{"…", func(p string) string {
		if err := w.a.Enroll(t.Context(), second, "phone", w.ask((&user{w: w}).enrol()[0])); err != nil {
			t.Error(err)
		}
		return identity.CodeAt(readSeed(t, p), w.clock.Now())
	}})
	mark := w.log.Mark()
	wantRefusal(t, w.a.Enroll(t.Context(), first, "tablet", loser), "changed meanwhile")
	w.wantLog(mark, "authenticator.enrolled", "authenticator.enrolled", "authenticator.enrolled not-applied")
	if info, err := w.a.User(t.Context(), "alice"); err != nil || len(info.Authenticators) != 2 || info.Authenticators[1].Name != "phone" {
		t.Errorf("%+v %v", info.Authenticators, err)
	}
}

func TestChangePassphrase(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	id := u.in()
	at, k := u.withKey()
	if _, err := w.login(at, round{askCode, u.code()}); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(time.Minute)
	w.wantNotices("key-added " + k.print)
	const ask = "Current entry passphrase: "
	mark := w.log.Mark()
	err := w.a.ChangePassphrase(t.Context(), u.fresh(id), w.ask(round{ask, "wrong"}, round{"Not accepted. " + ask, good},
		round{askChanged, good}, round{"Refused: it is the old one. New entry passphrase: ", "short"},
		round{"Refused: it has 5 characters, and 12 are needed. New entry passphrase: ", other}, round{"Repeat new entry passphrase: ", other}))
	if err != nil {
		t.Fatal(err)
	}
	w.wantLog(mark, "login.failed wrong-passphrase", "passphrase.changed")
	w.wantNotices("passphrase-changed")
	if w.remembers(at) {
		t.Error("a key outlived the passphrase it was remembered under")
	}
	if err := w.a.Check(t.Context(), id); err != nil {
		t.Errorf("the own connection: %v", err)
	}
	w.clock.Advance(time.Minute)
	if _, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, u.code()}, round{noPass, other}, round{askCode, u.codeAfter(30 * time.Second)}); err != nil {
		t.Error(err)
	}
	w.clock.Advance(time.Minute)

	mark = w.log.Mark()
	err = w.a.ChangePassphrase(t.Context(), u.fresh(id), w.ask(round{ask, "1"}, round{"…" + ask, "2"}, round{"…" + ask, "3"}))
	wantRefusal(t, err, "Nothing was changed")
	w.wantLog(mark, "login.failed wrong-passphrase", "login.failed wrong-passphrase", "login.failed wrong-passphrase")
	w.clock.Advance(time.Minute)
	wantErr(t, w.a.ChangePassphrase(t.Context(), u.fresh(id), w.ask(round{ask, ""})), identity.ErrAbandoned)
}

// TestWrongOldPassphrasesLockTheAccount: inside a connection, too, the code was
// right and the passphrase is being guessed.
func TestWrongOldPassphrasesLockTheAccount(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	id := u.in()
	for range 4 {
		_ = w.a.ChangePassphrase(t.Context(), u.fresh(id), w.ask(round{"…", "1"}, round{"…", "2"}, round{"…", "3"})) // each is refused
		w.clock.Advance(time.Minute)
	}
	if info, err := w.a.User(t.Context(), "alice"); err != nil || info.LockedUntil.IsZero() {
		t.Errorf("%+v %v", info, err)
	}
	_, err := w.prove(id, round{askCode, u.code()}, round{"This account is locked until 2026-03-02 12:05 UTC after many wrong passphrases: wait, or ask your lab's administrator. " + askCode, ""})
	wantErr(t, err, identity.ErrAbandoned)
}

func TestNewRecoveryCodes(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	id, old := u.in(), u.recovery
	mark := w.log.Mark()
	if err := w.a.NewRecovery(t.Context(), u.fresh(id), w.ask(u.enrol()[1])); err != nil {
		t.Fatal(err)
	}
	w.wantLog(mark, "recovery.created")
	w.wantNotices("recovery-codes-created")
	w.clock.Advance(time.Minute)
	if len(u.recovery) != 10 || u.recovery[0] == old[0] {
		t.Errorf("%q", u.recovery)
	}
	mark = w.log.Mark()
	_, err := w.login(attempt("alice"), append([]round{{askPass, good}, {askCode, old[1]}, {noPass, good}, {askCode, u.recovery[1]}}, u.enrol()...)...)
	if err != nil {
		t.Error(err)
	}
	w.wantLog(mark, "login.failed wrong-code", "recovery.used", "authenticator.enrolled", "recovery.created", "login.succeeded passphrase+recovery")
	w.wantNotices("recovery-code-used", "authenticator-added")
}

func TestOwnKeys(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	id := u.in()
	k := edKey(t)
	mark := w.log.Mark()
	print, _, err := w.a.AddOwnKey(t.Context(), u.fresh(id), k.line, w.ask(round{"…Signature: ", ""}))
	if err != nil || print != k.print {
		t.Fatal(print, err)
	}
	w.wantLog(mark, "key.added")
	if e := w.log.All()[mark]; e.Key != k.print || e.User != "alice" || e.Conn != "01CONN" || e.Actor != nil {
		t.Errorf("event %+v", e)
	}
	w.wantNotices("key-added " + k.print)
	w.clock.Advance(time.Minute)
	var refused *identity.KeyRefused
	for _, line := range []string{k.line, "no-touch-required " + edKey(t).line, "nonsense"} {
		if _, _, err := w.a.AddOwnKey(t.Context(), u.fresh(id), line, w.ask()); !errors.As(err, &refused) {
			t.Errorf("%q: %v", line, err)
		}
		w.clock.Advance(time.Minute)
	}
	at := attempt("alice")
	at.Key = k.pub
	if _, err := w.login(at, round{askCode, u.code()}); err != nil {
		t.Fatal(err)
	}
	mark = w.log.Mark()
	if err := w.a.RemoveOwnKey(t.Context(), id, k.print); err != nil {
		t.Fatal(err)
	}
	w.wantLog(mark, "key.removed")
	if e := w.log.All()[mark]; e.Source != "" || e.Key != k.print {
		t.Errorf("event %+v", e)
	}
	w.wantNotices("key-removed " + k.print)
	wantErr(t, w.a.RemoveOwnKey(t.Context(), id, k.print), identity.ErrNoKey)
	if w.remembers(at) {
		t.Error("a removed key is remembered")
	}
	wantErr(t, w.a.RemoveOwnKey(t.Context(), identity.Identity{}, k.print), identity.ErrRevoked)
}

// TestCommandsFailClosed: without a log nothing changes, and nobody is told.
func TestCommandsFailClosed(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	id := u.in()
	p := u.fresh(id)
	w.log.Break(errDisk)
	wantErr(t, w.a.NewRecovery(t.Context(), p, w.ask()), identity.ErrUnavailable)
	w.wantNotices()
	w.clock.Advance(time.Minute)
	_, err := w.prove(id, round{askCode, u.wrongCode()}, round{"…try again later. Press Enter to go back to entry: ", ""})
	wantErr(t, err, identity.ErrUnavailable)
	w.log.Break(nil)
	p = u.fresh(id)
	var once sync.Once
	w.log.Before(func(audit.Event) { once.Do(func() { _ = w.store.Close() }) })
	wantErr(t, w.a.NewRecovery(t.Context(), p, w.ask()), identity.ErrUnavailable)
	w.wantNotices()
	if _, err := w.a.Health(t.Context(), id); !errors.Is(err, identity.ErrUnavailable) {
		t.Error(err)
	}
}

func TestHealth(t *testing.T) {
	w := newWorldWith(t, func(o *identity.Options) { o.Config.Login.PassphraseAge = 90 * 24 * time.Hour })
	start := w.clock.Now()
	u := w.enrolled("alice")
	id, err := w.login(from(attempt("alice"), "::ffff:198.51.100.9"), round{askPass, good}, round{askCode, u.codeAfter(30 * time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.a.SetEnd(t.Context(), "alice", start.Add(240*time.Hour)); err != nil {
		t.Fatal(err)
	}
	h, err := w.a.Health(t.Context(), id)
	if err != nil || len(h.Devices) != 1 || len(h.LastLogins) != 2 {
		t.Fatalf("%+v %v", h, err)
	}
	now := w.clock.Now()
	if d := h.Devices[0]; d.Name != "app" || d.Drift != 30*time.Second || !d.Used.Equal(now) || !d.Created.Equal(start) {
		t.Errorf("%+v", d)
	}
	if h.RecoveryLeft != 10 || !h.PassphraseExpires.Equal(start.Add(90*24*time.Hour)) || !h.AccountEnds.Equal(start.Add(240*time.Hour)) ||
		!h.InactiveAfter.Equal(now.Add(180*24*time.Hour)) || !h.LockedUntil.IsZero() || !h.PassphraseSet.Equal(start) {
		t.Errorf("%+v", h)
	}
	want := []identity.LoginInfo{
		{At: now, Source: "198.51.100.9", Method: "passphrase+otp"}, {At: start, Source: "192.0.2.7", Method: "temporary+enrolment"},
	}
	if h.LastLogins[0] != want[0] || h.LastLogins[1] != want[1] {
		t.Errorf("%+v", h.LastLogins)
	}
	if _, err := w.a.Health(t.Context(), identity.Identity{}); !errors.Is(err, identity.ErrRevoked) {
		t.Error(err)
	}
}
