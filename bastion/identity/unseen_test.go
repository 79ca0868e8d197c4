package identity_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"entry/audit"
	"entry/bastion/identity"
)

// refused shows right answers from a new network, which open nothing.
func (w *world) refused(u *user, passphrase, place string) {
	w.t.Helper()
	_, err := w.login(from(attempt(u.name), place), round{askPass, passphrase}, round{askCode, u.code()}, round{"Right, but refused: after many wrong codes behind your passphrase…", ""})
	wantErr(w.t, err, identity.ErrAbandoned)
	w.clock.Advance(time.Minute)
}

// TestCountsAddUp: wrong codes whose passphrase was looked at and those that only memory
// has are one sum, which outlives the process and is every other one's.
func TestCountsAddUp(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	w.notices = nil
	w.typedBy("alice", good, u.wrongCode(), 7)
	w.settled()
	release := w.a.BlockHashes()
	w.typedBy("alice", good, u.wrongCode(), 8)
	w.settled()
	release()
	mark := w.log.Mark()
	w.refused(u, good, "198.51.100.9")
	if n := count(w.log.Lines(mark), "login.locked too-many-codes-guessed"); n != 1 {
		t.Errorf("%d events", n)
	}
	// What tells of them doesn't say that they came from where their victim is now.
	for _, e := range w.log.All(audit.LoginLocked) {
		if e.Source != "" || e.Conn != "" || e.Detail == "" {
			t.Errorf("%+v", e)
		}
	}
	if len(w.notices) != 1 || w.notices[0].Source != "" {
		t.Errorf("%+v", w.notices)
	}
	w.wantNotices("codes-guessed earlier, from addresses that aren't known")
	if info, err := w.a.User(t.Context(), "alice"); err != nil || info.WrongCodes != 15 || info.WrongUnseen != 0 || info.CodesLockUntil.IsZero() {
		t.Errorf("%+v %v", info, err)
	}
	w.a = w.authenticator(w.store)
	w.refused(u, good, "198.51.100.10")
}

// TestABeginningClosesNothing: behind a passphrase that entry keeps, nothing counts that
// only begins like it, so no stranger closes it by knowing some of it; another spelling of
// the whole does.
func TestABeginningClosesNothing(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	w.notices = nil
	release := w.a.BlockHashes()
	for _, typed := range []string{strings.ToUpper(good), good[:7], good[:8] + " and so on", good + "s"} {
		w.typedBy("alice", typed, u.wrongCode(), 20)
	}
	for range 9 { // from home as well
		_, err := w.login(attempt("alice"), round{askPass, good[:len(good)-1]}, round{askCode, u.wrongCode()}, round{noPass, ""})
		wantErr(t, err, identity.ErrAbandoned)
		w.clock.Advance(10 * time.Minute)
	}
	w.settled()
	release()
	if _, err := w.login(from(attempt("alice"), "198.51.100.9"), round{askPass, good}, round{askCode, u.code()}); err != nil {
		t.Errorf("the owner elsewhere: %v", err)
	}
	w.wantNotices()
	w.clock.Advance(time.Minute)
	release = w.a.BlockHashes()
	for i, space := range []string{" ", "\u00a0", "\u2003", "\u3000", " ", "\u2009", "\u202f", "\u205f", " ", "\u2000"} {
		_, err := w.login(from(attempt("alice"), fmt.Sprintf("203.0.113.%d", i+1)), round{askPass, strings.ReplaceAll(good, " ", space)}, round{askCode, u.wrongCode()}, round{noPass, ""})
		wantErr(t, err, identity.ErrAbandoned)
	}
	w.settled()
	release()
	w.refused(u, good, "198.51.100.10")
}

// TestATemporaryPassphraseIsOne: however its groups are parted, beside an authenticator
// that a reset has left.
func TestATemporaryPassphraseIsOne(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	temp, err := w.a.ResetPassphrase(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	release := w.a.BlockHashes()
	for i := range 10 {
		typed := strings.Replace(strings.ReplaceAll(temp, "-", ""), temp[:1], temp[:1]+strings.Repeat(" ", i+1), 1)
		_, err := w.login(from(attempt("alice"), fmt.Sprintf("203.0.113.%d", i+1)), round{askPass, typed}, round{"…" + askCode, u.wrongCode()}, round{noPass, ""})
		wantErr(t, err, identity.ErrAbandoned)
	}
	w.settled()
	release()
	_, err = w.login(from(attempt("alice"), "198.51.100.9"), round{askPass, temp}, round{"…" + askCode, u.code()}, round{"Right, but refused…", ""})
	wantErr(t, err, identity.ErrAbandoned)
}

// TestCarriedAsSoonAsItIsLookedAt: the first wrong code whose passphrase has its turn
// takes along what came before it without one.
func TestCarriedAsSoonAsItIsLookedAt(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	release := w.a.BlockHashes()
	w.typedBy("alice", good, u.wrongCode(), 9)
	w.typedBy("alice", "a stranger's guess", u.wrongCode(), 5)
	w.settled()
	release()
	w.typedBy("alice", "a stranger's guess", u.wrongCode(), 1)
	w.settled()
	if info, err := w.a.User(t.Context(), "alice"); err != nil || info.WrongCodes != 0 || info.WrongUnseen != 14 {
		t.Errorf("%+v %v", info, err)
	}
	w.typedBy("alice", good, u.wrongCode(), 1)
	w.settled()
	if info, err := w.a.User(t.Context(), "alice"); err != nil || info.WrongCodes != 10 || info.WrongUnseen != 5 || info.CodesLockUntil.IsZero() {
		t.Errorf("%+v %v", info, err)
	}
	w.a = w.authenticator(w.store)
	w.refused(u, good, "198.51.100.9")
}

// TestDirectoryCountsAddUp: what came behind a directory's passphrase is every process's
// once it was right, and nobody is told of it who doesn't show it.
func TestDirectoryCountsAddUp(t *testing.T) {
	w, _, u := inRealm(t, nil)
	w.notices = nil
	w.typedBy("alice", kept, u.wrongCode(), 12)
	w.settled()
	w.wantNotices()
	w.refused(u, kept, "198.51.100.9")
	w.wantNotices("codes-guessed earlier, from addresses that aren't known")
	w.a = w.authenticator(w.store)
	w.refused(u, kept, "198.51.100.10")
	if did, err := w.a.Unlock(t.Context(), "alice", nil, false); err != nil || len(did) != 0 {
		t.Errorf("%q %v", did, err)
	}
	if _, err := w.login(from(attempt("alice"), "198.51.100.11"), round{askPass, kept}, round{askCode, u.code()}); err != nil {
		t.Errorf("after an operator has forgiven them: %v", err)
	}
}

// TestForgivenAtEveryServer: what an operator forgives at one process is forgotten by the
// others' memories, too; what comes after that counts there.
func TestForgivenAtEveryServer(t *testing.T) {
	for _, passphrase := range []string{good, kept} {
		t.Run(passphrase, func(t *testing.T) {
			w := newWorld(t)
			u := w.enrolled("alice")
			if passphrase == kept { // a directory's: it is never looked at behind a wrong code
				w, _, u = inRealm(t, nil)
			}
			here, elsewhere := w.a, w.authenticator(w.store)
			guess := func() {
				t.Helper()
				w.a = elsewhere
				release := w.a.BlockHashes()
				w.typedBy("alice", passphrase, u.wrongCode(), 10)
				w.settled()
				release()
			}
			unseen := func(want int) {
				t.Helper()
				if info, err := w.a.User(t.Context(), "alice"); err != nil || info.WrongUnseen != want {
					t.Errorf("%d wrong codes, not %d; %v", info.WrongUnseen, want, err)
				}
			}
			guess()
			unseen(10)
			if _, err := here.Unlock(t.Context(), "alice", nil, false); err != nil {
				t.Fatal(err)
			}
			unseen(0)
			if _, err := w.login(from(attempt("alice"), "198.51.100.9"), round{askPass, passphrase}, round{askCode, u.code()}); err != nil {
				t.Errorf("after an operator has forgiven them at another server: %v", err)
			}
			w.clock.Advance(time.Hour)
			guess()
			unseen(10)
			w.refused(u, passphrase, "198.51.100.10")
		})
	}
}

// TestWhatIsNoCode: a passphrase typed at the question for a code, as clients do that
// answer every prompt with it, is no guess at a code: nothing closes, whatever was
// proven before it. It reads and counts for the source as any wrong answer.
func TestWhatIsNoCode(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	at, key := u.withKey()
	w.notices = nil
	var seen [2][]string
	for i, name := range []string{"alice", "nobody"} {
		for n, typed := range slices.Repeat([]string{good, "12345", "1234567", "no code", "a", strings.Repeat("1", 100)}, 5) {
			s := &told{answers: func(p string) string {
				if strings.HasSuffix(p, askPass) {
					return good
				}
				return typed
			}}
			_, err := w.a.Login(t.Context(), from(attempt(name), fmt.Sprintf("203.0.113.%d", n+1)), identity.NewConnState(), s)
			wantErr(t, err, identity.ErrExhausted)
			seen[i] = append(seen[i], s.seen...)
			w.settled()
		}
	}
	if !slices.Equal(seen[0], seen[1]) {
		t.Error("a known name is answered another way")
	}
	for n := range 30 {
		_, err := w.login(from(at, fmt.Sprintf("203.0.114.%d", n+1)), round{askCode, good}, round{"Not accepted. " + askCode, ""})
		wantErr(t, err, identity.ErrAbandoned)
	}
	if info, err := w.a.User(t.Context(), "alice"); err != nil || info.WrongCodes != 0 || info.WrongUnseen != 0 || !w.a.KnowsKey(t.Context(), "alice", key.pub) {
		t.Errorf("%+v %v", info, err)
	}
	w.wantNotices()
	if _, err := w.login(from(attempt("alice"), "198.51.100.9"), round{askPass, good}, round{askCode, u.code()}); err != nil {
		t.Error(err)
	}
	// Nine from one source lock the name there, as always.
	w.fail("alice", from(attempt(""), "198.51.100.77").Source, "no code", 9)
	_, err := w.login(from(attempt("alice"), "198.51.100.77"), round{askPass, good}, round{askCode, "no code"}, round{fmt.Sprintf(lockedText, "30 minutes"), ""})
	wantErr(t, err, identity.ErrLocked)
}

// TestARecoveryListAtADirectory: all of a list together have two passphrases a day
// judged where they count against their user.
func TestARecoveryListAtADirectory(t *testing.T) {
	w, dir, u := inRealm(t, nil)
	for i, code := range slices.Repeat(u.recovery, 3) {
		_, err := w.login(from(attempt("alice"), fmt.Sprintf("203.0.113.%d", i+1)), round{askPass, "a thief's guess"}, round{askCode, code}, round{noPass, ""})
		wantErr(t, err, identity.ErrAbandoned)
	}
	w.settled()
	if n := dir.times(); n != 2 {
		t.Errorf("%d passphrases were judged", n)
	}
	if _, err := w.login(attempt("alice"), round{askPass, kept}, round{askCode, u.code()}); err != nil {
		t.Errorf("the owner: %v", err)
	}
}

// TestARecoveryCodeLocksNothing: whoever has found one of the list has three guesses at
// the passphrase a day with it, and neither locks its owner out nor takes the rest of
// the list away.
func TestARecoveryCodeLocksNothing(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	w.notices = nil
	for day := range 3 {
		w.typedBy("alice", "a thief's guess", u.recovery[0], 20)
		w.settled()
		if info, err := w.a.User(t.Context(), "alice"); err != nil || !info.LockedUntil.IsZero() || info.Failures != 0 || info.WrongCodes != 0 || info.RecoveryLeft != 10 {
			t.Errorf("day %d: %+v %v", day, info, err)
		}
		w.wantNotices("recovery-code-tried")
		if _, err := w.login(from(attempt("alice"), "198.51.100.9"), round{askPass, good}, round{askCode, u.code()}); err != nil {
			t.Errorf("day %d, the owner: %v", day, err)
		}
		w.typedBy("alice", good, u.recovery[0], 1) // good for nothing today
		w.clock.Advance(24 * time.Hour)
	}
	w.wantNotices()
	w.typedBy("alice", "a thief's guess", u.recovery[0], 1)
	w.wantNotices("recovery-code-tried")
	w.typedBy("alice", "a thief's guess", u.recovery[0], 19)
	if info, err := w.a.User(t.Context(), "alice"); err != nil || info.WrongRecovery != 12 {
		t.Errorf("%+v %v", info, err)
	}
	id := u.in()
	if h, err := w.a.Health(t.Context(), id); err != nil || h.WrongRecovery != 12 || !strings.Contains(strings.Join(id.Warnings(), "\n"), "12 wrong passphrases came with right recovery codes of yours, the first on 2026-03-01 ") {
		t.Errorf("%+v %v %q", h, err, id.Warnings())
	}
	if did, err := w.a.Unlock(t.Context(), "alice", nil, false); err != nil || len(did) != 1 || did[0] != "forgot 12 wrong passphrases in front of right recovery codes" {
		t.Errorf("%q %v", did, err)
	}
	if warned := u.in().Warnings(); len(warned) != 0 {
		t.Errorf("%q", warned)
	}
	if _, err := w.login(attempt("alice"), append([]round{{askPass, "a typing error"}, {askCode, u.recovery[1]}, {noPass, good}, {askCode, u.recovery[1]}}, u.enrol()...)...); err != nil {
		t.Errorf("another one of the list: %v", err)
	}
}
