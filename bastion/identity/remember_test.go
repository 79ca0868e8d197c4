package identity_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"entry/audit"
	"entry/bastion/identity"
	"entry/configs"
)

// remembers tells whether at gets in without a word.
func (w *world) remembers(at identity.Attempt) bool {
	w.t.Helper()
	id, ok, err := w.a.Remembered(w.t.Context(), at, nil)
	if err != nil || ok != id.Valid() {
		w.t.Errorf("remembered: %v %v", ok, err)
	}
	return ok
}

// Who has a registered key without a code takes no turn of the account's: the pace of
// its logins is its owner's.
func TestOnlyTheRememberedTakeATurn(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	at, _ := u.withKey()
	turns := 0
	turn := func(context.Context) error { turns++; return nil }
	if _, ok, err := w.a.Remembered(t.Context(), at, turn); ok || err != nil || turns != 0 {
		t.Errorf("%t, %v, %d turns", ok, err, turns)
	}
	w.clock.Advance(time.Minute)
	if _, err := w.login(at, round{askCode, u.code()}); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := w.a.Remembered(t.Context(), at, turn); !ok || err != nil || turns != 1 {
		t.Errorf("%t, %v, %d turns", ok, err, turns)
	}
	late := errors.New("no turn")
	from := w.log.Mark()
	if _, ok, err := w.a.Remembered(t.Context(), at, func(context.Context) error { return late }); ok || !errors.Is(err, late) {
		t.Errorf("%t, %v", ok, err)
	}
	w.wantLog(from)
}

func TestRememberedKey(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	at, k := u.withKey()
	if w.remembers(at) {
		t.Error("a key was remembered before any code")
	}
	mark := w.log.Mark()
	first, err := w.login(at, round{askCode, u.code()})
	if err != nil {
		t.Fatal(err)
	}
	w.wantLog(mark, "key.proven", "key.remembered", "login.succeeded publickey+otp")
	until := first.At().Add(12 * time.Hour)
	if e := w.log.All()[mark+1]; e.Key != k.print || e.Until == nil || !e.Until.Equal(until) {
		t.Errorf("event %+v", e)
	}

	mark = w.log.Mark()
	w.clock.Advance(time.Hour)
	id, ok, err := w.a.Remembered(t.Context(), at, nil)
	if err != nil || !ok || id.Method() != "publickey+remembered" || id.Key() != k.print || id.User() != "alice" || !id.At().Equal(first.At()) {
		t.Fatalf("%+v %v %v", id, ok, err)
	}
	if err := w.a.Check(t.Context(), id); err != nil {
		t.Error(err)
	}
	w.wantLog(mark, "login.succeeded publickey+remembered")
	if e := w.log.All()[mark]; e.Key != k.print || e.Until == nil || !e.Until.Equal(until) {
		t.Errorf("event %+v", e)
	}
	all, err := w.a.RememberedKeys(t.Context(), id)
	want := identity.RememberedKey{
		Fingerprint: k.print, Network: netip.MustParsePrefix("192.0.2.7/32"), Since: first.At(), Until: until, Used: w.clock.Now(),
	}
	if err != nil || !slices.Equal(all, []identity.RememberedKey{want}) {
		t.Errorf("%+v %v", all, err)
	}

	// No login by it lengthens it, and it ends 12 h after the code, not earlier.
	w.clock.Advance(11*time.Hour - time.Microsecond)
	if !w.remembers(at) {
		t.Error("forgotten too early")
	}
	w.clock.Advance(time.Microsecond)
	if w.remembers(at) {
		t.Error("outlived the code by 12 h")
	}
	if all, err := w.a.RememberedKeys(t.Context(), id); err != nil || len(all) != 0 {
		t.Errorf("%+v %v", all, err)
	}
}

func TestWhatIsNotRemembered(t *testing.T) {
	for name, c := range map[string]struct {
		with func(*identity.Options)
		at   func(identity.Attempt) identity.Attempt
		want bool
	}{
		"the same address, another port": {at: func(a identity.Attempt) identity.Attempt { return from(a, "192.0.2.7") }, want: true},
		"the same address, mapped":       {at: func(a identity.Attempt) identity.Attempt { return from(a, "::ffff:192.0.2.7") }, want: true},
		"the neighbour":                  {at: func(a identity.Attempt) identity.Attempt { return from(a, "192.0.2.6") }},
		"the neighbour in a /24": {
			with: func(o *identity.Options) { o.Config.Login.Remembered.IPv4 = 24 },
			at:   func(a identity.Attempt) identity.Attempt { return from(a, "192.0.2.200") }, want: true,
		},
		"outside of the /24": {
			with: func(o *identity.Options) { o.Config.Login.Remembered.IPv4 = 24 },
			at:   func(a identity.Attempt) identity.Attempt { return from(a, "192.0.3.7") },
		},
		"no address":       {at: func(a identity.Attempt) identity.Attempt { a.Source = netip.AddrPort{}; return a }},
		"no key":           {at: func(a identity.Attempt) identity.Attempt { a.Key = nil; return a }},
		"another key":      {at: func(a identity.Attempt) identity.Attempt { a.Key = edKey(t).pub; return a }},
		"another user":     {at: func(a identity.Attempt) identity.Attempt { a.Name = "bob"; return a }},
		"no such user":     {at: func(a identity.Attempt) identity.Attempt { a.Name = "Alice; x"; return a }},
		"a shorter time":   {with: func(o *identity.Options) { o.Config.Login.Remembered.Lifetime = time.Minute }, at: func(a identity.Attempt) identity.Attempt { return a }},
		"switched off":     {with: func(o *identity.Options) { o.Config.Login.Remembered.Lifetime = 0 }, at: func(a identity.Attempt) identity.Attempt { return a }},
		"nothing modified": {at: func(a identity.Attempt) identity.Attempt { return a }, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if c.with != nil {
				w = newWorldWith(t, c.with)
			}
			u := w.enrolled("alice")
			w.enrolled("bob")
			at, _ := u.withKey()
			if _, err := w.login(at, round{askCode, u.code()}); err != nil {
				t.Fatal(err)
			}
			w.clock.Advance(time.Minute)
			mark := w.log.Mark()
			if got := w.remembers(c.at(at)); got != c.want {
				t.Errorf("remembered: %v", got)
			}
			if n := len(w.log.Lines(mark)); (n == 1) != c.want || n > 1 {
				t.Errorf("events %v", w.log.Lines(mark))
			}
		})
	}
}

func TestIPv6IsRememberedBySlash64(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	at, _ := u.withKey()
	if _, err := w.login(from(at, "2001:db8:1:2::7%eth0"), round{askCode, u.code()}); err != nil {
		t.Fatal(err)
	}
	if !w.remembers(from(at, "2001:db8:1:2:aaaa::1")) || w.remembers(from(at, "2001:db8:1:3::7")) || w.remembers(at) {
		t.Error("network")
	}
}

// TestStricterSettingsCountAtOnce: what was remembered under a longer lifetime or
// of a wider network is held to the settings of today.
func TestStricterSettingsCountAtOnce(t *testing.T) {
	w := newWorldWith(t, func(o *identity.Options) { o.Config.Login.Remembered.IPv4 = 24 })
	u := w.enrolled("alice")
	at, _ := u.withKey()
	id, err := w.login(at, round{askCode, u.code()})
	if err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(time.Hour)
	for name, with := range map[string]func(*identity.Options){
		"lifetime": func(o *identity.Options) {
			o.Config.Login.Remembered = configs.Remembered{Lifetime: time.Hour, IPv4: 24, IPv6: 64}
		},
		"network": func(o *identity.Options) { o.Config.Login.Remembered.IPv4 = 32 },
	} {
		w.with = with
		a := w.authenticator(w.store)
		if _, ok, err := a.Remembered(t.Context(), at, nil); ok || err != nil {
			t.Errorf("%s: %v %v", name, ok, err)
		}
	}
	if !w.remembers(at) {
		t.Error("under the old settings")
	}
	w.with = func(o *identity.Options) {
		o.Config.Login.Remembered = configs.Remembered{Lifetime: 2 * time.Hour, IPv4: 24, IPv6: 64}
	}
	if all, err := w.authenticator(w.store).RememberedKeys(t.Context(), id); err != nil || len(all) != 1 || !all[0].Until.Equal(id.At().Add(2*time.Hour)) {
		t.Errorf("%+v %v", all, err)
	}
}

func TestWhatEndsARememberedKey(t *testing.T) {
	for name, do := range map[string]func(w *world, u *user, id identity.Identity, print string) error{
		"forget":     func(w *world, _ *user, id identity.Identity, p string) error { return w.a.Forget(t.Context(), id, p) },
		"forget all": func(w *world, _ *user, id identity.Identity, _ string) error { return w.a.Forget(t.Context(), id, "") },
		"disable":    func(w *world, _ *user, _ identity.Identity, _ string) error { return w.a.Disable(t.Context(), "alice") },
		"remove key": func(w *world, _ *user, _ identity.Identity, p string) error {
			return w.a.RemoveKey(t.Context(), "alice", p)
		},
		"remove": func(w *world, _ *user, _ identity.Identity, _ string) error { return w.a.Remove(t.Context(), "alice") },
		"end": func(w *world, _ *user, _ identity.Identity, _ string) error {
			return w.a.SetEnd(t.Context(), "alice", w.clock.Now())
		},
		"clock go back": func(w *world, _ *user, _ identity.Identity, _ string) error { w.clock.Advance(-time.Hour); return nil },
		"reset": func(w *world, _ *user, _ identity.Identity, _ string) error {
			_, err := w.a.Reset(t.Context(), "alice")
			return err
		},
		"recovery": func(w *world, u *user, _ identity.Identity, _ string) error {
			_, err := w.login(attempt("alice"), append([]round{{askPass, good}, {askCode, u.recovery[0]}}, u.enrol()...)...)
			return err
		},
		"disable and enable": func(w *world, _ *user, _ identity.Identity, _ string) error {
			return errors.Join(w.a.Disable(t.Context(), "alice"), w.a.Enable(t.Context(), "alice"))
		},
		"key removed and added": func(w *world, _ *user, _ identity.Identity, p string) error {
			info, err := w.a.User(t.Context(), "alice")
			if err != nil {
				return err
			}
			err = w.a.RemoveKey(t.Context(), "alice", p)
			_, err2 := w.a.AddKey(t.Context(), "alice", info.Keys[0].Line)
			return errors.Join(err, err2)
		},
		"passphrase reset": func(w *world, u *user, _ identity.Identity, _ string) error {
			temp, err := w.a.ResetPassphrase(t.Context(), "alice")
			if err != nil {
				return err
			}
			next := "seven lanterns above the harbour"
			_, err = w.login(attempt("alice"), round{askPass, temp + u.code()}, round{askOwn, next}, round{"Repeat new entry passphrase: ", next})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			u := w.enrolled("alice")
			at, k := u.withKey()
			id, err := w.login(at, round{askCode, u.code()})
			if err != nil {
				t.Fatal(err)
			}
			w.clock.Advance(time.Minute)
			if !w.remembers(at) {
				t.Fatal("not remembered")
			}
			if err := do(w, u, id, k.print); err != nil {
				t.Fatal(err)
			}
			if w.remembers(at) {
				t.Error("still remembered")
			}
		})
	}
}

func TestForget(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	at, k := u.withKey()
	for _, addr := range []string{"192.0.2.7", "192.0.2.8"} {
		if _, err := w.login(from(at, addr), round{askCode, u.code()}); err != nil {
			t.Fatal(err)
		}
		w.clock.Advance(time.Minute)
	}
	id := u.in()
	wantErr(t, w.a.Forget(t.Context(), id, "SHA256:other"), identity.ErrNoKey)
	mark := w.log.Mark()
	if err := w.a.Forget(t.Context(), id, ""); err != nil {
		t.Fatal(err)
	}
	w.wantLog(mark, "key.forgotten")
	if e := w.log.All()[mark]; e.Key != k.print || e.User != "alice" {
		t.Errorf("event %+v", e)
	}
	wantErr(t, w.a.Forget(t.Context(), id, ""), identity.ErrNoKey)
	if w.remembers(from(at, "192.0.2.7")) || w.remembers(from(at, "192.0.2.8")) {
		t.Error("still remembered")
	}
	wantErr(t, w.a.Forget(t.Context(), identity.Identity{}, ""), identity.ErrRevoked)
	if _, err := w.a.RememberedKeys(t.Context(), identity.Identity{}); !errors.Is(err, identity.ErrRevoked) {
		t.Error(err)
	}
}

// TestRevocationDuringARememberedLogin: taken away while login.succeeded is
// written, or just before.
func TestRevocationDuringARememberedLogin(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	at, _ := u.withKey()
	if _, err := w.login(at, round{askCode, u.code()}); err != nil {
		t.Fatal(err)
	}
	mark := w.log.Mark()
	var once sync.Once
	w.log.Before(func(e audit.Event) {
		if e.Type == audit.LoginSucceeded {
			once.Do(func() {
				if err := w.a.Disable(t.Context(), "alice"); err != nil {
					t.Error(err)
				}
			})
		}
	})
	if w.remembers(at) {
		t.Error("got in")
	}
	w.wantLog(mark, "user.disabled", "login.succeeded publickey+remembered", "login.failed revoked")
}

func TestRememberedNeedsStoreAndLog(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	at, _ := u.withKey()
	w.log.Break(errDisk)
	_, err := w.login(at, round{askCode, u.code()}, round{"…", ""})
	wantErr(t, err, identity.ErrUnavailable)
	w.log.Break(nil)
	if w.remembers(at) {
		t.Error("remembered without a trace in the log")
	}
	w.clock.Advance(time.Minute)
	if _, err := w.login(at, round{askCode, u.code()}); err != nil {
		t.Fatal(err)
	}
	w.log.Break(errDisk)
	if _, ok, err := w.a.Remembered(t.Context(), at, nil); ok || !errors.Is(err, identity.ErrUnavailable) {
		t.Errorf("%v %v", ok, err)
	}
	w.log.Break(nil)
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := w.a.Remembered(t.Context(), at, nil); ok || !errors.Is(err, identity.ErrUnavailable) {
		t.Errorf("%v %v", ok, err)
	}
}
