package identity_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"entry/bastion/identity"
)

// TestUnlock: what is lifted is said, and nothing else is lifted.
func TestUnlock(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	other := w.enrolled("bob")
	street, v6 := netip.MustParseAddrPort("203.0.113.9:7"), netip.MustParseAddrPort("[2001:db8:1:2::3]:7")
	ctx := t.Context()
	want := func(name string, did []string, err error, clauses ...string) {
		t.Helper()
		ok := err == nil && len(did) == len(clauses)
		for i := range did {
			ok = ok && strings.Contains(did[i], clauses[i])
		}
		if !ok {
			t.Errorf("%s: %q %v, want %q", name, did, err, clauses)
		}
	}
	sources := []netip.Addr{street.Addr(), v6.Addr(), netip.MustParseAddr("2001:db8:1:2::4")}
	did, err := w.a.Unlock(ctx, "alice", sources, false)
	want("nothing", did, err)

	w.fail("alice", street, u.wrongCode(), 9)
	w.fail("alice", v6, u.wrongCode(), 2)
	locks, err := w.a.SourceLocks(ctx, "alice", sources)
	if err != nil || len(locks) != 2 || locks[0].Source != "203.0.113.9" || locks[0].Failures != 9 || locks[0].Until.IsZero() ||
		locks[1].Source != "2001:db8:1:2::/64" || locks[1].Failures != 2 || !locks[1].Until.IsZero() {
		t.Errorf("%+v %v", locks, err)
	}
	mark := w.log.Mark()
	did, err = w.a.Unlock(ctx, "alice", sources, false)
	want("both", did, err, "lifted the lock from 203.0.113.9", "forgot 2 failed logins from 2001:db8:1:2::/64")
	w.wantLog(mark, "user.changed")
	for i := range 5 {
		a := netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}), 1)
		w.fail("alice", a, u.wrongCode(), 1)
		sources = append(sources, a.Addr())
	}
	did, err = w.a.Unlock(ctx, "alice", sources, false)
	want("many", did, err, "forgot 5 failed logins from 198.51.100.0, 198.51.100.1, 198.51.100.2 and 2 more")
	at := attempt("alice")
	at.Source = street
	w.clock.Advance(time.Minute)
	if _, err := w.login(at, round{askPass, good}, round{askCode, u.code()}); err != nil {
		t.Error(err)
	}

	// The source's own lock is everybody's: it is lifted by its name alone.
	for i := range 12 {
		w.fail("stranger"+string(rune('a'+i)), street, "000000", 8)
	}
	did, err = w.a.Unlock(ctx, "bob", sources, false)
	want("others' guesses", did, err)
	did, err = w.a.Unlock(ctx, "bob", sources[:1], true)
	want("the source", did, err, "lifted the lock of everybody from 203.0.113.9")
	at = attempt("bob")
	at.Source = street
	if _, err := w.login(at, round{askPass, good}, round{askCode, other.code()}); err != nil {
		t.Error(err)
	}

	// The account's own lock, and what wrong codes closed.
	w.clock.Advance(time.Hour)
	for i := range 10 {
		from := attempt("alice")
		from.Source = netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}), 7)
		_, _ = w.login(from, round{askPass, "wrong but long enough"}, round{askCode, u.code()}, round{noPass, ""})
		w.clock.Advance(time.Minute)
	}
	did, err = w.a.Enabled(ctx, "alice")
	want("account", did, err, "lifted the account's lock after many wrong passphrases")
	if _, err := w.login(attempt("alice"), round{askPass, good}, round{askCode, u.code()}); err != nil {
		t.Error(err)
	}
	if err := w.a.SetEnd(ctx, "alice", w.clock.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(2 * time.Hour)
	did, err = w.a.Enabled(ctx, "alice")
	want("ended", did, err, "nothing was to be done", "still, the account has ended on ")
	if _, err := w.a.Unlock(ctx, "nobody", nil, false); err == nil {
		t.Error("unlocked nobody")
	}
}

// Whatever user show and events print is taken back, and nothing that is wider.
func TestSourcesAsTheyArePrinted(t *testing.T) {
	for printed, want := range map[string]string{
		"192.0.2.7":                     "192.0.2.7",
		"192.0.2.7:50022":               "192.0.2.7",
		"192.0.2.7/32":                  "192.0.2.7",
		"::ffff:192.0.2.7":              "192.0.2.7",
		"[::ffff:192.0.2.7]:50022":      "192.0.2.7",
		"::ffff:192.0.2.7/128":          "192.0.2.7",
		"2001:db8:1:2::7":               "2001:db8:1:2::/64",
		"[2001:db8:1:2::7]":             "2001:db8:1:2::/64",
		"[2001:db8:1:2::7]:50022":       "2001:db8:1:2::/64",
		"2001:db8:1:2::/64":             "2001:db8:1:2::/64",
		"2001:db8:1:2::7/128":           "2001:db8:1:2::/64",
		"fe80::1%eth0":                  "fe80::/64",
		"[fe80::1%eth0]:50022":          "fe80::/64",
		"192.0.2.0/24":                  "",
		"::ffff:192.0.2.0/120":          "",
		"2001:db8::/48":                 "",
		"2001:db8:1:2::7]":              "",
		"[2001:db8:1:2::7":              "",
		"":                              "",
		"cafe":                          "",
		"192.0.2.7:":                    "",
		"192.0.2.7, 192.0.2.8":          "",
		"fd00::1/64 and everybody else": "",
	} {
		from, ok := identity.ParseSource(printed)
		if ok != (want != "") || ok && identity.SourceName(from) != want {
			t.Errorf("%q is %v %v, not %q", printed, from, ok, want)
		}
	}
}
