package bastion

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"entry/configs"
	"entry/e2e/testkit"
)

func addr(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{127, 1, byte(n >> 8), byte(n)})
}

// door is an admission in a bubble of time, with the connections it ended.
type door struct {
	*admission
	ended map[*ticket]bool
}

func newDoor(st configs.Startups, perSource int) *door {
	return &door{newAdmission(st, perSource, time.Now), map[*ticket]bool{}}
}

// try is one connection that nothing is heard of after its first byte.
func (d *door) try(from netip.Addr) (*ticket, string) {
	var t *ticket
	t, why := d.enter(context.Background(), from, func() { d.ended[t] = true })
	return t, why
}

func (d *door) mustTry(t *testing.T, from netip.Addr) *ticket {
	t.Helper()
	tk, why := d.try(from)
	if tk == nil {
		t.Fatalf("%s is refused: %s", from, why)
	}
	return tk
}

// wide is enough for everybody.
var wide = configs.Startups{Begin: 1 << 20, Rate: 30, Full: 1 << 20}

// Silent connections of a source have a limit; those whose dialogue goes on have
// a wider one, so that a course behind one address gets in.
func TestAdmissionPerSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(wide, 8)
		var held []*ticket
		for range 8 {
			held = append(held, d.mustTry(t, addr(1)))
			time.Sleep(time.Millisecond)
		}
		began := time.Now()
		d.mustTry(t, addr(1)) // the ninth
		if waited := time.Since(began); waited < patience-relook || waited > patience || !d.ended[held[0]] || len(d.open) != 8 {
			t.Errorf("after %s, the first one ended: %v, open: %d", waited, d.ended[held[0]], len(d.open))
		}
		held[0].leave(false)
		d.mustTry(t, addr(2)) // another source
		held[1].leave(false)
		held[1].leave(false) // leaving twice counts once
		d.mustTry(t, addr(1))
		d.mustTry(t, addr(1))
		if !d.ended[held[2]] || d.ended[held[3]] {
			t.Fatal("leaving twice gave two places")
		}
		for _, tk := range held[3:] {
			tk.answered() // their key exchange is over
			tk.answered() // and somebody has typed
		}
		for range 40 { // each is another one's oldest silent connection
			d.mustTry(t, addr(1))
		}
		for _, tk := range held[3:] {
			if d.ended[tk] {
				t.Fatal("a dialogue that goes on made room")
			}
		}
		quiet := d.mustTry(t, addr(4))
		quiet.answered()
		for range 7 {
			time.Sleep(time.Second)
			tk := d.mustTry(t, addr(4))
			tk.answered()
		}
		time.Sleep(typing)
		if d.mustTry(t, addr(4)); !d.ended[quiet] {
			t.Fatalf("dialogues without an answer for %s don't count as silent", typing)
		}
		for i := range 8 * talkingPerSource {
			if i == burstConnections/2 {
				time.Sleep(5 * refillConnection)
			}
			tk := d.mustTry(t, addr(3))
			tk.answered()
			tk.answered()
		}
		if tk, why := d.try(addr(3)); tk != nil || why != "per-source" {
			t.Fatalf("%v, %q", tk, why)
		}
		began = time.Now()
		if tk, why := d.try(addr(3)); tk != nil || why != "per-source" || time.Since(began) != holding {
			t.Fatalf("%v, %q after %s", tk, why, time.Since(began))
		}
	})
}

func TestACourseBehindOneAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(configs.Default().Limits.Startups, 8)
		in := make(chan string, 30)
		for i := range 30 {
			go func() {
				time.Sleep(time.Duration(i) * 20 * time.Millisecond)
				tk, why := d.try(addr(1))
				if tk != nil {
					time.Sleep(150 * time.Millisecond)
					tk.answered() // the key exchange
					time.Sleep(20 * time.Second)
					tk.answered() // the passphrase
					time.Sleep(20 * time.Second)
					tk.leave(true)
				}
				in <- why
			}()
		}
		for range 30 {
			if why := <-in; why != "" {
				t.Errorf("one of the course is refused: %s", why)
			}
		}
	})
}

// Thirty people behind one address who look the host key's fingerprint up, each for as long
// as it takes, all get in.
func TestACourseReadsTheFingerprint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(configs.Default().Limits.Startups, 8)
		var course []*ticket
		for range 30 {
			tk := d.mustTry(t, addr(1))
			tk.reads()
			course = append(course, tk)
			time.Sleep(200 * time.Millisecond)
		}
		time.Sleep(typing / 2)
		for _, tk := range course {
			if d.ended[tk] {
				t.Error("one of the course made room for another")
			}
			tk.answered()
		}
		if h := d.look(sourceOf(addr(1)), time.Now()); h.silent != 0 || h.talking != 30 || course[0].answers != 0 {
			t.Errorf("%+v, %d answers", h, course[0].answers)
		}
	})
}

// Who stops at the host key, from however many addresses, keeps nobody out: where it is full
// that shows nobody there, and after a minute it never does.
func TestSquattersAtTheHostKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(configs.Startups{Begin: 10, Rate: 30, Full: 100}, 8)
		types := d.mustTry(t, addr(9002))
		types.answered()
		for round := range 4 {
			for i := range 99 {
				if tk, _ := d.try(addr(i)); tk != nil {
					tk.reads()
				}
			}
			time.Sleep(patience)
			for i := range 20 {
				tk := d.mustTry(t, addr(1000+20*round+i))
				tk.reads()
				tk.answered()
				if d.ended[tk] {
					t.Error("a newcomer made room for who stopped at the host key")
				}
				tk.leave(true)
			}
		}
		if d.ended[types] {
			t.Error("somebody who types made room")
		}
		for range 8 {
			d.mustTry(t, addr(5000)).reads()
		}
		old := d.mustTry(t, addr(5000))
		old.reads()
		time.Sleep(typing)
		if !old.silent(time.Now()) {
			t.Error("a minute at the host key shows that somebody is there")
		}
	})
}

// A newcomer that finds no place waits for one.
func TestAdmissionHoldsUntilAPlaceIsFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(wide, 1)
		first := d.mustTry(t, addr(1))
		second := make(chan *ticket)
		go func() { tk, _ := d.try(addr(1)); second <- tk }()
		time.Sleep(holding / 2)
		began := time.Now()
		first.leave(false)
		if tk := <-second; tk == nil || time.Since(began) != 0 {
			t.Errorf("%v after %s", tk, time.Since(began))
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() { time.Sleep(time.Second); cancel() }()
		if tk, why := d.enter(ctx, addr(1), func() {}); tk != nil || why != "per-source" {
			t.Errorf("%v, %q after the client has left", tk, why)
		}
	})
}

func TestAdmissionCountsAnIPv6NetworkAsOneSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(wide, 1)
		first := d.mustTry(t, netip.MustParseAddr("2001:db8::1"))
		d.mustTry(t, netip.MustParseAddr("2001:db8:0:1::1"))
		if d.ended[first] {
			t.Fatal("another /64 is the same source")
		}
		d.mustTry(t, netip.MustParseAddr("2001:db8::ffff"))
		if !d.ended[first] {
			t.Fatal("the same /64 is another source")
		}
		if sourceOf(netip.MustParseAddr("::ffff:127.1.0.1")) != sourceOf(addr(1)) {
			t.Fatal("a mapped IPv4 address is another source")
		}
	})
}

func TestAdmissionRateCountsOnlyConnectionsThatCameToNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(wide, 8)
		for range 10 * burstConnections {
			d.mustTry(t, addr(1)).leave(true)
		}
		for range burstConnections {
			d.mustTry(t, addr(2)).leave(false)
		}
		if tk, why := d.try(addr(2)); tk != nil || why != "rate" {
			t.Fatalf("after the burst: %v, %q", tk, why)
		}
		time.Sleep(refillConnection)
		d.mustTry(t, addr(2))
	})
}

// Whoever shares an address with strangers gets a place: silent connections of the
// same source make room, and where somebody has logged in before, no rate holds.
func TestStrangersAtTheSameAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(configs.Startups{Begin: 10, Rate: 30, Full: 100}, 8)
		d.mustTry(t, addr(1)).leave(true) // its network is known now
		for range 10 * burstConnections {
			d.mustTry(t, addr(1)).leave(false)
		}
		for i := range 200 { // silent ones, 20 a second
			d.mustTry(t, addr(1))
			time.Sleep(50 * time.Millisecond)
			if i%10 != 0 {
				continue
			}
			began := time.Now()
			owner := d.mustTry(t, addr(1))
			time.Sleep(300 * time.Millisecond) // its key exchange
			owner.answered()
			if d.ended[owner] || time.Since(began) > time.Second {
				t.Fatalf("the owner made room: %v, after %s", d.ended[owner], time.Since(began))
			}
			owner.leave(true)
		}
		if n := len(d.open); n > 8*talkingPerSource {
			t.Errorf("one source has %d places", n)
		}
		stranger := d.mustTry(t, addr(2)) // an unknown network
		for range 40 {
			if tk, why := d.try(addr(3)); tk == nil {
				t.Fatalf("another network is kept out: %s", why)
			}
		}
		stranger.leave(false)
	})
}

// Few addresses whose dialogues go on can't keep everybody else out: they make room
// for others once they hesitate, those first that never answered; no course does
// from which somebody is in.
func TestFewAddressesCantTalkAllTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(configs.Startups{Begin: 10, Rate: 30, Full: 100}, 8)
		var course []*ticket
		for range 30 {
			tk := d.mustTry(t, addr(7))
			tk.answered()
			course = append(course, tk)
		}
		course[0].leave(true)
		var bots []*ticket
		for i := range 71 {
			tk := d.mustTry(t, addr(1+i%3))
			tk.answered()
			if i >= 3 {
				tk.answered()
			}
			bots = append(bots, tk)
		}
		if tk, why := d.try(addr(50)); tk != nil || why != "startups" {
			t.Fatalf("before anybody hesitates: %v, %q", tk, why)
		}
		time.Sleep(hesitation)
		for i := range 40 {
			tk := d.mustTry(t, addr(100+i))
			tk.answered()
			if i == 5 && !(d.ended[bots[0]] && d.ended[bots[1]] && d.ended[bots[2]]) {
				t.Error("who answered made room before who never did")
			}
		}
		for _, tk := range course {
			if d.ended[tk] {
				t.Fatal("one of the course made room")
			}
		}
	})
}

// Silent connections can't hold the places: they make room, those of the source
// that has most of them first, and never one that somebody sits at.
func TestSilentConnectionsMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(configs.Startups{Begin: 10, Rate: 30, Full: 100}, 8)
		enrols, types := d.mustTry(t, addr(9001)), d.mustTry(t, addr(9002))
		enrols.answered()
		if !enrols.enrol("erin") {
			t.Fatal("no enrolment")
		}
		types.answered()
		quiet := d.mustTry(t, addr(9003)) // one connection of its source, in its key exchange
		for range 8 {
			for i := range 50 {
				d.try(addr(i))
			}
		}
		if n := len(d.open); n != 101 {
			t.Errorf("%d places are taken", n)
		}
		if d.ended[quiet] {
			t.Error("whoever holds one place made room for those who hold many")
		}
		for i := range 200 { // newcomers, one by one
			tk := d.mustTry(t, addr(1000+i))
			tk.answered()
			tk.leave(true)
		}
		if d.ended[types] || d.ended[enrols] {
			t.Error("somebody who types made room")
		}
	})
}

// Silence after the key exchange counts from a minute on, longest first; until
// then unknown newcomers wait, and those from known networks have a reserve.
func TestSquattersInTheDialogue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(configs.Startups{Begin: 10, Rate: 30, Full: 100}, 8)
		d.mustTry(t, addr(5000)).leave(true) // its network is known now
		var squatters []*ticket
		for i := range 100 {
			tk := d.mustTry(t, addr(i))
			tk.answered()
			squatters = append(squatters, tk)
			time.Sleep(10 * time.Millisecond)
		}
		if tk, why := d.try(addr(6000)); tk != nil || why != "startups" {
			t.Errorf("%v, %q", tk, why)
		}
		for range 8 {
			d.mustTry(t, addr(5000))
		}
		time.Sleep(typing)
		squatters[0].answered() // there was somebody
		d.mustTry(t, addr(6000))
		d.mustTry(t, addr(6001))
		for i, want := range []bool{false, true, true, false} {
			if d.ended[squatters[i]] != want {
				t.Errorf("squatter %d made room: %v", i, !want)
			}
		}
		if squatters[1].madeRoom() != true || squatters[0].madeRoom() {
			t.Error("nobody knows why they ended")
		}
	})
}

// From Begin silent connections on, those that have been silent for a while make
// room before all places are taken.
func TestAdmissionStartups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(configs.Startups{Begin: 10, Rate: 30, Full: 100}, 8)
		for i := range 10_000 {
			d.mustTry(t, addr(i))
			time.Sleep(100 * time.Millisecond)
		}
		if n := len(d.open); n < 20 || n > 100 {
			t.Errorf("%d places are taken by silence", n)
		}
	})
}

func TestAdmissionTableIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(wide, 8)
		for i := range maxSources + 5000 {
			d.mustTry(t, netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})).leave(i%2 == 0)
		}
		if len(d.sources) > maxSources || len(d.familiar.seen) > maxNetworks {
			t.Fatalf("%d sources, %d networks", len(d.sources), len(d.familiar.seen))
		}
	})
}

func TestKnownNetworksAreForgotten(t *testing.T) {
	n, at := newNetworks(), time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for i := range maxNetworks + 10 {
		n.note(sourceOf(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})), at.Add(time.Duration(i)*time.Second))
	}
	first, last := sourceOf(netip.MustParseAddr("10.0.0.0")), sourceOf(netip.MustParseAddr("10.1.0.9"))
	if len(n.seen) != maxNetworks || n.has(first, at) || !n.has(last, at.Add(maxNetworks*time.Second)) {
		t.Errorf("%d networks", len(n.seen))
	}
	if n.has(last, at.Add(2*familiarFor)) {
		t.Error("a network is known for ever")
	}
}

func TestEnrolmentHasItsOwnPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(configs.Startups{Begin: 20, Rate: 30, Full: 20}, 1000)
		var held []*ticket
		for i := range enrolmentPool {
			tk := d.mustTry(t, addr(i))
			if i == enrolmentsOfOne && tk.enrol("student0") {
				t.Fatal("one name can use up the pool")
			}
			if !tk.enrol(fmt.Sprintf("student%d", i/enrolmentsOfOne)) {
				t.Fatalf("enrolment %d refused", i)
			}
			held = append(held, tk)
		}
		tk := d.mustTry(t, addr(900))
		if tk.enrol("another") {
			t.Fatal("the pool has no bound")
		}
		held[0].leave(true)
		if !tk.enrol("another") {
			t.Fatal("a place given back isn't used")
		}
		for _, h := range held[1:] {
			h.leave(false)
		}
		tk.leave(true)
		if len(d.open) != 0 {
			t.Fatalf("%d open at the end", len(d.open))
		}
	})
}

// A connection is charged once for its questions about keys, however many, and
// gets it back by a login.
func TestQuestionsAboutKeysHaveABudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(wide, 1000)
		ask := func(loggedIn bool) (wait time.Duration) {
			tk := d.mustTry(t, addr(1))
			for range 8 { // an agent's keys
				wait = tk.query()
			}
			tk.leave(loggedIn)
			return wait
		}
		for range 10 * burstQueries {
			if ask(true) != 0 {
				t.Fatal("whoever logs in is slowed down")
			}
		}
		for i := range burstQueries {
			if ask(false) != 0 {
				t.Fatalf("slowed down at connection %d", i)
			}
		}
		if ask(false) != queryPause {
			t.Error("published keys can be tried at speed")
		}
		time.Sleep(2 * refillQueries)
		if ask(false) != 0 {
			t.Error("time doesn't forgive")
		}
		for range 40 * burstQueries { // side by side, or from a network without a rate
			ask(false)
		}
		for i, want := range []time.Duration{longestQuery, queryPause} {
			tk := d.mustTry(t, addr(1))
			wait := tk.query()
			if i == 1 {
				wait = tk.query()
			}
			tk.leave(true)
			if wait != want {
				t.Errorf("answer %d waits %s", i, wait)
			}
		}
		time.Sleep(time.Duration(longestQuery/queryPause+1) * burstQueries * refillQueries)
		if ask(false) != 0 {
			t.Error("time doesn't forgive")
		}
	})
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
	// Who doesn't come again, noted or not, makes room; what wasn't noted of them isn't lost.
	for i := range maxRefusals / 2 {
		r.note(sourceOf(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})), "rate", c.Now())
	}
	c.Advance(refusalEvery)
	other := sourceOf(addr(2))
	if n, due := r.note(other, "rate", c.Now()); !due || n != 1 || r.seen[refusalKey{other, "rate"}] == nil {
		t.Errorf("a new source after the flood: %d, %v", n, due)
	}
	if rest := r.seen[refusalKey{reason: "rate"}]; rest == nil || rest.n < maxRefusals/2 {
		t.Errorf("what is left to tell of the others: %+v", rest)
	}
}
