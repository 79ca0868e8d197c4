package secret

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
)

// TestTurns: who goes behind others never has more than one turn, so that the other one
// is free at once for who goes first; among them who is waited for comes before what
// nobody waits for.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &queue{free: AtOnce}
		var order []string
		start := func(name string, kind turn) (end func()) {
			over := make(chan struct{})
			go func() {
				if err := q.take(t.Context(), kind, ""); err != nil {
					t.Error(err)
				}
				order = append(order, name)
				<-over
				q.give(kind)
			}()
			synctest.Wait()
			return func() { close(over); synctest.Wait() }
		}
		want := func(names ...string) {
			t.Helper()
			if !slices.Equal(order, names) {
				t.Errorf("%q, want %q", order, names)
			}
			order = nil
		}
		later1 := start("later 1", later)
		later2 := start("later 2", later)
		ahead1 := start("ahead 1", ahead)
		ahead2 := start("ahead 2", ahead)
		want("later 1")
		one := start("first 1", first)
		two := start("first 2", first)
		want("first 1")
		later1()
		want("first 2")
		one()
		want("ahead 1")
		two()
		want()
		three := start("first 3", first)
		want("first 3")
		ahead1()
		want("ahead 2")
		ahead2()
		want("later 2")
		three()
		later2()
		if q.free != AtOnce || q.behind || len(slices.Concat(q.waiting[:]...)) != 0 {
			t.Errorf("%+v", q)
		}
	})
}

func TestWhoGoesBehindIsBounded(t *testing.T) {
	for _, kind := range []turn{inside, ahead, later} {
		synctest.Test(t, func(t *testing.T) {
			q := &queue{}
			for range maxBehind {
				go func() {
					if err := q.take(t.Context(), kind, ""); err == nil {
						t.Error("a turn from nowhere")
					}
				}()
			}
			synctest.Wait()
			if err := q.take(t.Context(), kind, ""); !errors.Is(err, ErrBusy) {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestTurnsInside: what one user asks inside connections, as often as one can, goes behind
// every login, keeps no stranger out, and has others' between. Logins once waited behind
// it, for longer than they may.
func TestTurnsInside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &queue{free: AtOnce}
		var order []string
		next := make(chan struct{})
		start := func(name string, kind turn, of string) {
			go func() {
				if err := q.take(t.Context(), kind, of); err != nil {
					t.Error(err)
					return
				}
				order = append(order, name)
				<-next
				q.give(kind)
			}()
			synctest.Wait()
		}
		for range maxBehindOf + 1 { // one has its turn
			start("alice inside", inside, "alice")
		}
		if err := q.take(t.Context(), inside, "alice"); !errors.Is(err, ErrBusy) {
			t.Errorf("one more of alice's: %v", err)
		}
		start("bob inside", inside, "bob")
		start("carol from a new network", ahead, "")
		start("dan", first, "")
		start("erin", first, "")
		if want := []string{"alice inside", "dan"}; !slices.Equal(order, want) {
			t.Errorf("%q, want %q", order, want)
		}
		for range maxBehindOf + 5 {
			next <- struct{}{}
			synctest.Wait()
		}
		if want := []string{"alice inside", "dan", "erin", "carol from a new network", "bob inside", "alice inside"}; !slices.Equal(slices.Compact(order), want) {
			t.Errorf("%q, want %q", order, want)
		}
	})
}
