package testkit

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// failing catches what a test would have died of.
type failing struct {
	testing.TB
	said string
}

func (f *failing) Helper() {}

func (f *failing) Fatalf(format string, args ...any) {
	f.said = format
	runtime.Goexit()
}

// fails runs f and reports what it fails with, if it does.
func fails(t *testing.T, f func(testing.TB)) string {
	t.Helper()
	var all sync.WaitGroup
	tb := &failing{TB: t}
	all.Go(func() { f(tb) })
	all.Wait()
	return tb.said
}

func TestWaitsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		if !Within(time.Minute, func() bool { asked++; return asked == 3 }) || asked != 3 {
			t.Errorf("asked %d times", asked)
		}
		began := time.Now()
		if Within(10*time.Second, func() bool { return false }) {
			t.Error("what never holds held")
		}
		if took := time.Since(began); took < 10*time.Second {
			t.Errorf("gave up after %s", took)
		}
		if fails(t, func(t testing.TB) { Eventually(t, "it holds", func() bool { return false }) }) == "" {
			t.Error("Eventually passes what never holds")
		}
	})
}

// A caller that was held up itself isn't charged for all of it: what it waits
// for was held up as well.
func TestPatienceForOneself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPatience(time.Second)
		time.Sleep(time.Hour)
		if p.spent() {
			t.Error("spent at one look")
		}
		for range 2 * int(maxSlowness) {
			time.Sleep(time.Hour)
			if p.spent() {
				return
			}
		}
		t.Error("never spent")
	})
}

func TestReceive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ch := make(chan int)
		go func() { time.Sleep(time.Second); ch <- 7; close(ch) }()
		if v := Receive(t, "a value", ch); v != 7 {
			t.Errorf("%d", v)
		}
		if v := Receive(t, "the end", ch); v != 0 {
			t.Errorf("%d", v)
		}
		if _, ok := ReceiveWithin(time.Second, make(chan int)); ok {
			t.Error("something came from where nobody sends")
		}
	})
}

func TestFinishesShowsWhereItHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		over := make(chan struct{})
		defer close(over)
		if fails(t, func(t testing.TB) { Finishes(t, "it", func() { <-over }) }) == "" {
			t.Error("what never ends finished")
		}
	})
}

func TestContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx := Context(t, time.Second)
		<-ctx.Done()
		if cause := context.Cause(ctx); !errors.Is(cause, context.DeadlineExceeded) || !strings.Contains(cause.Error(), "quiet machine") {
			t.Errorf("%v", cause)
		}
	})
}
