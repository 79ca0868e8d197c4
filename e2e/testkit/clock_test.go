package testkit

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := NewClock(time.Time{})
		want := func(what string, d time.Duration) {
			t.Helper()
			if got := c.Now().Sub(Noon); got != d {
				t.Errorf("%s: %s after noon, not %s", what, got, d)
			}
		}
		time.Sleep(time.Hour)
		want("it stands", 0)
		c.Advance(time.Minute)
		want("moved", time.Minute)
		c.Go()
		time.Sleep(time.Second)
		want("it goes", time.Minute+time.Second)
		c.Advance(time.Hour)
		want("moved while it goes", time.Hour+time.Minute+time.Second)
		c.Set(Noon)
		time.Sleep(time.Second)
		want("set", time.Second)
		c = NewClock(Noon)
		c.Stride(time.Second)
		want("each look is a time of its own", time.Second)
		want("each look is a time of its own", 2*time.Second)
		if got := c.Peek().Sub(Noon); got != 2*time.Second {
			t.Errorf("peeked at %s after noon", got)
		}
	})
}

func TestLong(t *testing.T) {
	for value, want := range map[string]int{"": 10, "1": 1000, "0.5": 500, "0.001": 10} {
		t.Setenv(soakVar, value)
		if got := Long(10, 1000); got != want {
			t.Errorf("with %q: %d, not %d", value, got, want)
		}
	}
	t.Setenv(soakVar, "1")
	if got := Long(time.Second, time.Hour); got != time.Hour {
		t.Errorf("%s", got)
	}
	t.Setenv(soakVar, "many")
	defer func() {
		if recover() == nil {
			t.Error("a part that is no number was taken")
		}
	}()
	Long(1, 2)
}
