package bastion

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"entry/audit"
	"entry/bastion/identity"
	"entry/configs"
	"entry/e2e/testkit"
)

// exchange is how long a key exchange takes.
const exchange = 300 * time.Millisecond

// typists are dialogues that answer junk each pace and begin anew when they end: at
// their own time, at the grace's, or when they make room.
type typists struct {
	addresses, each int
	pace, leave     time.Duration
}

func (y typists) begin(ctx context.Context, d *door, all *sync.WaitGroup) {
	for i := range y.addresses * y.each {
		all.Go(func() {
			for ctx.Err() == nil {
				ended := make(chan struct{})
				tk, _ := d.enter(ctx, addr(i%y.addresses), func() { close(ended) })
				if tk != nil {
					pause(ctx, exchange)
					tk.answered()
					y.dialogue(ctx, tk, ended)
					tk.leave(false)
				}
				pause(ctx, 200*time.Millisecond)
			}
		})
	}
}

func (y typists) dialogue(ctx context.Context, tk *ticket, ended chan struct{}) {
	over := time.NewTimer(y.leave)
	defer over.Stop()
	answer := time.NewTicker(y.pace)
	defer answer.Stop()
	for n := 1; n <= 6; n++ {
		select {
		case <-answer.C:
			tk.answered()
			if n%2 == 0 {
				tk.wasRefused() // after a passphrase and a code
			}
		case <-over.C:
			return
		case <-ended:
			return
		case <-ctx.Done():
			return
		}
	}
}

// Whoever types junk slowly from many addresses has each of them for one turn: most
// newcomers are asked within two tries, and those from known networks all at once.
func TestSoakTypistsTakeTurns(t *testing.T) {
	const grace = 120 * time.Second
	small := configs.Startups{Begin: 4, Rate: 30, Full: 20}
	many, places := testkit.Long(20, 100), small
	if many == 100 {
		places = configs.Default().Limits.Startups
	}
	for name, c := range map[string]struct {
		typists
		places configs.Startups
		from   time.Duration // when the first newcomer comes
	}{
		"an answer each 18 s":                    {typists{many, 2, 18 * time.Second, grace}, places, 25 * time.Second},
		"one in 59 s":                            {typists{20, 2, 59 * time.Second, grace}, small, 25 * time.Second},
		"that begin anew before their turn ends": {typists{20, 2, 18 * time.Second, 59 * time.Second}, small, 70 * time.Second},
		"each with an address of its own":        {typists{40, 1, 18 * time.Second, grace}, small, 125 * time.Second},
		"of an address of its own in 59 s":       {typists{40, 1, 59 * time.Second, 59 * time.Second}, small, 125 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDoor(c.places, 8)
				d.mustTry(t, addr(9000)).leave(true) // its network is known
				ctx, cancel := context.WithCancel(t.Context())
				var all sync.WaitGroup
				c.begin(ctx, d, &all)
				defer all.Wait()
				defer cancel()
				time.Sleep(c.from)
				in := 0
				const newcomers = 12
				for i := range newcomers {
					for range 2 {
						tk, _ := d.try(addr(5000 + i))
						if tk == nil {
							continue
						}
						time.Sleep(exchange)
						tk.answered()
						time.Sleep(10 * time.Second)
						if tk.leave(false); !tk.madeRoom() {
							in++
							break
						}
					}
					began := time.Now()
					if d.mustTry(t, addr(9000)).leave(true); time.Since(began) != 0 {
						t.Errorf("a known network waits for %s", time.Since(began))
					}
				}
				t.Logf("%d of %d within two tries", in, newcomers)
				if in < newcomers*8/10 {
					t.Errorf("%d of %d newcomers are asked within two tries", in, newcomers)
				}
			})
		})
	}
}

// A course whose first day begins beside typists gets in, and nobody of it makes room
// while they type: neither at first, nor once one of them is in an enrolment, however
// long the others look for their notes.
func TestACourseBesideTypists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(configs.Default().Limits.Startups, 8)
		ctx, cancel := context.WithCancel(t.Context())
		var all, course sync.WaitGroup
		typists{65, 2, 18 * time.Second, 120 * time.Second}.begin(ctx, d, &all)
		defer all.Wait()
		defer cancel()
		time.Sleep(130 * time.Second)
		for i := range 30 {
			course.Go(func() {
				time.Sleep(time.Duration(i) * 200 * time.Millisecond)
				tk, why := d.try(addr(7000))
				if tk == nil {
					tk, why = d.try(addr(7000))
				}
				if tk == nil {
					t.Errorf("one of the course is refused: %s", why)
					return
				}
				time.Sleep(exchange)
				tk.answered()
				for n := range 1 + i%5 { // some mistype it, again and again
					time.Sleep(25 * time.Second)
					if tk.answered(); n == 2 {
						tk.wasRefused()
					}
					if tk.madeRoom() {
						t.Errorf("student %d makes room while typing", i)
					}
				}
				if !tk.enrol(fmt.Sprint("student", i)) {
					t.Errorf("student %d isn't in an enrolment", i)
				}
				time.Sleep(time.Minute)
				if tk.madeRoom() {
					t.Errorf("student %d makes room", i)
				}
				tk.leave(true)
			})
		}
		course.Wait()
	})
}

// One temporary passphrase doesn't shelter a hundred dialogues: of those beside an
// enrolment the last sixteen are a course, the others make room.
func TestAnEnrolmentSheltersACourse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(configs.Startups{Begin: 30, Rate: 30, Full: 30}, 8)
		var slow []*ticket
		for range 30 {
			tk := d.mustTry(t, addr(1))
			tk.answered()
			slow = append(slow, tk)
			time.Sleep(time.Millisecond)
		}
		if !slow[29].enrol("guest") {
			t.Fatal("no enrolment")
		}
		d.mustTry(t, addr(1)).answered() // in its place
		time.Sleep(turn + time.Second)
		for _, tk := range slow[:29] { // they type, and are told again and again
			tk.answered()
			tk.wasRefused()
		}
		in := 0
		for i := range 20 { // each from a network of its own
			if tk, _ := d.try(addr(10 + i)); tk != nil {
				tk.answered()
				in++
			}
		}
		if want := 30 - course; in < want {
			t.Errorf("%d newcomers are in, want %d", in, want)
		}
		kept := 0
		for _, tk := range slow[:29] {
			if !tk.madeRoom() {
				kept++
			}
		}
		if kept < course-1 {
			t.Errorf("%d of the old ones are left, want %d with the new one", kept, course-1)
		}
	})
}

// Nor do networks with a login before, that keep all places, theirs included, with
// dialogues that outstay their turn, keep out one that has none.
func TestKnownNetworksMakeRoomForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(configs.Startups{Begin: 8, Rate: 30, Full: 16}, 8)
		for i := range 4 {
			d.mustTry(t, addr(i)).leave(true)
		}
		d.mustTry(t, addr(9000)).leave(true)
		var all []*ticket
		for i := range 24 {
			tk := d.mustTry(t, addr(i%3))
			tk.answered()
			all = append(all, tk)
		}
		time.Sleep(turn + time.Second)
		for _, tk := range all {
			tk.answered()
			tk.wasRefused()
		}
		began := time.Now()
		tk := d.mustTry(t, addr(9000))
		tk.answered()
		if waited := time.Since(began); waited > patience {
			t.Errorf("it waits for %s", waited)
		}
		// One that has a dialogue open takes no other one's place.
		if tk, _ := d.try(addr(9000)); tk != nil {
			t.Error("a second one got a place")
		}
	})
}

// Nor with one dialogue each, whose turn isn't over, whoever begins them anew: the
// newcomer is in within some seconds at any time, and types for as long as it needs to.
func TestKnownNetworksSquatWithOneEach(t *testing.T) {
	for name, y := range map[string]typists{
		"one answer in 50 s":    {40, 1, 50 * time.Second, 120 * time.Second},
		"an answer each 3 s":    {40, 1, 3 * time.Second, 120 * time.Second},
		"new ones each 4 s":     {40, 1, time.Minute, 4 * time.Second},
		"eight at each of five": {5, 8, 50 * time.Second, 120 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDoor(configs.Startups{Begin: 4, Rate: 30, Full: 20}, 8)
				for i := range y.addresses {
					d.mustTry(t, addr(i)).leave(true)
				}
				ctx, cancel := context.WithCancel(t.Context())
				var all sync.WaitGroup
				y.begin(ctx, d, &all)
				defer all.Wait()
				defer cancel()
				for i := range 6 {
					time.Sleep(10 * time.Second)
					d.mu.Lock()
					d.familiar.note(sourceOf(addr(9000+i)), d.now())
					d.mu.Unlock()
					began := time.Now()
					tk, why := d.try(addr(9000 + i))
					if waited := time.Since(began); tk == nil || waited > 2*clearly {
						t.Errorf("newcomer %d: %q after %s", i, why, waited)
						continue
					}
					time.Sleep(exchange)
					tk.answered()
					for range 2 {
						time.Sleep(12 * time.Second)
						tk.answered()
					}
					if tk.madeRoom() {
						t.Errorf("newcomer %d makes room while typing", i)
					}
					tk.leave(true)
				}
			})
		})
	}
}

// What an unknown network has had of the places is forgiven slowly, and counts for a
// whole IPv6 /48.
func TestTurnsAreForgiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(wide, 8)
		modest := func(from string) bool {
			d.mu.Lock()
			defer d.mu.Unlock()
			return d.modest(sourceOf(netip.MustParseAddr(from)), d.now())
		}
		tk := d.mustTry(t, netip.MustParseAddr("2001:db8::1"))
		tk.answered()
		time.Sleep(turn - time.Second)
		if !modest("2001:db8::1") {
			t.Error("before its turn is over")
		}
		time.Sleep(time.Second)
		if modest("2001:db8::1") || modest("2001:db8:0:1::1") || !modest("2001:db8:1::1") {
			t.Error("while it is open")
		}
		tk.leave(false)
		if modest("2001:db8:0:1::1") {
			t.Error("after it")
		}
		time.Sleep(31 * refillTurns)
		if !modest("2001:db8:0:1::1") {
			t.Error("later")
		}
	})
}

// When the queue for places is full, those wait on whose sources have fewest
// connections.
func TestTheQueueIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(configs.Startups{Begin: 4, Rate: 30, Full: 4}, 8)
		for i := range 4 {
			d.mustTry(t, addr(i)).answered()
		}
		var all sync.WaitGroup
		results := make(chan time.Duration, 8)
		for i := range 8 { // of those that have places, each twice
			all.Go(func() {
				began := time.Now()
				if tk, _ := d.try(addr(i % 4)); tk != nil {
					t.Error("there was a place")
				}
				results <- time.Since(began)
			})
			synctest.Wait()
		}
		time.Sleep(time.Second)
		began := time.Now()
		if tk, why := d.try(addr(100)); tk != nil || why != "startups" || time.Since(began) != longHolding {
			t.Errorf("a newcomer waits for %s: %v, %q", time.Since(began), tk, why)
		}
		all.Wait()
		waited := 0
		for range 8 {
			if <-results == longHolding {
				waited++
			}
		}
		if waited != 3 { // one gave way to the newcomer, and four to later ones
			t.Errorf("%d waited to the end", waited)
		}
	})
}

// What a dialogue came to is noted with the connection's place.
func TestVerdictsAreNoted(t *testing.T) {
	auth, err := identity.New(identity.Options{
		Config: configs.Default(), Store: nobody{}, Secret: make([]byte, 32),
		Events: func(context.Context, ...audit.Event) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { testkit.Check(t, auth.Close(context.Background())) })
	a := newAdmission(wide, 8, time.Now)
	tk, _ := a.enter(t.Context(), addr(1), func() {})
	state, rounds := identity.NewConnState(), 0
	ask := asker(func(_, _ string, q []string, _ []bool) ([]string, error) {
		if rounds++; tk.refused != (rounds > 2) {
			t.Errorf("at %q: %v", q, tk.refused)
		}
		if rounds > 3 {
			return nil, io.EOF
		}
		return []string{"xx"}, nil
	})
	if _, err := auth.Login(t.Context(), identity.Attempt{Name: "alice", Source: netip.MustParseAddrPort("127.0.0.1:1")}, state, attentive{ask, tk, state}); err == nil || rounds < 4 {
		t.Errorf("%v after %d rounds", err, rounds)
	}
}
