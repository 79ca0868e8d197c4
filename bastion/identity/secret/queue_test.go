package secret

import (
	"errors"
	"testing"
	"testing/synctest"
)

// TestLaterGoesLast: what nobody waits for never has more than one turn, and none
// while somebody waits.
func TestLaterGoesLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &queue{free: AtOnce}
		var order []string
		start := func(name string, later bool) (end func()) {
			over := make(chan struct{})
			go func() {
				if err := q.take(t.Context(), later); err != nil {
					t.Error(err)
				}
				order = append(order, name)
				<-over
				q.give(later)
			}()
			synctest.Wait()
			return func() { close(over); synctest.Wait() }
		}
		want := func(names ...string) {
			t.Helper()
			if len(order) != len(names) || len(names) > 0 && order[len(order)-1] != names[len(names)-1] {
				t.Errorf("%q, want %q", order, names)
			}
		}
		firstLater := start("later 1", true)
		secondLater := start("later 2", true)
		want("later 1")
		one := start("now 1", false)
		two := start("now 2", false)
		want("later 1", "now 1")
		firstLater()
		want("later 1", "now 1", "now 2")
		one()
		want("later 1", "now 1", "now 2", "later 2")
		two()
		secondLater()
		if q.free != AtOnce || q.laterRunning || len(q.now)+len(q.later) != 0 {
			t.Errorf("%+v", q)
		}
	})
}

func TestLaterIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &queue{}
		for range maxLater {
			go func() {
				if err := q.take(t.Context(), true); err == nil {
					t.Error("a turn from nowhere")
				}
			}()
		}
		synctest.Wait()
		if err := q.take(t.Context(), true); !errors.Is(err, ErrBusy) {
			t.Errorf("%v", err)
		}
	})
}
