package bastion

import (
	"net/netip"
	"testing"

	"entry/configs"
	"entry/e2e/testkit"
)

func addr(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{127, 1, byte(n >> 8), byte(n)})
}

func TestAdmissionPerSource(t *testing.T) {
	a := newAdmission(configs.Startups{Begin: 1000, Rate: 30, Full: 1000}, 8, testkit.NewClock(testkit.Noon).Now)
	var held []*ticket
	for range 8 {
		tk, why := a.enter(addr(1))
		if tk == nil {
			t.Fatalf("refused within the limit: %s", why)
		}
		held = append(held, tk)
	}
	if tk, why := a.enter(addr(1)); tk != nil || why != "per-source" {
		t.Fatalf("ninth connection: %v, %q", tk, why)
	}
	if tk, _ := a.enter(addr(2)); tk == nil {
		t.Fatal("another source is affected")
	}
	held[0].leave(true)
	held[0].leave(true) // leaving twice counts once
	if tk, _ := a.enter(addr(1)); tk == nil {
		t.Fatal("a place given back isn't used")
	}
	if tk, _ := a.enter(addr(1)); tk != nil {
		t.Fatal("leaving twice gave two places")
	}
}

func TestAdmissionCountsAnIPv6NetworkAsOneSource(t *testing.T) {
	a := newAdmission(configs.Startups{Begin: 1000, Full: 1000}, 1, testkit.NewClock(testkit.Noon).Now)
	if tk, _ := a.enter(netip.MustParseAddr("2001:db8::1")); tk == nil {
		t.Fatal("first refused")
	}
	if tk, _ := a.enter(netip.MustParseAddr("2001:db8::ffff")); tk != nil {
		t.Fatal("the same /64 is another source")
	}
	if tk, _ := a.enter(netip.MustParseAddr("2001:db8:0:1::1")); tk == nil {
		t.Fatal("another /64 is the same source")
	}
	if sourceOf(netip.MustParseAddr("::ffff:127.1.0.1")) != sourceOf(addr(1)) {
		t.Fatal("a mapped IPv4 address is another source")
	}
}

func TestAdmissionRateCountsOnlyConnectionsThatCameToNothing(t *testing.T) {
	c := testkit.NewClock(testkit.Noon)
	a := newAdmission(configs.Startups{Begin: 1000, Full: 1000}, 8, c.Now)
	for range 10 * burstConnections {
		tk, why := a.enter(addr(1))
		if tk == nil {
			t.Fatalf("a source that logs in is refused: %s", why)
		}
		tk.leave(true)
	}
	for range burstConnections {
		tk, why := a.enter(addr(2))
		if tk == nil {
			t.Fatalf("refused within the burst: %s", why)
		}
		tk.leave(false)
	}
	if tk, why := a.enter(addr(2)); tk != nil || why != "rate" {
		t.Fatalf("after the burst: %v, %q", tk, why)
	}
	c.Advance(refillConnection)
	if tk, _ := a.enter(addr(2)); tk == nil {
		t.Fatal("time doesn't forgive")
	}
}

func TestAdmissionStartups(t *testing.T) {
	a := newAdmission(configs.Startups{Begin: 10, Rate: 30, Full: 100}, 8, testkit.NewClock(testkit.Noon).Now)
	for i := range 10 {
		if tk, why := a.enter(addr(i)); tk == nil {
			t.Fatalf("refused below the begin: %s", why)
		}
	}
	admitted := 0
	for i := range 10_000 {
		if tk, _ := a.enter(addr(100 + i)); tk != nil {
			admitted++
		}
	}
	if admitted == 0 || a.waiting > 100 {
		t.Fatalf("%d admitted past the begin, %d waiting", admitted, a.waiting)
	}
	if len(a.sources) > 10+10_000 {
		t.Fatalf("%d sources kept", len(a.sources))
	}
}

func TestAdmissionTableIsBounded(t *testing.T) {
	a := newAdmission(configs.Startups{Begin: 1 << 20, Full: 1 << 20}, 8, testkit.NewClock(testkit.Noon).Now)
	for i := range maxSources + 5000 {
		tk, why := a.enter(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
		if tk == nil {
			t.Fatalf("source %d refused: %s", i, why)
		}
		tk.leave(false)
	}
	if len(a.sources) > maxSources {
		t.Fatalf("%d sources, at most %d", len(a.sources), maxSources)
	}
}

func TestEnrolmentHasItsOwnPool(t *testing.T) {
	a := newAdmission(configs.Startups{Begin: 1000, Full: 1000}, 1000, testkit.NewClock(testkit.Noon).Now)
	var held []*ticket
	for i := range enrolmentPool {
		tk, _ := a.enter(addr(i))
		if !tk.enrol() {
			t.Fatalf("enrolment %d refused", i)
		}
		held = append(held, tk)
	}
	if a.waiting != 0 {
		t.Fatalf("%d still count as startups", a.waiting)
	}
	tk, _ := a.enter(addr(900))
	if tk.enrol() {
		t.Fatal("the pool has no bound")
	}
	held[0].leave(true)
	if !tk.enrol() {
		t.Fatal("a place given back isn't used")
	}
	for _, h := range held[1:] {
		h.leave(false)
	}
	tk.leave(true)
	if a.waiting != 0 || a.enrolling != 0 {
		t.Fatalf("%d waiting and %d enrolling at the end", a.waiting, a.enrolling)
	}
}

func TestRefusalsAreEventsOnlyNowAndThen(t *testing.T) {
	c := testkit.NewClock(testkit.Noon)
	r := newRefusals()
	src := sourceOf(addr(1))
	if n, due := r.note(src, "rate", c.Now()); !due || n != 1 {
		t.Fatalf("first: %d, %v", n, due)
	}
	for range 99 {
		if _, due := r.note(src, "rate", c.Now()); due {
			t.Fatal("an event for each")
		}
	}
	c.Advance(refusalEvery)
	if n, due := r.note(src, "rate", c.Now()); !due || n != 100 {
		t.Fatalf("after a minute: %d, %v", n, due)
	}
	for i := range 3 * maxRefusals {
		r.note(sourceOf(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})), "rate", c.Now())
	}
	if len(r.seen) > maxRefusals+1 {
		t.Fatalf("%d sources remembered", len(r.seen))
	}
}
