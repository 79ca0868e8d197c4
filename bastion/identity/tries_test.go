package identity_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"entry/bastion/identity"
	"entry/e2e/testkit"
)

// TestTheLockIsReadWhenAnswersAreJudged: a dialogue that began before the lock, by whose
// end the account is locked, has nothing judged, right or wrong, and counts for nothing.
func TestTheLockIsReadWhenAnswersAreJudged(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	w.clock.Advance(time.Minute)
	var judged atomic.Int32
	// Each dialogue has its passphrase typed while there is no lock, and waits with its
	// code for the next one's end.
	var dialogue func(n int)
	said := map[int]string{}
	dialogue = func(n int) {
		typed := fmt.Sprintf("guess number %d", n)
		if n == 0 {
			typed = good
		}
		_, err := w.a.Login(t.Context(), from(attempt("alice"), fmt.Sprintf("203.0.113.%d", n+1)), identity.NewConnState(), &told{answers: func(prompt string) string {
			switch {
			case strings.HasSuffix(prompt, askCode):
				if n < 14 {
					dialogue(n + 1)
				} else {
					w.a.OnHash(func() { judged.Add(1) })
				}
				w.clock.Advance(30 * time.Second)
				return u.code()
			case prompt == askPass:
				return typed
			}
			said[n] = prompt
			return ""
		}})
		if err == nil {
			t.Errorf("dialogue %d is let in", n)
		}
	}
	mark := w.log.Mark()
	dialogue(0)
	if n := judged.Load(); n != 10 {
		t.Errorf("%d passphrases were judged", n)
	}
	for n := range 5 {
		if !strings.HasPrefix(said[n], "This account is locked until ") {
			t.Errorf("dialogue %d reads %q", n, said[n])
		}
	}
	locks := 0
	for _, e := range w.log.All()[mark:] {
		if e.Type == "login.locked" {
			locks++
		}
	}
	if info, err := w.a.User(t.Context(), "alice"); err != nil || locks != 1 || info.Failures != 0 || info.LockedUntil.IsZero() {
		t.Errorf("%d locks began, and the account has %d failures and is locked until %s; %v", locks, info.Failures, info.LockedUntil, err)
	}
}

// TestGuessesAtOnce: of any number of guesses behind right codes that are judged side by
// side at two servers on one database no more are judged than may be wrong, and of right
// ones among them none is taken for one.
func TestGuessesAtOnce(t *testing.T) {
	w := newWorld(t)
	w.enrolled("alice")
	servers := []*identity.Authenticator{w.a, w.authenticator(w.store)}
	var judged, refused, right atomic.Int32
	var all sync.WaitGroup
	for i := range 48 {
		all.Go(func() {
			verdict := identity.TryWrong
			if i%4 == 3 {
				verdict = identity.TryRight
			}
			switch free, err := servers[i%2].TryAccount(t.Context(), w.id("alice"), verdict); {
			case err != nil:
				t.Error(err)
			case !free:
				refused.Add(1)
			case verdict == identity.TryRight:
				right.Add(1)
			default:
				judged.Add(1)
			}
		})
	}
	testkit.Finishes(t, "the tries", all.Wait)
	if n := judged.Load(); n != 10 || refused.Load()+right.Load() != 38 {
		t.Errorf("%d wrong ones were judged, %d right ones, %d refused", n, right.Load(), refused.Load())
	}
	if info, err := w.a.User(t.Context(), "alice"); err != nil || info.LockedUntil.IsZero() {
		t.Errorf("%+v %v", info, err)
	}
}

// TestRightAnswersAtOnce: the passphrase that is asked inside connections is given rightly
// in many at a time, more than there may be wrong ones. All are right, nothing is noted, and
// nobody is warned; the wrong ones that may be are judged afterwards, and no more.
func TestRightAnswersAtOnce(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	at, _ := u.withKey()
	if _, err := w.login(at, round{askCode, u.code()}); err != nil {
		t.Fatal(err)
	}
	id, ok, err := w.a.Remembered(t.Context(), at, nil)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	other := w.authenticator(w.store)
	w.notices = nil
	before := w.log.Mark()
	var all sync.WaitGroup
	for i := range 24 {
		all.Go(func() {
			a := []*identity.Authenticator{w.a, other}[i%2]
			if err := a.Confirm(t.Context(), id, attempt(""), &told{answers: func(string) string { return good }}); err != nil {
				t.Error(err)
			}
		})
	}
	testkit.Finishes(t, "the answers", all.Wait)
	if n := w.log.Mark() - before; n != 0 {
		t.Errorf("noted: %+v", w.log.All()[before:])
	}
	w.wantNotices()
	var judged atomic.Int32
	w.a.OnHash(func() { judged.Add(1) })
	for range 12 {
		all.Go(func() {
			err := w.a.Confirm(t.Context(), id, attempt(""), &told{answers: func(string) string { return "a guess" }})
			wantErr(t, err, identity.ErrRefused)
		})
	}
	testkit.Finishes(t, "the guesses", all.Wait)
	if n := judged.Load(); n != 4 {
		t.Errorf("%d guesses were judged", n)
	}
	if len(w.notices) != 1 || w.notices[0].Kind != "passphrase-tried" {
		t.Errorf("notices: %+v", w.notices)
	}
}

// TestATryWithoutAVerdictWasWrong: what a process began and took with it counts as wrong
// once it could have ended, and holds nobody up after that.
func TestATryWithoutAVerdictWasWrong(t *testing.T) {
	w := newWorld(t)
	w.enrolled("alice")
	for range 10 {
		if free, err := w.a.TryAccount(t.Context(), w.id("alice"), identity.TryLost); err != nil || !free {
			t.Fatal(free, err)
		}
	}
	w.clock.Advance(2 * time.Minute)
	if free, err := w.a.TryAccount(t.Context(), w.id("alice"), identity.TryRight); err != nil || free {
		t.Error("one more was judged", err)
	}
	if info, err := w.a.User(t.Context(), "alice"); err != nil || info.LockedUntil.IsZero() {
		t.Errorf("%+v %v", info, err)
	}
}
