package identity_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"entry/bastion/identity"
)

// textingRealm is texting with a directory that keeps alice's passphrase from here on.
func textingRealm(t *testing.T) (*world, *texts, *directory) {
	t.Helper()
	dir := &directory{groups: []string{"cn=a,dc=org"}, at: time.Date(2026, 3, 1, 11, 0, 0, 0, time.UTC)}
	w, g := texting(t, func(o *identity.Options) { o.Realms = map[string]identity.FirstFactor{"duo": dir} })
	if err := w.a.SetRealm(t.Context(), "alice", "duo"); err != nil {
		t.Fatal(err)
	}
	w.bySMS(g, home.Addr().String())
	if n := dir.times(); n != 1 {
		t.Fatalf("the directory was asked %d times", n)
	}
	w.clock.Advance(2 * time.Hour)
	return w, g, dir
}

// bySMS logs alice in from a place, with what her directory keeps.
func (w *world) bySMS(g *texts, place string) {
	w.t.Helper()
	if _, err := w.login(from(attempt("alice"), place), round{askPass, kept}, round{askCode, g.code(w.t)}); err != nil {
		w.t.Error(err)
	}
	w.settled()
}

// wrongAt types a wrong passphrase for a name, and a code.
func (w *world) wrongAt(name, place string) (seen []string) {
	w.t.Helper()
	in := answering{"a guess", "000000"}
	s := &told{answers: func(p string) string { a, _ := in.Ask(w.t.Context(), p, false); return a }}
	_, err := w.a.Login(w.t.Context(), from(attempt(name), place), identity.NewConnState(), s)
	wantErr(w.t, err, identity.ErrAbandoned)
	w.settled()
	return s.seen
}

// TestStrangersBindSeldom: who has proven nothing has a directory judge two passphrases a
// day, from however many networks, and reads what an unknown name reads; its users go on
// where they are known, and are forgiven by a right one, in the directory as here.
func TestStrangersBindSeldom(t *testing.T) {
	w, g, dir := textingRealm(t)
	binds := func(want int) {
		t.Helper()
		if n := dir.times(); n != want {
			t.Errorf("%d passphrases were judged, not %d", n, want)
		}
	}
	for i := range 20 {
		place := fmt.Sprintf("198.51.100.%d", i+1)
		if a, b := w.wrongAt("alice", place), w.wrongAt("nobody", place); !slices.Equal(a, b) {
			t.Errorf("%q, an unknown name %q", a, b)
		}
	}
	binds(3)
	_, err := w.login(from(attempt("alice"), "198.51.100.77"), round{askPass, kept}, round{askCode, "000000"}, round{noPass, ""})
	wantErr(t, err, identity.ErrAbandoned)
	w.settled()
	binds(3)
	w.wrongAt("alice", home.Addr().String())
	w.wrongAt("alice", home.Addr().String())
	binds(5)
	w.bySMS(g, home.Addr().String())
	for range 5 {
		w.wrongAt("alice", home.Addr().String())
	}
	binds(9) // three of five
	// A key is no stranger's, though the passphrase beside it is the directory's.
	at, _ := (&user{w: w, name: "alice"}).withKey()
	w.clock.Advance(time.Hour)
	if _, err := w.login(from(at, "198.51.100.77"), round{askPass, kept}, round{askCode, g.code(t)}); err != nil {
		t.Errorf("beside a key: %v", err)
	}
	w.settled()
	binds(10)
	if _, err := w.a.Unlock(t.Context(), "alice", []netip.Addr{home.Addr()}, false); err != nil {
		t.Fatal(err)
	}
	w.bySMS(g, home.Addr().String())
	w.bySMS(g, "198.51.100.78")
	binds(12)
	w.wrongAt("alice", "198.51.100.79")
	w.wrongAt("alice", "198.51.100.80")
	w.wrongAt("alice", "198.51.100.81")
	binds(14)
	w.clock.Advance(25 * time.Hour)
	w.bySMS(g, "198.51.100.82")
	binds(15)
}

// TestADirectoryDownCountsNothing: what was judged by nobody is nobody's guess.
func TestADirectoryDownCountsNothing(t *testing.T) {
	w, g, dir := textingRealm(t)
	dir.fail(errors.New("no route"))
	for i := range 5 {
		_, err := w.login(from(attempt("alice"), fmt.Sprintf("198.51.100.%d", i+1)), round{askPass, kept}, round{askCode, w.settledThen("000000")}, round{noPass, ""})
		wantErr(t, err, identity.ErrAbandoned)
	}
	dir.fail(nil)
	w.bySMS(g, "198.51.100.9")
}

// TestNoSMSTellsNoStranger: why no code came is said where its owner has logged in, and
// to who shows a key or a temporary passphrase; elsewhere a right passphrase reads, without
// a code, what a wrong one reads.
func TestNoSMSTellsNoStranger(t *testing.T) {
	for _, answer := range []string{"", "000000"} {
		w, g := texting(t, nil)
		g.set(errors.New("down"), nil)
		var seen [][]string
		for i, typed := range []string{"a guess", good} {
			answered := answer
			after := func(string) string { return answered }
			if typed == good {
				after = w.afterFailure(answered)
			}
			asked := 0
			s := &told{answers: func(p string) string {
				switch asked++; asked {
				case 1:
					return typed
				case 2:
					return after(p)
				}
				return ""
			}}
			_, err := w.a.Login(t.Context(), from(attempt("alice"), fmt.Sprintf("198.51.100.%d", i+1)), identity.NewConnState(), s)
			wantErr(t, err, identity.ErrAbandoned)
			seen = append(seen, s.seen)
			w.settled()
		}
		if !slices.Equal(seen[0], seen[1]) {
			t.Errorf("a wrong one reads %q, a right one %q", seen[0], seen[1])
		}
		// The account's owner, at home.
		_, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, w.afterFailure(answer)}, round{notSent + askPass, ""})
		wantErr(t, err, identity.ErrAbandoned)
		temp, err := w.a.ResetPassphrase(t.Context(), "alice")
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.login(from(attempt("alice"), "198.51.100.9"), round{askPass, temp}, round{"…" + askCode, w.afterFailure(answer)}, round{notSent + askPass, ""})
		wantErr(t, err, identity.ErrAbandoned)
	}
}
