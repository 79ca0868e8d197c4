package testkit

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"
)

const (
	// Soon bounds a wait for what should happen at once, on a quiet machine.
	Soon = 20 * time.Second

	// CommandTime bounds one command from its start to its end, likewise.
	CommandTime = 60 * time.Second

	// longestTick is how far apart two looks at a condition are at most.
	longestTick = 50 * time.Millisecond
)

// Bound is d on a quiet machine, and as much longer as this one is slower now.
// It is for what must know a number beforehand and for times that are part of a
// promise; a wait takes Within and its like, which look again.
func Bound(d time.Duration) time.Duration {
	return time.Duration(float64(d) * Slowness())
}

// Deadline is a time at which a connection that hangs may be given up: d from
// now on a quiet machine at the earliest. A deadline can't see what comes, so it
// is thrice as generous as Bound.
func Deadline(d time.Duration) time.Time { return time.Now().Add(3 * Bound(d)) }

// patience is a bound that is being used up.
type patience struct {
	left time.Duration // of a quiet machine's time
	seen time.Time
}

func newPatience(d time.Duration) *patience { return &patience{left: d, seen: time.Now()} }

// spent charges the time since the last call and reports whether the bound is
// used up.
func (p *patience) spent() bool {
	now := time.Now()
	// A caller looks every longestTick or so. If it got no processor for longer
	// than that, neither did what it waits for.
	passed := min(now.Sub(p.seen), 10*longestTick)
	p.seen = now
	p.left -= time.Duration(float64(passed) / Slowness())
	return p.left <= 0
}

// Within reports whether ok holds before d, in the time of a quiet machine, is
// over. It asks at once and often at first, and never spends more than half of
// the time on asking. ok runs on the caller's goroutine.
func Within(d time.Duration, ok func() bool) bool {
	p := newPatience(d)
	for tick := time.Millisecond; ; tick = min(tick*5/4, longestTick) {
		began := time.Now()
		if ok() {
			return true
		}
		if p.spent() {
			return false
		}
		time.Sleep(max(tick, time.Since(began)))
	}
}

// Eventually waits until ok holds and fails the test if it doesn't Soon.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	EventuallyWithin(t, Soon, what, ok)
}

// EventuallyWithin is Eventually with a bound of its own, for what takes its
// time on a quiet machine too.
func EventuallyWithin(t testing.TB, d time.Duration, what string, ok func() bool) {
	t.Helper()
	if !Within(d, ok) {
		t.Fatalf("never: %s (%s)", what, waited(d))
	}
}

// waited says for a failure what a bound was.
func waited(d time.Duration) string {
	return fmt.Sprintf("waited %s of a quiet machine, which this one is slower than by %.1f", d, Slowness())
}

// Receive waits for a value from ch, or for its end, and fails the test if there
// is none Soon.
func Receive[T any](t testing.TB, what string, ch <-chan T) T {
	t.Helper()
	v, ok := ReceiveWithin(Soon, ch)
	if !ok {
		t.Fatalf("never: %s (%s)\n%s", what, waited(Soon), stacks())
	}
	return v
}

// ReceiveWithin is Receive with a bound of its own; ok tells whether there was a
// value or an end before it.
func ReceiveWithin[T any](d time.Duration, ch <-chan T) (v T, ok bool) {
	p := newPatience(d)
	tick := time.NewTicker(longestTick)
	defer tick.Stop()
	for {
		select {
		case v := <-ch:
			return v, true
		case <-tick.C:
			if p.spent() {
				return v, false
			}
		}
	}
}

// Finishes runs f on a goroutine of its own and fails the test, with everybody's
// stacks, if it doesn't return Soon.
func Finishes(t testing.TB, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	Receive(t, what, done)
}

func stacks() string {
	b := make([]byte, 1<<20)
	return string(b[:runtime.Stack(b, true)])
}

// Context ends when d, in the time of a quiet machine, is over, and when the
// test is. The cause of the former says so.
func Context(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if _, ok := ReceiveWithin(d, ctx.Done()); !ok {
			cancel(fmt.Errorf("%w: %s", context.DeadlineExceeded, waited(d)))
		}
	}()
	t.Cleanup(func() { cancel(nil); <-ended })
	return ctx
}
