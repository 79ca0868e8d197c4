package identity_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"entry/bastion/identity"
)

// typedBy has somebody without any factor type passphrase and code, at each place once.
func (w *world) typedBy(name, passphrase, code string, places int) {
	w.t.Helper()
	for i := range places {
		_, err := w.login(from(attempt(name), fmt.Sprintf("203.0.113.%d", i+1)), round{askPass, passphrase}, round{askCode, code}, round{noPass, ""})
		wantErr(w.t, err, identity.ErrAbandoned)
	}
}

// blanks are what a passphrase may be that comes to nothing once it is prepared.
var blanks = []string{" ", "\u00a0", "\u2003 ", "\u00ad", "\u200b", "\x00"}

// TestStrangersCloseNothingInside: what is typed at logins, blank passphrases and those
// that nobody can look at included, neither counts inside a connection nor says that
// somebody has the passphrase.
func TestStrangersCloseNothingInside(t *testing.T) {
	for _, kind := range []string{"local", "local, full queue", "directory"} {
		t.Run(kind, func(t *testing.T) {
			var (
				w  *world
				u  *user
				id identity.Identity
			)
			if kind == "directory" {
				w, _, u = inRealm(t, nil)
				var err error
				if id, err = w.login(attempt("alice"), round{askPass, kept}, round{askCode, u.code()}); err != nil {
					t.Fatal(err)
				}
				w.clock.Advance(time.Minute)
			} else {
				w = newWorld(t)
				u = w.enrolled("alice")
				id = u.in()
			}
			w.notices = nil
			release := func() {}
			if kind == "local, full queue" {
				release = w.a.BlockHashes()
			}
			for _, typed := range blanks {
				w.typedBy("alice", typed, u.wrongCode(), 20)
			}
			for range 8 { // at her own network
				_, err := w.login(attempt("alice"), round{askPass, " "}, round{askCode, u.wrongCode()}, round{noPass, ""})
				wantErr(t, err, identity.ErrAbandoned)
			}
			w.settled()
			release()
			if info, err := w.a.User(t.Context(), "alice"); err != nil || info.WrongCodes != 0 || info.WrongInside != 0 || !info.CodesLockUntil.IsZero() {
				t.Errorf("%+v %v", info, err)
			}
			if h, err := w.a.Health(t.Context(), id); err != nil || h.WrongCodes != 0 {
				t.Errorf("%+v %v", h, err)
			}
			w.wantNotices()
			u.fresh(id)
		})
	}
}

// TestStrangersBesideATemporaryPassphrase: whoever hasn't the newcomer's, counts nothing
// behind it, where a directory will judge the next one too.
func TestStrangersBesideATemporaryPassphrase(t *testing.T) {
	w, _, u := inRealm(t, nil)
	if _, err := w.a.ResetPassphrase(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	w.notices = nil
	w.typedBy("alice", "a stranger's guess", u.wrongCode(), 20)
	w.settled()
	if info, err := w.a.User(t.Context(), "alice"); err != nil || info.WrongCodes != 0 || !info.CodesLockUntil.IsZero() {
		t.Errorf("%+v %v", info, err)
	}
	w.wantNotices()
}

// TestWrongCodesInside: ten wrong codes inside connections, beyond the network's own,
// stop what takes a code there, and nothing else; an operator sees and lifts it.
func TestWrongCodesInside(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	id := u.in()
	w.notices = nil
	mark := w.log.Mark()
	for range 15 {
		w.clock.Advance(10 * time.Minute)
		_, err := w.prove(id, round{askCode, u.wrongCode()}, round{"…", ""})
		wantErr(t, err, identity.ErrAbandoned)
	}
	said := "Right, but refused: after many wrong codes inside connections of yours no code opens anything there until " +
		w.clock.Now().Add(time.Hour).Format("2006-01-02 15:04 UTC") + ", unless a key opened the connection. If the codes were not yours, end what is open and tell your lab's administrator. "
	_, err := w.prove(id, round{askCode, u.code()}, round{said + askCode, ""})
	wantErr(t, err, identity.ErrAbandoned)
	if n := count(w.log.Lines(mark), "login.locked too-many-codes-guessed"); n != 1 {
		t.Errorf("%d events", n)
	}
	w.wantNotices("codes-guessed inside a connection")
	w.clock.Advance(time.Minute)
	if _, err := w.login(from(attempt("alice"), "198.51.100.9"), round{askPass, good}, round{askCode, u.code()}); err != nil {
		t.Errorf("a login: %v", err)
	}
	if info, err := w.a.User(t.Context(), "alice"); err != nil || info.WrongInside != 10 || info.InsideLockUntil.IsZero() || info.WrongCodes != 0 {
		t.Errorf("%+v %v", info, err)
	}
	did, err := w.a.Unlock(t.Context(), "alice", nil, false)
	if err != nil || !strings.HasPrefix(strings.Join(did, "; "), "let codes inside open connections count again, which 10 wrong ones had stopped until ") {
		t.Errorf("%q %v", did, err)
	}
	w.clock.Advance(time.Minute)
	u.fresh(id)
}

// TestChangeUnderTheLock: passwd judges no passphrase that a login wouldn't, however
// many are typed at once, and says what a login says.
func TestChangeUnderTheLock(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	at, _ := u.withKey()
	id, err := w.login(at, round{askCode, u.code()})
	if err != nil {
		t.Fatal(err)
	}
	var proofs []identity.Proof
	for range 4 {
		w.clock.Advance(31 * time.Second)
		p, err := w.prove(id, round{askCode, u.code()})
		if err != nil {
			t.Fatal(err)
		}
		proofs = append(proofs, p)
	}
	var judged atomic.Int32
	w.a.OnHash(func() { judged.Add(1) })
	var all sync.WaitGroup
	for i, p := range proofs {
		all.Go(func() {
			n := 0
			err := w.a.ChangePassphrase(t.Context(), p, &told{answers: func(string) string {
				n++
				return fmt.Sprintf("guess %d of %d", n, i)
			}})
			if err == nil || errors.Is(err, identity.ErrProof) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := judged.Load(); n != 10 {
		t.Errorf("%d passphrases were judged", n)
	}
	w.clock.Advance(2 * time.Minute)
	p := u.fresh(id)
	locked := "This account is locked until " + w.lockedUntil("alice") + " after many wrong passphrases: wait, or ask your lab's administrator."
	wantRefusal(t, w.a.ChangePassphrase(t.Context(), p, w.ask()), locked)
	w.clock.Advance(time.Minute)
	// The lock begins while the passphrase is being typed.
	if _, err := w.a.Unlock(t.Context(), "alice", nil, false); err != nil {
		t.Fatal(err)
	}
	err = w.a.ChangePassphrase(t.Context(), u.fresh(id), &told{answers: func(string) string {
		w.lock("alice")
		return good
	}})
	wantRefusal(t, err, "This account is locked until ")
}

// lock locks the account from now on, as wrong passphrases elsewhere do.
func (w *world) lock(name string) {
	w.t.Helper()
	err := w.store.CountFailures(w.t.Context(), w.id(name), w.clock.Now(), func(t []identity.Tally) bool {
		t[0].Locked = w.clock.Now().Add(24 * time.Hour)
		return true
	})
	if err != nil {
		w.t.Error(err)
	}
}

func (w *world) lockedUntil(name string) string {
	w.t.Helper()
	info, err := w.a.User(w.t.Context(), name)
	if err != nil || info.LockedUntil.IsZero() {
		w.t.Errorf("%+v %v", info, err)
	}
	return info.LockedUntil.Format("2006-01-02 15:04 UTC")
}

func (w *world) id(name string) string {
	w.t.Helper()
	acct, err := w.store.Account(w.t.Context(), name)
	if err != nil {
		w.t.Fatal(err)
	}
	return acct.ID
}

// TestAChangedPassphraseBeginsAnew: what was guessed at the one before says nothing of
// it.
func TestAChangedPassphraseBeginsAnew(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	id := u.in()
	next := "seven lanterns above the harbour"
	for range 3 {
		_ = w.a.ChangePassphrase(t.Context(), u.fresh(id), w.ask(round{"…", "1"}, round{"…", "2"}, round{"…", "3"})) // each is refused
		w.clock.Advance(time.Minute)
	}
	err := w.a.ChangePassphrase(t.Context(), u.fresh(id), w.ask(round{"Current entry passphrase: ", good}, round{askChanged, next}, round{"Repeat new entry passphrase: ", next}))
	if err != nil {
		t.Fatal(err)
	}
	if info, err := w.a.User(t.Context(), "alice"); err != nil || info.Failures != 0 {
		t.Errorf("%+v %v", info, err)
	}
}
