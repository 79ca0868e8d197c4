package testkit

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestParseLoad(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][2]float64{
		"12.34 6.32 3.08 25/259 7881\n": {12.34, 24},
		"0.00 0.00 0.00 1/259 7881\n":   {0, 0},
		"":                              {0, 0},
		"a b c d e\n":                   {0, -1},
	} {
		if minute, now := parseLoad(text); minute != want[0] || now != want[1] {
			t.Errorf("%q is %v and %v", text, minute, now)
		}
	}
}

// It rises at once, falls slowly, and is never below 1 or out of bounds.
func TestSlownessFadesAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now, looks := 0.3, 0
		m := meter{look: func() float64 { looks++; return now }}
		for _, step := range []struct {
			wait     time.Duration
			look     float64
			from, to float64
		}{
			{0, 0.3, 1, 1},
			{lookEvery, 9, 9, 9},
			{lookEvery / 2, 1, 9, 9}, // not looked at again yet
			{halfLife, 0.3, 4.9, 5.1},
			{halfLife, 0.3, 2.9, 3.1},
			{time.Hour, 0.3, 1, 1},
			{lookEvery, 1e9, maxSlowness, maxSlowness},
		} {
			time.Sleep(step.wait)
			now = step.look
			if got := m.slowness(); got < step.from || got > step.to {
				t.Errorf("after %s, with a look that says %v: %v", step.wait, step.look, got)
			}
		}
		if looks != 6 {
			t.Errorf("looked %d times", looks)
		}
	})
}

// This machine's own reading is a number that can be worked with.
func TestLook(t *testing.T) {
	t.Parallel()
	if got := Slowness(); got < 1 || got > maxSlowness {
		t.Errorf("%v", got)
	}
	if Bound(time.Second) < time.Second || time.Until(Deadline(time.Second)) < 2*time.Second {
		t.Errorf("Bound %s, Deadline in %s", Bound(time.Second), time.Until(Deadline(time.Second)))
	}
}
