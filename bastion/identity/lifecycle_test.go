package identity_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"entry/audit"
	"entry/bastion/identity"
)

const oneDay = 24 * time.Hour

func TestInactivity(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	at, k := u.withKey()
	w.clock.Advance(180*oneDay - 2*time.Minute)
	id := u.in()
	last := id.At()
	w.clock.Advance(180*oneDay - time.Minute)
	mark := w.log.Mark()
	gone := "This account expired on " + last.Add(180*oneDay).Format("2006-01-02 15:04 UTC") +
		", after 180 days without a login: ask your lab's administrator to enable it. "
	// Said only to its owner: a wrong code tells nothing.
	_, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, u.wrongCode()}, round{noPass, good}, round{askCode, u.code()},
		round{gone + askPass, ""})
	wantErr(t, err, identity.ErrAbandoned)
	w.wantLog(mark, "login.failed wrong-code", "login.failed account-inactive", "login.abandoned empty-answer")
	wantErr(t, w.a.Check(t.Context(), id), identity.ErrRevoked)
	if w.a.KnowsKey(t.Context(), "alice", k.pub) || w.remembers(at) {
		t.Error("a key of an expired account is known")
	}
	if info, err := w.a.User(t.Context(), "alice"); err != nil || !info.InactiveAfter.Equal(last.Add(180*oneDay)) {
		t.Errorf("%+v %v", info, err)
	}
	if err := w.a.Enable(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(time.Minute)
	u.in()

	// Never, where it is switched off.
	w.with = func(o *identity.Options) { o.Config.Login.Inactivity = 0 }
	w.a = w.authenticator(w.store)
	w.clock.Advance(9000 * oneDay)
	u.in()
}

func TestWarnings(t *testing.T) {
	w := newWorldWith(t, func(o *identity.Options) { o.Config.Login.PassphraseAge = 365 * oneDay })
	u := w.enrolled("alice")
	set := w.clock.Now().Add(-time.Minute)
	if got := u.in().Warnings(); got != nil {
		t.Errorf("%q", got)
	}
	last := w.clock.Now().Add(-time.Minute)
	w.clock.Advance(166*oneDay - time.Minute)
	want := []string{"Your account would have expired on " + last.Add(180*oneDay).Format("2006-01-02 15:04 UTC") + ": accounts do after 180 days without a login."}
	if got := u.in().Warnings(); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if got := u.in().Warnings(); got != nil {
		t.Errorf("after that login: %q", got)
	}
	w.clock.Advance(170 * oneDay)
	u.in()
	w.clock.Advance(16 * oneDay)
	end := w.clock.Now().Add(13 * oneDay)
	if err := w.a.SetEnd(t.Context(), "alice", end); err != nil {
		t.Fatal(err)
	}
	want = []string{
		"Your account ends on " + end.Format("2006-01-02 15:04 UTC") + ": ask your lab's administrator if you need it longer.",
		"Your passphrase expires on " + set.Add(365*oneDay).Format("2006-01-02 15:04 UTC") + ": change it with ssh entry passwd.",
	}
	if got := u.in().Warnings(); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	// A remembered key warns as well.
	at, _ := u.withKey()
	if _, err := w.login(at, round{askCode, u.code()}); err != nil {
		t.Fatal(err)
	}
	if id, ok, err := w.a.Remembered(t.Context(), at, nil); err != nil || !ok || !slices.Equal(id.Warnings(), want) {
		t.Errorf("%q %v %v", id.Warnings(), ok, err)
	}
}

func TestPassphraseAge(t *testing.T) {
	w := newWorldWith(t, func(o *identity.Options) { o.Config.Login.PassphraseAge = 90 * oneDay })
	u := w.enrolled("alice")
	at, k := u.withKey()
	w.clock.Advance(90 * oneDay)
	if w.a.KnowsKey(t.Context(), "alice", k.pub) {
		t.Error("a key stands in for an expired passphrase")
	}
	mark := w.log.Mark()
	_, err := w.login(at, round{askPass, "some other phrase entirely"}, round{askCode, u.code()},
		round{noPass, good}, round{askCode, u.codeAfter(30 * time.Second)}, round{askRenewed, ""})
	wantErr(t, err, identity.ErrAbandoned)
	w.clock.Advance(time.Minute)
	c := identity.NewConnState()
	id, err := w.loginOn(c, at, round{askPass, good + u.code()}, round{askRenewed, good},
		round{"Refused: it is the old one. New entry passphrase: ", other}, round{"Repeat new entry passphrase: ", other})
	if err != nil || id.Method() != "passphrase+otp" {
		t.Fatalf("%q %v", id.Method(), err)
	}
	select {
	case <-c.EnrolmentOpened():
	default:
		t.Error("the grace was not extended")
	}
	w.wantLog(mark, "login.failed wrong-passphrase", "login.abandoned empty-answer", "passphrase.changed", "login.succeeded passphrase+otp")
	w.wantNotices("key-added "+k.print, "passphrase-changed")
	w.clock.Advance(time.Minute)
	if _, err := w.login(at, round{askCode, u.code()}); err != nil {
		t.Errorf("with the key again: %v", err)
	}
}

func TestInvite(t *testing.T) {
	w := newWorld(t)
	ctx := audit.WithActor(t.Context(), audit.Actor{UID: 7, LoginUID: 8})
	mail, signal, until, err := w.a.Invite(ctx, "alice")
	if err != nil || len(mail) != 11 || len(signal) != 11 || !until.Equal(w.clock.Now().Add(240*time.Hour)) {
		t.Fatalf("%q %q %v %v", mail, signal, until, err)
	}
	w.wantLog(0, "user.invited")
	if e := w.log.All()[0]; e.User != "alice" || e.Actor.UID != 7 || !e.Until.Equal(until) {
		t.Errorf("event %+v", e)
	}
	w.wantNotices("invited until 2026-03-11 12:00 UTC")
	next := round{askOwn, ""}
	for half, say := range map[string]string{
		mail:          "That is the first half of a temporary passphrase: type both halves as one, the first one first.\n",
		signal:        "That is the second half of a temporary passphrase: type both halves as one, the first one first.\n",
		signal + mail: "Those are the two halves of a temporary passphrase the wrong way round: type the other one first.\n",
	} {
		_, err := w.login(attempt("alice"), round{askPass, half}, round{say + askPass, half}, round{askCode, "123456"}, round{noPass, ""})
		wantErr(t, err, identity.ErrAbandoned)
	}
	for _, whole := range []string{mail + signal, mail + "-" + signal, strings.ToUpper(mail + " " + signal)} {
		_, err := w.login(attempt("alice"), round{askPass, whole}, next)
		wantErr(t, err, identity.ErrAbandoned)
	}
	// Issued again: the first is worth nothing.
	mail2, signal2, _, err := w.a.Invite(ctx, "alice")
	if err != nil || mail2+signal2 == mail+signal {
		t.Fatal(err)
	}
	_, err = w.login(attempt("alice"), round{askPass, mail + signal}, round{codeBehind, "123456"}, round{noPass, mail2 + signal2}, next)
	wantErr(t, err, identity.ErrAbandoned)
	// Revoked.
	if err := w.a.Disable(ctx, "alice"); err != nil {
		t.Fatal(err)
	}
	_, err = w.login(attempt("alice"), round{askPass, mail2 + signal2}, round{codeBehind, ""}, round{backPass, ""})
	wantErr(t, err, identity.ErrAbandoned)
	_, _, _, err = w.a.Invite(ctx, "alice")
	wantRefusal(t, err, "enable it first")
	if err := w.a.Enable(ctx, "alice"); err != nil {
		t.Fatal(err)
	}
	// Taken back is taken back: the halves may be in wrong hands.
	_, err = w.login(attempt("alice"), round{askPass, mail2 + signal2}, round{codeBehind, "123456"}, round{noPass, ""})
	wantErr(t, err, identity.ErrAbandoned)
	mail3, signal3, _, err := w.a.Invite(ctx, "alice")
	if err != nil {
		t.Fatal(err)
	}
	u := &user{w: w, name: "alice"}
	if _, err := w.login(attempt("alice"), u.firstLogin(mail3+signal3)...); err != nil {
		t.Fatal(err)
	}
	mark := w.log.Mark()
	_, _, _, err = w.a.Invite(ctx, "alice")
	wantErr(t, err, identity.ErrExists)
	if _, _, _, err = w.a.Invite(ctx, "Not A Name"); err == nil {
		t.Error("a name that no account can have")
	}
	w.wantLog(mark)
}

func TestResetNeedsTwo(t *testing.T) {
	const unset = ^uint32(0)
	first := audit.Actor{UID: 0, LoginUID: 1001, Name: "root", LoginName: "carol"}
	for name, c := range map[string]struct {
		uid, login uint32
		after      time.Duration
		want       error
	}{
		"another operator":           {990, 1002, time.Hour, nil},
		"at the last moment":         {990, 1002, oneDay - time.Microsecond, nil},
		"too late":                   {990, 1002, oneDay, identity.ErrNothingPending},
		"before it was asked":        {990, 1002, -time.Hour, identity.ErrNothingPending},
		"the same":                   {0, 1001, time.Hour, identity.ErrSameOperator},
		"the same under another uid": {990, 1001, time.Hour, identity.ErrSameOperator},
		"another login, root too":    {0, 1002, time.Hour, nil}, // by sudo, as the first
		"nobody's login":             {990, unset, time.Hour, identity.ErrSameOperator},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorldWith(t, func(o *identity.Options) { o.Config.Operators.ResetNeedsTwo = true })
			u := w.enrolled("alice")
			id := u.in()
			mark := w.log.Mark()
			temp, err := w.a.Reset(audit.WithActor(t.Context(), first), "alice")
			wantErr(t, err, identity.ErrNeedsSecond)
			if temp != "" {
				t.Error("a passphrase came at once")
			}
			asked := w.clock.Now()
			w.wantLog(mark, "user.reset-requested")
			if e := w.log.All()[mark]; e.Actor == nil || *e.Actor != first || !e.Until.Equal(asked.Add(oneDay)) {
				t.Errorf("event %+v", e)
			}
			if info, err := w.a.User(t.Context(), "alice"); err != nil || info.PendingReset == nil || info.PendingReset.By != (audit.Actor{UID: 0, LoginUID: 1001, Name: "root"}) {
				t.Errorf("%+v %v", info, err)
			}
			if err := w.a.Check(t.Context(), id); err != nil {
				t.Errorf("asked for, it already revokes: %v", err)
			}
			w.clock.Advance(c.after)
			confirm := func() (string, error) {
				return w.a.ConfirmReset(audit.WithActor(t.Context(), audit.Actor{UID: c.uid, LoginUID: c.login, Name: "entry", LoginName: "dave"}), "alice")
			}
			mark = w.log.Mark()
			temp, err = confirm()
			if c.want != nil {
				wantErr(t, err, c.want)
				w.wantLog(mark)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			w.wantLog(mark, "user.reset")
			w.wantNotices("reset passphrase, authenticators and recovery codes")
			wantErr(t, w.a.Check(t.Context(), id), identity.ErrRevoked)
			if _, err := w.login(attempt("alice"), u.firstLogin(temp)...); err != nil {
				t.Error(err)
			}
			_, err = confirm()
			wantErr(t, err, identity.ErrNothingPending)
		})
	}
}

func TestResetNeedsTwoKnownOperators(t *testing.T) {
	w := newWorldWith(t, func(o *identity.Options) { o.Config.Operators.ResetNeedsTwo = true })
	u := w.enrolled("alice")
	mark := w.log.Mark()
	for _, ctx := range []context.Context{t.Context(), audit.WithActor(t.Context(), audit.Actor{UID: 0, LoginUID: ^uint32(0)})} {
		_, err := w.a.Reset(ctx, "alice")
		wantErr(t, err, identity.ErrSameOperator)
	}
	w.wantLog(mark)
	// What is confirmed is what was asked for: the passphrase alone.
	one, two := audit.Actor{UID: 0, LoginUID: 1001, LoginName: "carol"}, audit.Actor{UID: 990, LoginUID: 1002, LoginName: "dave"}
	_, err := w.a.ResetPassphrase(audit.WithActor(t.Context(), one), "alice")
	wantErr(t, err, identity.ErrNeedsSecond)
	// Somebody asks for more while it is being confirmed.
	done := false
	w.log.Before(func(e audit.Event) {
		if e.Type == audit.UserReset && !done {
			done = true
			if _, err := w.a.Reset(audit.WithActor(t.Context(), one), "alice"); !errors.Is(err, identity.ErrNeedsSecond) {
				t.Error(err)
			}
		}
	})
	_, err = w.a.ConfirmReset(audit.WithActor(t.Context(), two), "alice")
	wantErr(t, err, identity.ErrChanged)
	if _, err := w.a.ResetPassphrase(audit.WithActor(t.Context(), one), "alice"); !errors.Is(err, identity.ErrNeedsSecond) {
		t.Fatal(err)
	}
	temp, err := w.a.ConfirmReset(audit.WithActor(t.Context(), two), "alice")
	if err != nil {
		t.Fatal(err)
	}
	id, err := w.login(attempt("alice"), round{askPass, temp + u.code()}, round{askOwn, other}, round{"Repeat new entry passphrase: ", other})
	if err != nil || id.Method() != "temporary+otp" {
		t.Errorf("%q %v", id.Method(), err)
	}
	_, err = w.a.ConfirmReset(audit.WithActor(t.Context(), two), "nobody")
	wantErr(t, err, identity.ErrNoAccount)
}
