package identity_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"entry/bastion/identity"
)

func TestUnknownNamesAreHashed(t *testing.T) {
	w := newWorld(t)
	typed := "my dearest passphrase 42"
	_, err := w.login(attempt(typed), round{askPass, "x"}, round{askCode, "123456"}, round{"Not accepted. " + noSuchName + " " + askPass, ""})
	wantErr(t, err, identity.ErrAbandoned)
	for _, e := range w.log.All() {
		if s := fmt.Sprintf("%+v", e); strings.Contains(s, typed) || e.UserHash == "" || e.User != "" {
			t.Errorf("event %s", s)
		}
	}
}

// TestSameWork compares what a login of a known and of an unknown name costs,
// where it could differ: queries, and hashes.
func TestSameWork(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	counted := &counting{Store: w.store}
	a := w.authenticator(counted)
	var hashes atomic.Int32
	answered := make(chan struct{}) // closed once a dialogue is over
	a.OnHash(func() {
		<-answered
		hashes.Add(1)
	})
	for _, answers := range [][]round{
		{{askPass, good}, {askCode, u.wrongCode()}, {noPass, ""}},
		{{askPass, good + u.wrongCode()}, {askCode, "abc"}, {noPass, ""}},
		{{askPass, "abcd-efgh-jkmn-pqrs"}, {askCode, "abcd-efgh-jkmn"}, {noPass, ""}},
		{{askPass, "some other phrase entirely"}, {askCode, u.codeAfter(5 * time.Minute)}, {noPass, ""}},
		{{askPass, good}, {askCode, u.codeAfter(-5 * time.Minute)}, {noPass, ""}},
	} {
		var calls [][]string
		var cost []int32
		for _, name := range []string{"alice", "nobody"} {
			counted.taken()
			answered = make(chan struct{})
			s := &script{t: t, rounds: answers}
			if _, err := a.Login(t.Context(), attempt(name), identity.NewConnState(), s); !errors.Is(err, identity.ErrAbandoned) {
				t.Fatal(err)
			}
			calls = append(calls, counted.taken())
			if n := hashes.Swap(0); n != 0 {
				t.Errorf("%d passphrases were hashed before the answer, without a code in the window", n)
			}
			close(answered)
			if err := a.Settle(t.Context()); err != nil {
				t.Fatal(err)
			}
			cost = append(cost, hashes.Swap(0))
		}
		if !slices.Equal(calls[0], calls[1]) {
			t.Errorf("known %v, unknown %v", calls[0], calls[1])
		}
		if cost[0] != cost[1] || cost[0] == 0 {
			t.Errorf("behind wrong codes a known name's passphrases cost %d hashes, an unknown one's %d", cost[0], cost[1])
		}
	}
	// A code in the window costs one hash, a used one too.
	for _, d := range []time.Duration{0, 0} {
		before := hashes.Load()
		s := &script{t: t, rounds: []round{{askPass, "some other phrase entirely"}, {askCode, u.codeAfter(d)}, {noPass, ""}}}
		if _, err := a.Login(t.Context(), attempt("alice"), identity.NewConnState(), s); !errors.Is(err, identity.ErrAbandoned) {
			t.Fatal(err)
		}
		if n := hashes.Load() - before; n != 1 {
			t.Errorf("%d hashes", n)
		}
	}
}

// TestSameWorkUnderALock: what a locked dialogue costs doesn't tell whether the name
// has logged in from there, nor whether it exists.
func TestSameWorkUnderALock(t *testing.T) {
	w := newWorld(t)
	u, elsewhere := w.enrolled("alice"), "198.51.100.7"
	counted := &counting{Store: w.store}
	a := w.authenticator(counted)
	var hashes atomic.Int32
	a.OnHash(func() { hashes.Add(1) })
	cost := map[string]string{}
	for who, at := range map[string]identity.Attempt{
		"known there": attempt("alice"), "known": from(attempt("alice"), elsewhere), "unknown": attempt("nobody"),
	} {
		for i := range 12 {
			s := &told{answers: func(p string) string {
				switch {
				case strings.HasSuffix(p, askPass) && i == 11:
					return "some other phrase entirely" + u.wrongCode()
				case strings.HasSuffix(p, askPass):
					return "some other phrase entirely"
				case strings.HasPrefix(p, "Too many"):
					return ""
				}
				return u.wrongCode()
			}}
			counted.taken()
			if err := a.Settle(t.Context()); err != nil {
				t.Fatal(err)
			}
			hashes.Store(0)
			if _, err := a.Login(t.Context(), at, identity.NewConnState(), s); err == nil {
				t.Fatal("let in")
			}
			if err := a.Settle(t.Context()); err != nil {
				t.Fatal(err)
			}
			cost[who] += fmt.Sprintf("%d hashes after %d prompts: %v; ", hashes.Load(), len(s.seen), counted.taken())
		}
	}
	if cost["known there"] != cost["unknown"] || cost["known"] != cost["unknown"] {
		t.Errorf("under a lock a dialogue costs %q", cost)
	}
}

func TestSourcesAreCountedBySlash64(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	for i := range 9 {
		at := attempt("alice")
		at.Source = netip.MustParseAddrPort(fmt.Sprintf("[2001:db8::%x]:5000", i+1))
		_, err := w.login(at, round{askPass, good}, round{askCode, u.wrongCode()}, round{noPass, ""})
		wantErr(t, err, identity.ErrAbandoned)
	}
	for addr, want := range map[string]error{"[2001:db8::ffff]:1": identity.ErrLocked, "[2001:db8:0:1::1]:1": identity.ErrAbandoned} {
		at := attempt("alice")
		at.Source = netip.MustParseAddrPort(addr)
		_, err := w.login(at, round{askPass, good}, round{askCode, u.wrongCode()}, round{"…", ""})
		wantErr(t, err, want)
	}
}
