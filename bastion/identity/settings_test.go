package identity_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"entry/audit"
	"entry/bastion/identity"
)

func TestEnd(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	id := u.in()
	end := w.clock.Now().Add(time.Hour)
	ctx := audit.WithActor(t.Context(), audit.Actor{UID: 7, LoginUID: 8})
	mark := w.log.Mark()
	if err := w.a.SetEnd(ctx, "alice", end); err != nil {
		t.Fatal(err)
	}
	w.wantLog(mark, "user.changed")
	if e := w.log.All()[mark]; e.Actor == nil || e.Actor.LoginUID != 8 || !e.Until.Equal(end) || !strings.HasPrefix(e.Detail, "ends on ") {
		t.Errorf("event %+v", e)
	}
	w.wantNotices("end-changed ends on 2026-03-01 13:02 UTC")
	if err := w.a.Check(t.Context(), id); err != nil {
		t.Error(err)
	}
	w.clock.Advance(time.Hour)
	wantErr(t, w.a.Check(t.Context(), id), identity.ErrRevoked)
	_, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, u.code()},
		round{"This account ended on 2026-03-01 13:02 UTC: ask your lab's administrator. " + askPass, ""})
	wantErr(t, err, identity.ErrAbandoned)
	if err := w.a.SetEnd(ctx, "alice", time.Time{}); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(time.Minute)
	u.in()
	wantErr(t, w.a.SetEnd(ctx, "nobody", end), identity.ErrNoAccount)
}

func TestResetStep(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	w.clock.Advance(oneDay)
	u.in() // entry's clock was a day ahead
	w.clock.Advance(-oneDay)
	used := round{"Code already used, wait for the next one. " + askPass, ""}
	_, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, u.code()}, used)
	wantErr(t, err, identity.ErrAbandoned)
	mark := w.log.Mark()
	if err := w.a.ResetStep(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	w.wantLog(mark, "user.changed")
	// No code of the present comes back to life.
	_, err = w.login(attempt("alice"), round{askPass, good}, round{askCode, u.codeAfter(30 * time.Second)}, used)
	wantErr(t, err, identity.ErrAbandoned)
	w.clock.Advance(time.Minute)
	u.in()
	wantErr(t, w.a.ResetStep(t.Context(), "nobody"), identity.ErrNoAccount)
}

func TestSetPhone(t *testing.T) {
	w, g := texting(t, nil)
	var refused *identity.Refusal
	for _, n := range []string{"070", "46701234567", "+0701234567", "+4670123456x", "+46 70 123 45 67", phone + "\n", "+1234567890123456"} {
		if err := w.a.SetPhone(t.Context(), "alice", n, true); !errors.As(err, &refused) {
			t.Errorf("%q: %v", n, err)
		}
	}
	if err := w.a.SetPhone(t.Context(), "alice", "", true); !errors.As(err, &refused) {
		t.Errorf("codes to nowhere: %v", err)
	}
	id, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, g.code(t)})
	if err != nil {
		t.Fatal(err)
	}
	from := w.log.Mark()
	if err := w.a.SetPhone(t.Context(), "alice", "+4790000000", true); err != nil {
		t.Fatal(err)
	}
	w.settled()
	if got := w.log.Lines(from); !slices.Contains(got, "user.changed") {
		t.Errorf("%q", got)
	}
	if all := w.log.All(audit.UserChanged); all[len(all)-1].Detail != "number ending in 00: codes by SMS go there" {
		t.Errorf("told %q", all[len(all)-1].Detail)
	}
	wantErr(t, w.a.Check(t.Context(), id), identity.ErrRevoked)
	if _, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, g.code(t)}); err != nil || g.to[len(g.to)-1] != "+4790000000" {
		t.Errorf("%v, to %q", err, g.to)
	}
	w.settled()
	// Without a gateway nobody gets in, and no such account can be made.
	w.with = func(*identity.Options) {}
	w.a = w.authenticator(w.store)
	_, err = w.login(attempt("alice"), round{askPass, good}, round{askCode, "123456"}, round{noPass, ""})
	wantErr(t, err, identity.ErrAbandoned)
	if err := w.a.SetPhone(t.Context(), "alice", phone, true); !errors.As(err, &refused) {
		t.Errorf("%v", err)
	}
}
