package identity

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"entry/bastion/identity/secret"
)

func TestSourceOf(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.7": "192.0.2.7/32", "::ffff:192.0.2.7": "192.0.2.7/32", "2001:db8:1:2:3::4": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64",
	} {
		if got := sourceOf(netip.MustParseAddr(in)).String(); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
	if got := sourceOf(netip.Addr{}); got != (netip.Prefix{}) {
		t.Errorf("no address: %v", got)
	}
}

// memory is a Counter for one goroutine.
type memory map[TallyKey]Tally

func (m memory) Tallies(_ context.Context, keys ...TallyKey) (all []Tally, _ error) {
	for _, k := range keys {
		all = append(all, m[k])
	}
	return all, nil
}

func (m memory) Count(ctx context.Context, _ time.Time, edit func([]Tally) bool, keys ...TallyKey) error {
	all, err := m.Tallies(ctx, keys...)
	if err == nil && edit(all) {
		for i, k := range keys {
			m[k] = all[i]
		}
	}
	return err
}

func TestRefundUndoesItsOwnLock(t *testing.T) {
	l := &lockout{limits: usualLimits, store: memory{}}
	l.limits.name = 2
	now := time.Unix(1_700_000_000, 0)
	p := l.pairOf("alice", netip.MustParseAddr("192.0.2.7"))
	charge := func(want bool) {
		t.Helper()
		if _, locks, err := l.charge(t.Context(), p, now); err != nil || locks != want {
			t.Errorf("locks %v, %v", locks, err)
		}
	}
	look := func(at time.Time) lockState {
		t.Helper()
		st, err := l.look(t.Context(), p, at)
		if err != nil {
			t.Error(err)
		}
		return st
	}
	charge(false)
	charge(true)
	if err := l.refund(t.Context(), p, now); err != nil {
		t.Error(err)
	}
	if st := look(now); st.locked() {
		t.Errorf("%+v", st)
	}
	charge(true)
	if st := look(now.Add(29 * time.Minute)); !st.locked() {
		t.Errorf("%+v", st)
	}
	if st := look(now.Add(30 * time.Minute)); st.locked() {
		t.Errorf("%+v", st)
	}
	if st := look(now.Add(-time.Hour)); !st.locked() {
		t.Error("a clock that went back lifted the lock")
	}
}

// TestTalliesAreKeptAsLongAsTheySay: a tally may be pruned at its Keep, so that
// must not come before its window, its lock or its trust has ended.
func TestTalliesAreKeptAsLongAsTheySay(t *testing.T) {
	m := memory{}
	l := &lockout{limits: usualLimits, store: m}
	l.limits.name, l.limits.window, l.limits.lock = 2, time.Hour, 2*time.Hour
	now := time.Unix(1_700_000_000, 0)
	p := l.pairOf("alice", netip.MustParseAddr("192.0.2.7"))
	want := func(mine, all time.Duration) {
		t.Helper()
		if a, b := m[p.mine].Keep.Sub(now), m[p.all].Keep.Sub(now); a != mine || b != all {
			t.Errorf("kept for %v and %v, want %v and %v", a, b, mine, all)
		}
	}
	for _, mine := range []time.Duration{time.Hour, 2 * time.Hour} {
		if _, _, err := l.charge(t.Context(), p, now); err != nil {
			t.Fatal(err)
		}
		want(mine, time.Hour)
	}
	if err := l.succeeded(t.Context(), p, now); err != nil {
		t.Fatal(err)
	}
	want(trustFor, time.Hour)
}

func TestTallyKeysHideNames(t *testing.T) {
	derive := func(master string) secret.Keys {
		t.Helper()
		keys, err := secret.DeriveKeys([]byte(master))
		if err != nil {
			t.Fatal(err)
		}
		return keys
	}
	l := &lockout{keys: derive("0123456789abcdef0123456789abcdef")}
	other := &lockout{keys: derive("fedcba9876543210fedcba9876543210")}
	a := netip.MustParseAddr("192.0.2.7")
	if l.pairOf("alice", a) != l.pairOf("alice", netip.MustParseAddr("::ffff:192.0.2.7")) {
		t.Error("an IPv4 client behind an IPv6 socket is another source")
	}
	if l.pairOf("alice", a).mine == l.pairOf("bob", a).mine || l.pairOf("alice", a).all != l.pairOf("bob", a).all ||
		l.pairOf("alice", a) == other.pairOf("alice", a) {
		t.Error("keys")
	}
}
