package store

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"entry/bastion/access"
	"entry/bastion/identity"
	"entry/policy"
)

// bookConformance is what every implementation of access.Book must do.
func bookConformance(t *testing.T, handles func(t *testing.T, n int) []*Store) {
	at := netip.MustParseAddr("192.0.2.7")
	seat := policy.Seat{User: "alice", Target: "home.tinker", Source: at}
	account := func(t *testing.T, s *Store, name string) identity.Account {
		t.Helper()
		a := identity.Account{ID: "id-" + name, Name: name, Generation: 1, Epoch: 1, Created: day}
		if err := s.Create(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		return a
	}
	wait := func(t *testing.T, s *Store, id string, seat policy.Seat) string {
		t.Helper()
		r, err := s.Wait(t.Context(), access.Waiter{ID: id, Request: "r" + id, Seat: seat, Rule: "out", Until: day.Add(time.Hour)}, day)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	waiters := func(t *testing.T, s *Store, now time.Time) []access.Waiter {
		t.Helper()
		w, err := s.Waiters(t.Context(), now)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	give := func(t *testing.T, s *Store, w access.Waiter, by string, uses int) {
		t.Helper()
		if err := s.Give(t.Context(), w, policy.Approval{By: by, Rule: "out", At: day, Until: day.Add(time.Hour), Uses: uses, Acting: "as root"}); err != nil {
			t.Fatal(err)
		}
	}
	given := func(t *testing.T, s *Store, seat policy.Seat, use string, fresh bool) []policy.Approval {
		t.Helper()
		a, err := s.Given(t.Context(), seat, use, fresh, day)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}

	t.Run("requests are one over all servers", func(t *testing.T) {
		h := handles(t, 2)
		account(t, h[0], "alice")
		if err := errors.Join(h[0].Serve(t.Context(), "a"), h[1].Serve(t.Context(), "b")); err != nil {
			t.Fatal(err)
		}
		if a, b := wait(t, h[0], "1", seat), wait(t, h[1], "2", seat); a != "r1" || b != "r1" {
			t.Errorf("%s and %s", a, b)
		}
		elsewhere := seat
		elsewhere.Source = netip.MustParseAddr("2001:db8::7")
		if r := wait(t, h[1], "3", elsewhere); r != "r3" {
			t.Errorf("another address joins %s", r)
		}
		if w := waiters(t, h[0], day); len(w) != 3 || w[0].Seat != seat || w[2].Seat != elsewhere || !w[0].Until.Equal(day.Add(time.Hour)) || w[0].Account != "id-alice" {
			t.Errorf("%+v", w)
		}
		if err := h[1].Leave(t.Context(), "3"); err != nil {
			t.Fatal(err)
		}
		// A server that starts again has nobody waiting; the other one has.
		if err := h[0].Serve(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		if w := waiters(t, h[1], day); len(w) != 1 || w[0].ID != "2" || w[0].Request != "r1" {
			t.Errorf("%+v", w)
		}
		if w := waiters(t, h[1], day.Add(time.Hour)); len(w) != 0 {
			t.Errorf("after the end: %+v", w)
		}
	})

	t.Run("nobody waits too many times", func(t *testing.T) {
		s := handles(t, 1)[0]
		account(t, s, "alice")
		for i := range access.MaxWaitingEach {
			wait(t, s, fmt.Sprint(i), seat)
		}
		if _, err := s.Wait(t.Context(), access.Waiter{ID: "x", Request: "x", Seat: seat, Rule: "out", Until: day.Add(time.Hour)}, day); !errors.Is(err, access.ErrCrowded) {
			t.Errorf("%v", err)
		}
		// What is over has no place.
		if _, err := s.Wait(t.Context(), access.Waiter{ID: "x", Request: "x", Seat: seat, Rule: "out", Until: day.Add(2 * time.Hour)}, day.Add(time.Hour)); err != nil {
			t.Errorf("%v", err)
		}
	})

	t.Run("an approval is its seat's, until its end", func(t *testing.T) {
		h := handles(t, 2)
		account(t, h[0], "alice")
		account(t, h[0], "bob")
		wait(t, h[0], "1", seat)
		w := waiters(t, h[1], day)[0]
		since, err := h[0].changes(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		give(t, h[1], w, "carol", 0)
		give(t, h[1], w, "carol", 0) // stands for the one before
		give(t, h[1], w, "dave", 0)
		if now, err := h[0].changes(t.Context()); err != nil || now <= since {
			t.Errorf("nobody hears of it: %d %v", now, err)
		}
		if a := given(t, h[0], seat, "s1", false); len(a) != 2 || a[0].By != "carol" || a[1].By != "dave" || a[0].Acting != "as root" || !a[0].At.Equal(day) || !a[0].Until.Equal(day.Add(time.Hour)) {
			t.Errorf("%+v", a)
		}
		for _, o := range []policy.Seat{{User: "bob", Target: seat.Target, Source: at}, {User: "alice", Target: "x.tinker", Source: at}, {User: "alice", Target: seat.Target, Source: netip.MustParseAddr("192.0.2.8")}} {
			if a := given(t, h[0], o, "", true); len(a) != 0 {
				t.Errorf("%v has %+v", o, a)
			}
		}
		if n, err := h[0].Use(t.Context(), seat, []string{"out"}, "s1", day); n != 0 || err != nil {
			t.Errorf("one for any number is used up: %d %v", n, err)
		}
		if a, err := h[0].Approvals(t.Context(), day.Add(time.Hour)); len(a) != 0 || err != nil {
			t.Errorf("after the end: %+v %v", a, err)
		}
	})

	t.Run("one for one session", func(t *testing.T) {
		h := handles(t, 2)
		account(t, h[0], "alice")
		wait(t, h[0], "1", seat)
		w := waiters(t, h[0], day)[0]
		give(t, h[0], w, "carol", 1)
		if n := len(given(t, h[0], seat, "", true)) + 10*len(given(t, h[0], seat, "", false)) + 100*len(given(t, h[0], seat, "running", false)); n != 1 {
			t.Errorf("unused: %d", n)
		}
		var won atomic.Int32
		var winner atomic.Value
		var all sync.WaitGroup
		for i := range 40 {
			all.Go(func() {
				use := fmt.Sprint("s", i)
				n, err := h[i%2].Use(t.Context(), seat, []string{"out"}, use, day)
				if err != nil {
					t.Error(err)
				}
				if n == 1 {
					won.Add(1)
					winner.Store(use)
				}
			})
		}
		all.Wait()
		if won.Load() != 1 {
			t.Fatalf("%d sessions use it", won.Load())
		}
		use := winner.Load().(string)
		if n := len(given(t, h[1], seat, "other", true)) + 10*len(given(t, h[1], seat, use, false)) + 100*len(given(t, h[1], seat, "", true)); n != 10 {
			t.Errorf("used: %d", n)
		}
		if n, err := h[1].Use(t.Context(), seat, []string{"out"}, use, day); n != 0 || err != nil {
			t.Errorf("used twice by one: %d %v", n, err)
		}
		// The next approval is another one; the running session keeps its own.
		give(t, h[0], w, "carol", 1)
		if n := len(given(t, h[1], seat, "other", true)) + 10*len(given(t, h[1], seat, use, false)); n != 11 {
			t.Errorf("approved again: %d", n)
		}
		if a, err := h[1].Approvals(t.Context(), day); err != nil || len(a) != 2 || a[0].Used != 1 || a[1].Used != 0 || a[0].Seat != seat {
			t.Errorf("%+v %v", a, err)
		}
		if err := h[0].Unuse(t.Context(), use); err != nil {
			t.Fatal(err)
		}
		if n := len(given(t, h[1], seat, "other", true)); n != 2 {
			t.Errorf("given back: %d", n)
		}
	})

	t.Run("it goes with the access", func(t *testing.T) {
		s := handles(t, 1)[0]
		a := account(t, s, "alice")
		wait(t, s, "1", seat)
		w := waiters(t, s, day)[0]
		give(t, s, w, "carol", 0)
		a.Disabled, a.Epoch = true, 2
		g, err := s.Save(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		a.Disabled, a.Generation = false, g
		if _, err := s.Save(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		if n := len(given(t, s, seat, "", true)) + 10*len(waiters(t, s, day)); n != 0 {
			t.Errorf("kept: %d", n)
		}
		if err := s.Give(t.Context(), w, policy.Approval{By: "carol", Rule: "out", At: day, Until: day.Add(time.Hour)}); !errors.Is(err, access.ErrNoRequest) {
			t.Errorf("approved for who waited before: %v", err)
		}
		wait(t, s, "2", seat)
		give(t, s, waiters(t, s, day)[0], "carol", 1)
		if err := s.Delete(t.Context(), a.ID, g+1); err != nil {
			t.Fatal(err)
		}
		if all, err := s.Approvals(t.Context(), day); len(all)+len(waiters(t, s, day)) != 0 || err != nil {
			t.Errorf("%+v %v", all, err)
		}
	})

	t.Run("it goes with its approver", func(t *testing.T) {
		h := handles(t, 2)
		s := h[0]
		account(t, s, "alice")
		carol, dave, erin := account(t, s, "carol"), account(t, s, "dave"), account(t, s, "erin")
		wait(t, s, "1", seat)
		w := waiters(t, s, day)[0]
		for _, by := range []string{"carol", "dave", "erin", "operator"} {
			give(t, s, w, by, 0)
		}
		if n := len(given(t, s, seat, "", true)); n != 4 {
			t.Fatalf("%d count", n)
		}
		if all, err := s.Lapse(t.Context(), day); len(all) != 0 || err != nil {
			t.Errorf("lapsed: %+v %v", all, err)
		}
		carol.Disabled, carol.Epoch = true, 2
		g, err := s.Save(t.Context(), carol)
		if err != nil {
			t.Fatal(err)
		}
		erin.Ends = day.Add(time.Minute)
		if _, err := s.Save(t.Context(), erin); err != nil {
			t.Fatal(err)
		}
		if err := s.Delete(t.Context(), dave.ID, 1); err != nil {
			t.Fatal(err)
		}
		if err := s.Give(t.Context(), w, policy.Approval{By: "carol", Rule: "out", At: day, Until: day.Add(time.Hour)}); !errors.Is(err, access.ErrNotApprover) {
			t.Errorf("a disabled account approves: %v", err)
		}
		left := given(t, h[1], seat, "", true)
		if len(left) != 2 || left[0].By != "operator" || left[1].By != "erin" || !left[1].Until.Equal(erin.Ends) {
			t.Errorf("left: %+v", left)
		}
		if all, err := s.Approvals(t.Context(), day.Add(2*time.Minute)); len(all) != 1 || all[0].By != "operator" || err != nil {
			t.Errorf("after the end of erin's account: %+v %v", all, err)
		}
		all, err := h[1].Lapse(t.Context(), day)
		if err != nil || len(all) != 2 || all[0].By+all[1].By != "caroldave" || all[0].Request != "r1" {
			t.Errorf("lapsed: %+v %v", all, err)
		}
		if all, err := s.Lapse(t.Context(), day); len(all) != 0 || err != nil {
			t.Errorf("lapsed twice: %+v %v", all, err)
		}
		// Enabling the account brings nothing back.
		carol.Disabled, carol.Generation = false, g
		if _, err := s.Save(t.Context(), carol); err != nil {
			t.Fatal(err)
		}
		if n := len(given(t, s, seat, "", true)); n != 2 {
			t.Errorf("%d count", n)
		}
	})

	t.Run("requests are for what was asked for", func(t *testing.T) {
		s := handles(t, 1)[0]
		account(t, s, "alice")
		first := wait(t, s, "1", seat)
		other := access.Waiter{ID: "2", Request: "r2", Seat: seat, Rule: "out", Gives: "more", Until: day.Add(time.Hour)}
		if r, err := s.Wait(t.Context(), other, day); r == first || err != nil {
			t.Errorf("joined %q %v", r, err)
		}
		for _, w := range waiters(t, s, day) {
			if (w.Gives == "more") != (w.ID == "2") {
				t.Errorf("%+v", w)
			}
			if w.ID == "2" {
				if err := s.Give(t.Context(), w, policy.Approval{By: "carol", Rule: "out", Gives: w.Gives, At: day, Until: day.Add(time.Hour)}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if all := given(t, s, seat, "", true); len(all) != 1 || all[0].Gives != "more" {
			t.Errorf("%+v", all)
		}
	})

	t.Run("an approval is withdrawn", func(t *testing.T) {
		h := handles(t, 2)
		account(t, h[0], "alice")
		r := wait(t, h[0], "1", seat)
		w := waiters(t, h[0], day)[0]
		give(t, h[0], w, "carol", 1)
		give(t, h[0], w, "dave", 0)
		if n, err := h[0].Use(t.Context(), seat, []string{"out"}, "s1", day); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		all, err := h[1].Approvals(t.Context(), day)
		if err != nil || len(all) != 2 || all[0].Request != r || all[1].Request != r {
			t.Fatalf("%+v %v", all, err)
		}
		since, err := h[0].Changed(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(h[1].Withdraw(t.Context(), "other", "carol"), h[1].Withdraw(t.Context(), r, "erin"), h[1].Withdraw(t.Context(), r, "carol")); err != nil {
			t.Fatal(err)
		}
		if _, err := h[0].Changed(t.Context(), since); err != nil {
			t.Error("nobody is woken:", err)
		}
		if left := given(t, h[0], seat, "s1", true); len(left) != 1 || left[0].By != "dave" {
			t.Errorf("left: %+v", left)
		}
	})
}

func TestSQLiteKeepsTheBook(t *testing.T) {
	bookConformance(t, func(t *testing.T, n int) []*Store {
		path := filepath.Join(t.TempDir(), "entry.db")
		var all []*Store
		for range n {
			all = append(all, open(t, path))
		}
		return all
	})
}
