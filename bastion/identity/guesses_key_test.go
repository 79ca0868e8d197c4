package identity_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"entry/bastion/identity"
)

// TestStolenKey: ten wrong codes behind a key's signature suspend it, wherever they
// come from; its owner gets in by the passphrase and uses it again.
func TestStolenKey(t *testing.T) {
	for _, kind := range []string{"IPv4", "IPv6"} {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t)
			u := w.enrolled("alice")
			at, key := u.withKey()
			w.notices = nil
			if _, err := w.login(at, round{askCode, u.code()}); err != nil {
				t.Fatal(err)
			}
			w.clock.Advance(time.Minute)
			mark := w.log.Mark()
			w.guess(kind, at, good, u.wrongCode())
			wrong := 0
			for _, e := range w.log.All()[mark:] {
				if e.Reason == "wrong-code" && e.Key == key.print {
					wrong++
				}
			}
			if wrong != 10 {
				t.Errorf("%d codes were judged behind the key", wrong)
			}
			if n := count(w.log.Lines(mark), "login.locked key-suspended"); n != 1 {
				t.Errorf("%d events of the suspension", n)
			}
			w.wantNotices("key-suspended "+key.print, "codes-guessed") // neither hides the other
			info, err := w.a.User(t.Context(), "alice")
			if err != nil || info.Keys[0].Suspended.IsZero() || !info.CodesLockUntil.After(w.clock.Now()) {
				t.Errorf("%+v %v", info, err)
			}
			// Not even a right code opens anything with it now, nor does the remembered key.
			if w.a.KnowsKey(t.Context(), "alice", key.pub) || w.remembers(at) {
				t.Error("the key still opens something")
			}
			if id, err := w.login(from(at, "198.51.100.200"), round{askPass, "not the passphrase"}, round{askCode, u.code()}, round{noPass, ""}); err == nil {
				t.Error(id)
			}
			w.clock.Advance(time.Minute)
			id, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, u.code()})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(id.Warnings(), func(s string) bool { return strings.Contains(s, key.print+" is suspended since ") }) {
				t.Errorf("warnings %q", id.Warnings())
			}
			w.clock.Advance(time.Minute)
			if err := w.a.RestoreKey(t.Context(), u.fresh(id), "SHA256:other"); !errors.Is(err, identity.ErrNoKey) {
				t.Error(err)
			}
			w.clock.Advance(time.Minute)
			if err := w.a.RestoreKey(t.Context(), u.fresh(id), key.print); err != nil {
				t.Fatal(err)
			}
			w.wantNotices("key-restored " + key.print)
			w.clock.Advance(time.Minute)
			if _, err := w.login(at, round{askCode, u.code()}); err != nil {
				t.Errorf("with the key again: %v", err)
			}
			// Nine more don't suspend it.
			for i := range 9 {
				at := from(at, fmt.Sprintf("203.0.113.%d", i+1))
				_, err := w.login(at, round{askCode, u.wrongCode()}, round{"Not accepted. " + askCode, ""})
				wantErr(t, err, identity.ErrAbandoned)
			}
			if !w.a.KnowsKey(t.Context(), "alice", key.pub) {
				t.Error("nine suspend it")
			}
		})
	}
}

func count(all []string, one string) (n int) {
	for _, s := range all {
		if s == one {
			n++
		}
	}
	return n
}

// TestKeyIsRestoredByAnotherFactor: a connection that the key itself has opened
// can't.
func TestKeyIsRestoredByAnotherFactor(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	at, key := u.withKey()
	id, err := w.login(at, round{askCode, u.code()})
	if err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(time.Minute)
	p := u.fresh(id)
	w.guess("IPv4", at, good, u.wrongCode())
	wantRefusal(t, w.a.RestoreKey(t.Context(), p, key.print), "This connection was opened with that key: log in with your passphrase, or with another key, to use it again.")
	if w.a.KnowsKey(t.Context(), "alice", key.pub) {
		t.Error("in use")
	}
}

// TestRestoredKeyIsNotRemembered: a thief of the key may have been in a network where a
// code was given with it.
func TestRestoredKeyIsNotRemembered(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	at, key := u.withKey()
	if _, err := w.login(at, round{askCode, u.code()}); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(time.Minute)
	if !w.remembers(at) {
		t.Fatal("not remembered")
	}
	w.guess("IPv4", at, good, u.wrongCode())
	id := u.in()
	mark := w.log.Mark()
	if err := w.a.RestoreKey(t.Context(), u.fresh(id), key.print); err != nil {
		t.Fatal(err)
	}
	w.wantLog(mark, "key.forgotten", "user.changed")
	if e := w.log.All()[mark]; e.Key != key.print {
		t.Errorf("%+v", e)
	}
	if w.remembers(at) {
		t.Error("without a code at once")
	}
}
