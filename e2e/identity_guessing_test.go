package e2e

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"entry/e2e/testkit"
)

// TestSoakOwnerWhileOthersGuess: 200 sources (60 in short) guess at an account without a pause;
// its owner gets in from the address that they always come from, with their
// first answers.
func TestSoakOwnerWhileOthersGuess(t *testing.T) {
	alone(t)
	guessers := testkit.Long(60, 200)
	s := initSite(t)
	home := s.startHome()
	s.setPolicy([]string{"alice"}, []string{home.Target(t, "home")}, recordAll())
	s.configure(func(c map[string]any) {
		c["limits"] = map[string]any{"startups": fmt.Sprintf("%d:30:%d", 2*guessers, 4*guessers), "per_source": 8}
	})
	s.serve()
	alice := s.enrolled("alice")
	var (
		all     sync.WaitGroup
		over    = make(chan struct{})
		guesses atomic.Int64
		let     atomic.Int64
	)
	for i := range guessers {
		all.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-over:
					return
				default:
				}
				p := &person{t: t, name: "alice"}
				p.mistakes(fmt.Sprint("guess ", n), "000000", "and again", "111111", "once more", "222222")
				if c, err := s.dialFrom(source(i), p); err == nil {
					let.Add(1)
					c.Close()
				}
				guesses.Add(1)
			}
		})
	}
	// Every source has been locked by now, and they go on.
	testkit.EventuallyWithin(t, 2*time.Minute, "the guessers are under way", func() bool { return guesses.Load() > int64(4*guessers) })
	for range 2 { // as many codes as there are without waiting
		began := time.Now()
		c, err := s.dial(alice)
		if err != nil {
			t.Errorf("the owner doesn't get in: %v (asked %q)", err, alice.asked())
			break
		}
		t.Logf("the owner is in after %s, beside %d connections of guessers so far", time.Since(began).Round(time.Millisecond), guesses.Load())
		c.Close()
		if asked := alice.asked(); len(asked) != 2 {
			t.Errorf("the owner was asked %q", asked)
		}
	}
	close(over)
	all.Wait()
	if let.Load() != 0 {
		t.Errorf("%d guesses were let in", let.Load())
	}
	s.awaitEvent("login.locked", func(e event) bool { return e.User == "alice" })
}

// refusal is how long a wrong answer of that name takes to be refused, from the
// code to the next question, and what was asked.
func (s *site) refusal(t testing.TB, name, source string) (took time.Duration, asked []string) {
	t.Helper()
	p := &person{t: t, name: name}
	var given time.Time
	p.answering(func(string) (string, bool) {
		switch p.prompted() {
		case 1:
			return "a wrong passphrase", true
		case 2:
			given = time.Now()
			return "000000", true
		}
		took = time.Since(given)
		return "", false
	})
	if c, err := s.dialFrom(source, p); err == nil {
		c.Close()
		t.Fatalf("%s is let in", name)
	}
	if asked = p.asked(); len(asked) != 3 {
		t.Fatalf("%s was asked %q", name, asked)
	}
	return took, asked
}

// prompted counts the prompts since the last call of asked.
func (p *person) prompted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.prompts)
}

// TestRefusalsLookAlike: a known and an unknown name are asked the same and
// refused in the same words, and the difference in time is none that a person
// or a script would see at once. BenchmarkRefusals measures it.
func TestRefusalsLookAlike(t *testing.T) {
	alone(t)
	s, _ := quickSite(t, recordAll())
	s.enrolled("alice")
	var known, unknown []time.Duration
	for i := range 20 {
		a, asked := s.refusal(t, "alice", source(i))
		b, other := s.refusal(t, "mallory", source(i))
		if !slices.Equal(asked, other) {
			t.Errorf("a known name sees %q, an unknown one %q", asked, other)
		}
		known, unknown = append(known, a), append(unknown, b)
	}
	// A hash that one of them lacks costs some 50 ms; a machine that is busy may
	// cost half a second.
	if a, b := median(known), median(unknown); (a - b).Abs() > testkit.Bound(500*time.Millisecond) {
		t.Errorf("medians: known %s, unknown %s", a, b)
	}
}

// BenchmarkRefusals prints the medians of 500 refusals of a known and of an
// unknown name, taken in turns, and their difference.
func BenchmarkRefusals(b *testing.B) {
	s, _ := quickSite(b, recordAll())
	s.enrolled("alice")
	const tries = 500
	for b.Loop() {
		var known, unknown []time.Duration
		for i := range tries {
			names := []string{"alice", "mallory"}
			if i%2 == 1 { // whoever comes second profits from what the first left warm
				slices.Reverse(names)
			}
			for _, name := range names {
				took, _ := s.refusal(b, name, source(i))
				if name == "alice" {
					known = append(known, took)
				} else {
					unknown = append(unknown, took)
				}
			}
		}
		a, m := median(known), median(unknown)
		b.ReportMetric(float64(a.Microseconds()), "known-µs")
		b.ReportMetric(float64(m.Microseconds()), "unknown-µs")
		b.ReportMetric(float64((a - m).Microseconds()), "difference-µs")
	}
}

func median(all []time.Duration) time.Duration {
	all = slices.Sorted(slices.Values(all))
	return all[len(all)/2]
}
