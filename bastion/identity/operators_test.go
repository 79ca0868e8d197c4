package identity_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"entry/audit"
	"entry/bastion/identity"
)

func TestAddUser(t *testing.T) {
	w := newWorld(t)
	ctx := audit.WithActor(t.Context(), audit.Actor{UID: 1000, LoginUID: 1001, Name: "carol"})
	temp, err := w.a.AddUser(ctx, "alice")
	if err != nil {
		t.Fatal(err)
	}
	if len(temp) != 23 || strings.Count(temp, "-") != 3 || temp != strings.ToLower(temp) {
		t.Errorf("temporary passphrase %q", temp)
	}
	want := w.clock.Now().Add(240 * time.Hour)
	e := w.log.All()[0]
	if e.Type != audit.UserAdded || e.User != "alice" || e.Actor == nil || e.Actor.LoginUID != 1001 || !e.Until.Equal(want) {
		t.Errorf("event %+v", e)
	}
	if _, err := w.a.AddUser(ctx, "alice"); !errors.Is(err, identity.ErrExists) {
		t.Errorf("twice: %v", err)
	}
	for _, name := range []string{"", "Alice", "a b", "alice+home", "-x", strings.Repeat("a", 33), "root\x1b"} {
		if _, err := w.a.AddUser(ctx, name); err == nil {
			t.Errorf("%q was added", name)
		}
	}
	if n := w.log.Mark(); n != 1 {
		t.Errorf("%d events", n)
	}
	info, err := w.a.User(ctx, "alice")
	if err != nil || !reflect.DeepEqual(info, identity.UserInfo{Name: "alice", Created: w.clock.Now().Truncate(time.Microsecond), TemporaryExpires: want, InactiveAfter: w.clock.Now().Add(180 * 24 * time.Hour), Authenticators: []identity.DeviceInfo{}, Keys: []identity.Key{}}) {
		t.Errorf("%+v %v", info, err)
	}
	if _, err := w.a.User(ctx, "nobody"); !errors.Is(err, identity.ErrNoAccount) {
		t.Errorf("%v", err)
	}
	if all, err := w.a.Users(ctx); err != nil || len(all) != 1 || all[0].Name != "alice" {
		t.Errorf("%+v %v", all, err)
	}
}

func TestVerbsOnNobody(t *testing.T) {
	w := newWorld(t)
	for name, do := range map[string]func() error{
		"reset":            func() error { _, err := w.a.Reset(t.Context(), "x"); return err },
		"reset passphrase": func() error { _, err := w.a.ResetPassphrase(t.Context(), "x"); return err },
		"disable":          func() error { return w.a.Disable(t.Context(), "x") },
		"enable":           func() error { return w.a.Enable(t.Context(), "x") },
		"remove":           func() error { return w.a.Remove(t.Context(), "x") },
		"add key":          func() error { _, err := w.a.AddKey(t.Context(), "x", edKey(t).line); return err },
		"remove key":       func() error { return w.a.RemoveKey(t.Context(), "x", "SHA256:") },
	} {
		if err := do(); !errors.Is(err, identity.ErrNoAccount) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if w.log.Mark() != 0 {
		t.Errorf("events %v", w.log.Lines(0))
	}
}

func TestResetStartsOver(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	id, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, u.code()})
	if err != nil {
		t.Fatal(err)
	}
	temp, err := w.a.Reset(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	wantErr(t, w.a.Check(t.Context(), id), identity.ErrRevoked)
	w.clock.Advance(time.Minute)
	_, err = w.login(attempt("alice"), round{askPass, good}, round{askCode, u.code()}, round{noPass, good}, round{askCode, u.recovery[0]}, round{noPass, ""})
	wantErr(t, err, identity.ErrAbandoned)
	if _, err := w.login(attempt("alice"), u.firstLogin(temp)...); err != nil {
		t.Error(err)
	}
}

// TestRemovedNameComesBack: another account with the same name is another account.
func TestRemovedNameComesBack(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	id, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, u.code()})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.a.Remove(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	temp, err := w.a.AddUser(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	wantErr(t, w.a.Check(t.Context(), id), identity.ErrRevoked)
	if _, err := w.login(attempt("alice"), (&user{w: w}).firstLogin(temp)...); err != nil {
		t.Error(err)
	}
}

// TestOperatorWinsOverALogin: a change that loses the race for the generation
// reads again, and the log tells both tries.
func TestOperatorWinsOverALogin(t *testing.T) {
	w := newWorld(t)
	w.enrolled("alice")
	from := w.log.Mark()
	done := false
	w.log.Before(func(e audit.Event) {
		if e.Type == audit.UserDisabled && !done {
			done = true
			if _, err := w.a.AddKey(t.Context(), "alice", edKey(t).line); err != nil {
				t.Error(err)
			}
		}
	})
	if err := w.a.Disable(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	w.wantLog(from, "key.added", "user.disabled", "user.disabled not-applied", "user.disabled")
	if info, err := w.a.User(t.Context(), "alice"); err != nil || !info.Disabled || len(info.Keys) != 1 {
		t.Errorf("%+v %v", info, err)
	}
}

// An invitation that was taken back stays void when the account is enabled
// again: enabling used to bring its halves back to life.
func TestEnableRevivesNoInvitation(t *testing.T) {
	w := newWorld(t)
	mail, signal, _, err := w.a.Invite(t.Context(), "bob")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.a.Disable(t.Context(), "bob"); err != nil {
		t.Fatal(err)
	}
	if err := w.a.Enable(t.Context(), "bob"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.login(attempt("bob"), round{askPass, mail + signal}, round{codeBehind, "000000"}, round{"…", ""}); err == nil {
		t.Error("a revoked invitation logs in")
	}
	if u, err := w.a.User(t.Context(), "bob"); err != nil || !u.TemporaryExpires.IsZero() {
		t.Errorf("%+v, %v", u, err)
	}
	if _, err := w.a.Reset(t.Context(), "bob"); err != nil {
		t.Errorf("a new start: %v", err)
	}
}
