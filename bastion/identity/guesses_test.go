package identity_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"entry/bastion/identity"
)

// thieves are where the codes of a thief come from: 60 addresses, or as many /64s of
// one IPv6 /48.
func thieves(kind string, i int) netip.AddrPort {
	if kind == "IPv6" {
		return netip.MustParseAddrPort(fmt.Sprintf("[2001:db8:7:%x::1]:4000", i))
	}
	return netip.MustParseAddrPort(fmt.Sprintf("198.51.100.%d:4000", i+1))
}

// guess lets a thief of the first factor try 540 wrong codes from 60 places, nine at
// each. It returns every prompt that was seen.
func (w *world) guess(kind string, at identity.Attempt, passphrase, wrong string) (seen []string) {
	w.t.Helper()
	for i := range 60 {
		at.Source = thieves(kind, i)
		for range 3 {
			s := &told{answers: func(p string) string {
				if strings.HasSuffix(p, askPass) {
					return passphrase
				}
				return wrong
			}}
			if _, err := w.a.Login(w.t.Context(), at, identity.NewConnState(), s); err == nil {
				w.t.Fatal("the thief is in")
			}
			seen = append(seen, s.seen...)
		}
		w.settled()
	}
	return seen
}

// told answers every prompt by a function.
type told struct {
	answers func(prompt string) string
	seen    []string
}

func (o *told) Ask(_ context.Context, prompt string, _ bool) (string, error) {
	o.seen = append(o.seen, prompt)
	return o.answers(prompt), nil
}

// TestStolenPassphrase: what a thief of the passphrase sees is what everybody sees
// who has a wrong one, whatever is counted; right answers are told, and only they.
// The owner gets in from a network that is known, or by a key.
func TestStolenPassphrase(t *testing.T) {
	for _, kind := range []string{"IPv4", "IPv6"} {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t)
			u := w.enrolled("alice")
			at, _ := u.withKey()
			w.notices = nil
			mark := w.log.Mark()
			seen := w.guess(kind, attempt("alice"), good, u.wrongCode())
			if other := w.guess(kind, attempt("nobody"), good, u.wrongCode()); !slices.Equal(seen, other) {
				t.Error("the thief of a passphrase sees something else than who guesses at nobody's")
			}
			if n := count(w.log.Lines(mark), "login.locked too-many-codes-guessed"); n != 1 {
				t.Errorf("%d events", n)
			}
			w.wantNotices("codes-guessed")
			info, err := w.a.User(t.Context(), "alice")
			if err != nil || info.WrongCodes != 10 || !info.CodesLockUntil.Equal(w.clock.Now().Add(time.Hour)) {
				t.Errorf("%+v %v", info, err)
			}
			// The right code is told that there was a limit, and is spent.
			stranger := from(attempt("alice"), "203.0.113.77")
			said := "Right, but refused: after many wrong codes behind your passphrase it opens nothing from here until " +
				w.clock.Now().Add(time.Hour).Format("2006-01-02 15:04 UTC") + ". Log in with a key, or from a network where you did before; if the codes were not yours, change your passphrase there. "
			_, err = w.login(stranger, round{askPass, good}, round{askCode, u.code()},
				round{said + askPass, "not the passphrase"}, round{askCode, u.codeAfter(30 * time.Second)}, round{noPass, ""})
			wantErr(t, err, identity.ErrAbandoned)
			w.clock.Advance(time.Minute)
			owner, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, u.code()})
			if err != nil {
				t.Errorf("the owner from a known network: %v", err)
			}
			if h, err := w.a.Health(t.Context(), owner); err != nil || h.WrongCodes != 10 || h.WrongSince.IsZero() || h.CodesLockUntil.IsZero() {
				t.Errorf("the owner's health: %+v %v", h, err)
			}
			if said := strings.Join(owner.Warnings(), "\n"); !strings.HasPrefix(said, "10 wrong codes came behind your right passphrase since ") ||
				!strings.Contains(said, "If you mistyped them, or your phone's clock is wrong (set it to automatic), that is all. If not, somebody has your passphrase: change it with ssh entry passwd, and tell ") {
				t.Errorf("the owner is told %q", said)
			}
			w.clock.Advance(time.Minute)
			at.Source = stranger.Source
			if _, err := w.login(at, round{askCode, u.code()}); err != nil {
				t.Errorf("the owner by a key: %v", err)
			}
			// After the pause there is one more, and then none again for an hour.
			w.clock.Advance(time.Hour)
			one := from(attempt("alice"), "203.0.113.78")
			for range 2 {
				_, err = w.login(one, round{askPass, good}, round{askCode, u.wrongCode()}, round{noPass, ""})
				wantErr(t, err, identity.ErrAbandoned)
				w.settled()
			}
			if info, err = w.a.User(t.Context(), "alice"); err != nil || info.WrongCodes != 11 {
				t.Errorf("%+v %v", info, err)
			}
			if err := w.a.Enable(t.Context(), "alice"); err != nil {
				t.Fatal(err)
			}
			if _, err := w.login(one, round{askPass, good}, round{askCode, u.code()}); err != nil {
				t.Errorf("after the operator's enable: %v", err)
			}
		})
	}
}

// TestCodesInAMonth: whatever lies between them, there are a hundred in 30 days; a
// login by a remembered key ends no row.
func TestCodesInAMonth(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	at, key := u.withKey()
	if _, err := w.login(at, round{askCode, u.code()}); err != nil {
		t.Fatal(err)
	}
	n := 0
	wrong := func(many int) {
		t.Helper()
		for range many {
			n++
			_, err := w.login(from(at, fmt.Sprintf("203.0.%d.%d", n/200, n%200+1)), round{askCode, u.wrongCode()}, round{"…", ""})
			wantErr(t, err, identity.ErrAbandoned)
		}
	}
	wrong(9)
	w.clock.Advance(time.Minute)
	if !w.remembers(at) {
		t.Fatal("not remembered")
	}
	wrong(1)
	if w.a.KnowsKey(t.Context(), "alice", key.pub) {
		t.Fatal("a remembered login began the row anew")
	}
	again := func() error {
		w.clock.Advance(time.Hour)
		id := u.in()
		return w.a.RestoreKey(t.Context(), u.fresh(id), key.print)
	}
	for range 9 {
		if err := again(); err != nil {
			t.Fatal(err)
		}
		wrong(10)
	}
	var no *identity.Refusal
	if err := again(); !errors.As(err, &no) || !strings.Contains(no.Text, "100 wrong codes came behind this key within 30 days") {
		t.Errorf("%v", err)
	}
	w.clock.Advance(30 * 24 * time.Hour)
	if err := again(); err != nil {
		t.Errorf("30 days later: %v", err)
	}
}

// TestOwnTries: five wrong codes a day from a network with a login before cost
// nothing, behind a key and behind a passphrase.
func TestOwnTries(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	at, key := u.withKey()
	for range 3 {
		for _, at := range []identity.Attempt{at, attempt("alice")} {
			for range 5 {
				s := &told{answers: func(p string) string {
					switch {
					case strings.HasSuffix(p, askPass) && !strings.HasPrefix(p, "Not"):
						return good
					case strings.HasPrefix(p, "Not"):
						return ""
					}
					return u.wrongCode()
				}}
				_, err := w.a.Login(t.Context(), at, identity.NewConnState(), s)
				wantErr(t, err, identity.ErrAbandoned)
				w.clock.Advance(31 * time.Minute)
			}
			w.settled()
		}
		w.clock.Advance(24 * time.Hour)
	}
	if info, err := w.a.User(t.Context(), "alice"); err != nil || info.WrongCodes != 0 || !w.a.KnowsKey(t.Context(), "alice", key.pub) {
		t.Errorf("%+v %v", info, err)
	}
}

// TestFullQueue: whose passphrase can't be looked at isn't counted against the
// account, but for what was typed: strangers lock nobody out beside a flood, and a
// thief of the passphrase can't guess for nothing there. Operators and the owner read
// how many there were.
func TestFullQueue(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	guess := func(passphrase string, unseen int) {
		t.Helper()
		release := w.a.BlockHashes()
		for i := range 20 {
			_, err := w.login(from(attempt("alice"), fmt.Sprintf("203.0.113.%d", i+1)), round{askPass, passphrase}, round{askCode, u.wrongCode()}, round{noPass, ""})
			wantErr(t, err, identity.ErrAbandoned)
		}
		w.settled()
		release()
		if info, err := w.a.User(t.Context(), "alice"); err != nil || info.WrongCodes != 0 || info.WrongUnseen != unseen {
			t.Errorf("%+v %v", info, err)
		}
	}
	guess("a stranger's guess", 20)
	if _, err := w.login(from(attempt("alice"), "198.51.100.9"), round{askPass, good}, round{askCode, u.code()}); err != nil {
		t.Error(err)
	}
	w.clock.Advance(time.Minute)
	guess(good, 40)
	_, err := w.login(from(attempt("alice"), "198.51.100.10"), round{askPass, good}, round{askCode, u.code()}, round{"Right, but refused…", ""})
	wantErr(t, err, identity.ErrAbandoned)
	w.clock.Advance(time.Minute)
	owner, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, u.code()})
	if err != nil {
		t.Errorf("from a known network: %v", err)
	}
	if h, err := w.a.Health(t.Context(), owner); err != nil || h.WrongCodes != 10 || h.WrongUnseen != 30 {
		t.Errorf("the owner reads %+v %v", h, err)
	}
	w.clock.Advance(time.Minute)
	did, err := w.a.Enabled(t.Context(), "alice")
	if said := "forgot 30 wrong codes that came while the server was too busy to tell what they were behind"; err != nil || !slices.Contains(did, said) {
		t.Errorf("%q %v", did, err)
	}
	if info, err := w.a.User(t.Context(), "alice"); err != nil || info.WrongUnseen != 0 {
		t.Errorf("%+v %v", info, err)
	}
	if _, err := w.login(from(attempt("alice"), "198.51.100.11"), round{askPass, good}, round{askCode, u.code()}); err != nil {
		t.Errorf("after an operator has forgiven them: %v", err)
	}
}

// TestGuessesBesideAFlood: as many wrong passphrases of one name as may be looked at
// at a time don't make room for guesses at the code that are not counted.
func TestGuessesBesideAFlood(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	hold := make(chan struct{})
	w.a.OnHash(func() { <-hold })
	for i, typed := range slices.Concat(slices.Repeat([]string{"a stranger's guess"}, 16), slices.Repeat([]string{good}, 20)) {
		_, err := w.login(from(attempt("alice"), fmt.Sprintf("203.0.113.%d", i+1)), round{askPass, typed}, round{askCode, u.wrongCode()}, round{noPass, ""})
		wantErr(t, err, identity.ErrAbandoned)
	}
	close(hold)
	w.settled()
	_, err := w.login(from(attempt("alice"), "198.51.100.9"), round{askPass, good}, round{askCode, u.code()}, round{"Right, but refused…", ""})
	wantErr(t, err, identity.ErrAbandoned)
}

// TestWhatWasTypedIsBounded: a flood of passphrases that are each typed once doesn't
// wash out what was typed often.
func TestWhatWasTypedIsBounded(t *testing.T) {
	if n, kept := identity.FloodTyped(100_000); n > 1<<16 || kept != 5 {
		t.Errorf("%d are kept, %d of the one that counts", n, kept)
	}
}

// TestParallelCodes: wrong codes that are tried at once with a right one are counted
// before it is let in.
func TestParallelCodes(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	hold := make(chan struct{})
	var once sync.Once
	w.a.OnHash(func() {
		if w.clock.Now(); hold != nil {
			<-hold
		}
	})
	for i := range 12 {
		_, err := w.login(from(attempt("alice"), fmt.Sprintf("203.0.113.%d", i+1)), round{askPass, good}, round{askCode, u.wrongCode()}, round{noPass, ""})
		wantErr(t, err, identity.ErrAbandoned)
	}
	_, err := w.login(from(attempt("alice"), "198.51.100.9"), round{askPass, good}, round{askCode, func(string) string {
		once.Do(func() { close(hold) })
		return u.code()
	}}, round{"Right, but refused…", ""})
	wantErr(t, err, identity.ErrAbandoned)
}

// TestStolenDirectoryPassphrase: a directory isn't asked behind a wrong code, and
// codes are counted nevertheless.
func TestStolenDirectoryPassphrase(t *testing.T) {
	w, dir, u := inRealm(t, nil)
	asked := dir.times()
	w.guess("IPv4", attempt("alice"), kept, u.wrongCode())
	if n := dir.times() - asked; n != 0 {
		t.Errorf("the directory was asked %d times", n)
	}
	_, err := w.login(from(attempt("alice"), "203.0.113.77"), round{askPass, kept}, round{askCode, u.code()}, round{"Right, but refused…", ""})
	wantErr(t, err, identity.ErrAbandoned)
	w.clock.Advance(time.Minute)
	if _, err := w.login(attempt("alice"), round{askPass, kept}, round{askCode, u.code()}); err != nil {
		t.Errorf("from a known network: %v", err)
	}
}

// TestASpellingForEachGuess: what a directory may take for the same passphrase counts
// as the same, so that a thief can't type it anew for each guess at the code.
func TestASpellingForEachGuess(t *testing.T) {
	w, _, u := inRealm(t, nil)
	for i, typed := range []string{
		kept + "1", kept[:8], kept[:8] + " and whatever follows", strings.ToUpper(kept), strings.ToUpper(kept[:1]) + kept[1:],
		kept + " ", kept[:4] + "\xf2" + kept[5:] + "x", kept[:8] + "\x00", "A PHRASe of another end", kept,
	} {
		_, err := w.login(from(attempt("alice"), fmt.Sprintf("203.0.113.%d", i+1)), round{askPass, typed}, round{askCode, u.wrongCode()}, round{noPass, ""})
		wantErr(t, err, identity.ErrAbandoned)
		w.settled()
	}
	_, err := w.login(from(attempt("alice"), "203.0.113.77"), round{askPass, kept}, round{askCode, u.code()}, round{"Right, but refused…", ""})
	wantErr(t, err, identity.ErrAbandoned)
}

// TestStrangersDelayNobody: a right login waits for what was typed before it behind
// its own passphrase, not for the guesses of others.
func TestStrangersDelayNobody(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	for range 16 {
		defer w.a.Pending("alice", "a stranger's guess")()
	}
	if _, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, u.code()}); err != nil {
		t.Error(err)
	}
}

// TestGuessesInsideAConnection: who has taken a connection over guesses at the codes
// of its commands within the same limits.
func TestGuessesInsideAConnection(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	at, key := u.withKey()
	id, err := w.login(at, round{askCode, u.code()})
	if err != nil {
		t.Fatal(err)
	}
	for range 8 {
		w.clock.Advance(31 * time.Minute)
		_, err := w.prove(id, round{askCode, u.wrongCode()}, round{"…", u.wrongCode()}, round{"…", ""})
		wantErr(t, err, identity.ErrAbandoned)
	}
	if w.a.KnowsKey(t.Context(), "alice", key.pub) {
		t.Error("16 wrong codes, five of them for nothing")
	}
}

// TestAUsedCodeIsNoGuess: who shows a code once more that is used up has guessed none.
// Wrong passphrases with it make it a wrong code like any other in words, and count
// nothing against the passphrase that it is shown with.
func TestAUsedCodeIsNoGuess(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	w.clock.Advance(time.Minute)
	used := u.code()
	if _, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, used}); err != nil {
		t.Fatal(err)
	}
	for i := range 11 { // strangers who have seen it
		at := attempt("alice")
		at.Source = thieves("IPv4", i)
		_, err := w.login(at, round{askPass, "a stranger's guess"}, round{askCode, used}, round{noPass, ""})
		wantErr(t, err, identity.ErrAbandoned)
	}
	for i := range 12 {
		at := attempt("alice")
		at.Source = thieves("IPv4", 20+i)
		_, err := w.login(at, round{askPass, good}, round{askCode, used}, round{noPass, ""})
		wantErr(t, err, identity.ErrAbandoned)
		w.settled()
	}
	w.clock.Advance(time.Minute)
	if _, err := w.login(from(attempt("alice"), "203.0.113.77"), round{askPass, good}, round{askCode, u.code()}); err != nil {
		t.Errorf("refused after used codes: %v", err)
	}
}
