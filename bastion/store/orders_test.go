package store

import (
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"entry/audit"
	"entry/bastion/access"
)

// ordersConformance is what every implementation of access.Orders must do.
func ordersConformance(t *testing.T, handles func(t *testing.T, n int) []*Store) {
	order := access.Order{Session: "01A", Reason: "enough", By: audit.Actor{UID: 4294967295, LoginUID: 1001, Name: "root", LoginName: "carol"}}
	stands := func(t *testing.T, s *Store, o access.Order, now time.Time, want access.Order) {
		t.Helper()
		if got, err := s.Order(t.Context(), o, now); err != nil || got != want {
			t.Fatalf("%+v, %v; want %+v", got, err, want)
		}
	}
	give := func(t *testing.T, s *Store, o access.Order, now time.Time) {
		t.Helper()
		stands(t, s, o, now, o)
	}
	want := func(t *testing.T, s *Store, now time.Time, want ...access.Order) {
		t.Helper()
		if got, err := s.Ordered(t.Context(), now); err != nil || !slices.Equal(got, want) {
			t.Errorf("%+v, %v; want %+v", got, err, want)
		}
	}
	t.Run("given, once, lapsed", func(t *testing.T) {
		s := handles(t, 2)
		before, err := s[1].Changed(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		give(t, s[0], order, day)
		if now, err := s[1].Changed(t.Context(), before); err != nil || now == before {
			t.Errorf("the other server isn't woken: %d, %v", now, err)
		}
		want(t, s[1], day, order)
		other := access.Order{Session: "01B", Reason: "more"}
		give(t, s[1], other, day.Add(time.Second))
		again := order
		again.Reason = "enough now"
		stands(t, s[1], again, day.Add(2*time.Second), order)
		want(t, s[0], day.Add(3*time.Second), order, other)
		want(t, s[0], day.Add(access.OrderLasts), other)
		give(t, s[1], again, day.Add(access.OrderLasts)) // the first has lapsed
		want(t, s[0], day.Add(access.OrderLasts), other, again)
		want(t, s[0], day.Add(time.Second+access.OrderLasts), again)
		third := access.Order{Session: "01C"}
		give(t, s[0], third, day.Add(time.Hour))
		want(t, s[0], day, third) // the others are gone, whatever the time
	})
	t.Run("taken once", func(t *testing.T) {
		all := handles(t, 4)
		give(t, all[0], order, day)
		var took atomic.Int32
		var wg sync.WaitGroup
		for _, s := range all {
			wg.Go(func() {
				ok, err := s.TakeOrder(t.Context(), order.Session)
				if err != nil {
					t.Error(err)
				}
				if ok {
					took.Add(1)
				}
			})
		}
		wg.Wait()
		if n := took.Load(); n != 1 {
			t.Errorf("%d took it", n)
		}
		want(t, all[1], day)
	})
}

func TestOrders(t *testing.T) {
	ordersConformance(t, func(t *testing.T, n int) []*Store {
		path := filepath.Join(t.TempDir(), "entry.db")
		var all []*Store
		for range n {
			all = append(all, open(t, path))
		}
		return all
	})
}
