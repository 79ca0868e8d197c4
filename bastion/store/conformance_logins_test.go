package store

import (
	"fmt"
	"net/netip"
	"reflect"
	"sync"
	"testing"
	"time"

	"entry/audit"
	"entry/bastion/identity"
)

// conformLogins: past logins, and keys that are remembered after one.
func conformLogins(t *testing.T, handles func(t *testing.T, n int) []identity.Store) {
	t.Run("record login", func(t *testing.T) {
		s := one(t, handles)
		a := full("alice")
		create(t, s, a)
		in := func(at time.Time) identity.LoginInfo {
			return identity.LoginInfo{At: at, Source: "192.0.2.7", Method: "passphrase+otp"}
		}
		is(t, s.RecordLogin(t.Context(), a.ID, 1, in(day), nil), identity.ErrChanged) // disabled
		a.Disabled = false
		if _, err := s.Save(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		is(t, s.RecordLogin(t.Context(), a.ID, 1, in(day), nil), identity.ErrChanged)
		if all, err := s.LastLogins(t.Context(), a.ID); err != nil || len(all) != 0 {
			t.Errorf("what failed is listed: %v %v", all, err)
		}
		var want []identity.LoginInfo
		for i := range 30 {
			l := in(day.Add(time.Duration(i) * time.Hour))
			if err := s.RecordLogin(t.Context(), a.ID, 2, l, nil); err != nil {
				t.Fatal(err)
			}
			want = append([]identity.LoginInfo{l}, want...)
		}
		if got := read(t, s, "alice"); !got.LastLogin.Equal(want[0].At) || got.Generation != 2 {
			t.Errorf("%+v", got)
		}
		for since, at := range map[time.Time]time.Time{day: want[0].At, want[0].At: want[0].At, want[0].At.Add(time.Microsecond): {}} {
			if all, err := s.Sources(t.Context(), since); err != nil || at.IsZero() != (len(all) == 0) || len(all) > 0 && (!all[0].At.Equal(at) || all[0].Source != "192.0.2.7") {
				t.Errorf("sources since %s: %+v, %v", since, all, err)
			}
		}
		if all, err := s.LastLogins(t.Context(), a.ID); err != nil || !reflect.DeepEqual(all, want[:20]) {
			t.Errorf("%v %v", all, err)
		}
	})

	remembered := func(network string, until time.Time) identity.Remembrance {
		return identity.Remembrance{
			Fingerprint: "SHA256:x", Network: netip.MustParsePrefix(network), Authenticator: "id-alice-d2", Since: day, Until: until,
		}
	}
	t.Run("a key is remembered, renewed, used, forgotten, and ends", func(t *testing.T) {
		s := one(t, handles)
		a := full("alice")
		a.Disabled = false
		create(t, s, a)
		l := identity.LoginInfo{At: day, Source: "192.0.2.7", Method: "publickey+otp"}
		first, second, third := remembered("192.0.2.7/32", day.Add(time.Hour)), remembered("2001:db8::/64", day.Add(2*time.Hour)), remembered("192.0.2.7/32", day.Add(3*time.Hour))
		second.Authenticator = ""
		for _, r := range []identity.Remembrance{first, second, third} {
			if err := s.RecordLogin(t.Context(), a.ID, 1, l, &r); err != nil {
				t.Fatal(err)
			}
		}
		if got := read(t, s, "alice").Remembered; !reflect.DeepEqual(got, []identity.Remembrance{third, second}) {
			t.Errorf("%+v", got)
		}
		is(t, s.RecordRemembered(t.Context(), a.ID, 1, l, first), identity.ErrChanged) // renewed meanwhile
		is(t, s.RecordRemembered(t.Context(), a.ID, 7, l, third), identity.ErrChanged)
		l.At = day.Add(time.Minute)
		if err := s.RecordRemembered(t.Context(), a.ID, 1, l, third); err != nil {
			t.Fatal(err)
		}
		third.Used = l.At
		if got := read(t, s, "alice").Remembered; !reflect.DeepEqual(got, []identity.Remembrance{third, second}) {
			t.Errorf("%+v", got)
		}
		if err := s.Forget(t.Context(), a.ID, "SHA256:y"); err != nil {
			t.Error(err)
		}
		l.At = day.Add(2 * time.Hour) // the second has ended
		if err := s.RecordLogin(t.Context(), a.ID, 1, l, nil); err != nil {
			t.Error(err)
		}
		if got := read(t, s, "alice").Remembered; !reflect.DeepEqual(got, []identity.Remembrance{third}) {
			t.Errorf("%+v", got)
		}
		if err := s.Forget(t.Context(), a.ID, ""); err != nil {
			t.Error(err)
		}
		if got := read(t, s, "alice").Remembered; got != nil {
			t.Errorf("%+v", got)
		}
		is(t, s.RecordRemembered(t.Context(), a.ID, 1, l, third), identity.ErrChanged)
		stranger := remembered("192.0.2.7/32", day.Add(time.Hour))
		stranger.Fingerprint = "SHA256:y"
		if err := s.RecordLogin(t.Context(), a.ID, 1, l, &stranger); err == nil {
			t.Error("a key that the account doesn't have was remembered")
		}
	})

	t.Run("save takes away what was remembered by what it takes away", func(t *testing.T) {
		for name, c := range map[string]struct {
			edit func(*identity.Account)
			left int
		}{
			"nothing":             {func(*identity.Account) {}, 2},
			"epoch":               {func(a *identity.Account) { a.Epoch++ }, 0},
			"passphrase":          {func(a *identity.Account) { a.PassphraseSet = day.Add(time.Hour) }, 0},
			"key":                 {func(a *identity.Account) { a.Keys = nil }, 0},
			"authenticator":       {func(a *identity.Account) { a.Authenticators = a.Authenticators[:1] }, 1},
			"other authenticator": {func(a *identity.Account) { a.Authenticators = a.Authenticators[1:] }, 2},
			"lost race":           {func(a *identity.Account) { a.Epoch++; a.Generation++ }, 2},
		} {
			s := one(t, handles)
			a := full("alice")
			a.Disabled = false
			create(t, s, a)
			by, touch := remembered("192.0.2.7/32", day.Add(time.Hour)), remembered("192.0.2.8/32", day.Add(time.Hour))
			touch.Authenticator = ""
			for _, r := range []identity.Remembrance{by, touch} {
				if err := s.RecordLogin(t.Context(), a.ID, 1, identity.LoginInfo{At: day}, &r); err != nil {
					t.Fatal(err)
				}
			}
			c.edit(&a)
			if _, err := s.Save(t.Context(), a); err != nil && a.Generation == 1 {
				t.Fatal(err)
			}
			if got := read(t, s, "alice").Remembered; len(got) != c.left {
				t.Errorf("%s: %d left, want %d", name, len(got), c.left)
			}
		}
	})

	t.Run("a reset that waits is saved and cleared", func(t *testing.T) {
		s := one(t, handles)
		create(t, s, full("alice"))
		a := read(t, s, "alice")
		a.Pending = &identity.PendingReset{By: audit.Actor{UID: 4294967295, LoginUID: 1001, Name: "carol"}, Asked: day, PassphraseOnly: true}
		if _, err := s.Save(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		got := read(t, s, "alice")
		if !reflect.DeepEqual(got.Pending, a.Pending) {
			t.Errorf("%+v", got.Pending)
		}
		got.Pending = nil
		if _, err := s.Save(t.Context(), got); err != nil {
			t.Fatal(err)
		}
		if got := read(t, s, "alice"); got.Pending != nil {
			t.Errorf("%+v", got.Pending)
		}
	})
}

// conformLimits: what is counted against guessing, and doing things at once.
func conformLimits(t *testing.T, handles func(t *testing.T, n int) []identity.Store) {
	t.Run("steps are lowered, never raised", func(t *testing.T) {
		s := one(t, handles)
		create(t, s, full("alice"))
		create(t, s, full("bob"))
		if ok, err := s.SpendStep(t.Context(), "id-alice-d1", 900, day); err != nil || !ok {
			t.Fatal(ok, err)
		}
		if err := s.LowerSteps(t.Context(), "id-alice", 50); err != nil {
			t.Fatal(err)
		}
		a := read(t, s, "alice")
		if a.Authenticators[0].LastStep != 50 || a.Authenticators[1].LastStep != 6 || a.Generation != 1 {
			t.Errorf("%+v", a.Authenticators)
		}
	})

	t.Run("tallies are edited in one transaction", func(t *testing.T) {
		h := handles(t, 2)
		keys := []identity.TallyKey{{1}, {2}}
		want := identity.Tally{Failures: 3, Since: day, Locked: day.Add(time.Hour), Trusted: day.Add(time.Minute), Keep: day.Add(2 * time.Hour)}
		for i, keep := range []bool{false, true} {
			err := h[0].Count(t.Context(), day, func(all []identity.Tally) bool {
				if !reflect.DeepEqual(all, make([]identity.Tally, 2)) {
					t.Errorf("%d: %+v", i, all)
				}
				all[0] = want
				return keep
			}, keys...)
			if err != nil {
				t.Fatal(err)
			}
		}
		if got, err := h[1].Tallies(t.Context(), keys...); err != nil || !reflect.DeepEqual(got, []identity.Tally{want, {}}) {
			t.Errorf("%+v %v", got, err)
		}
		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() {
				if err := h[i%2].Count(t.Context(), day, func(all []identity.Tally) bool { all[0].Failures++; return true }, identity.TallyKey{3}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got, err := h[1].Tallies(t.Context(), identity.TallyKey{3}); err != nil || got[0].Failures != 200 {
			t.Errorf("%+v %v", got, err)
		}
	})

	t.Run("failures and a lock are counted with tallies, and cleared", func(t *testing.T) {
		s := one(t, handles)
		create(t, s, full("alice"))
		key, end := identity.TallyKey{4}, day.Add(time.Hour)
		for _, id := range []string{"id-alice", "nobody"} { // whose tallies count, and nothing else
			if err := s.CountFailures(t.Context(), id, day, func(all []identity.Tally) bool {
				if len(all) != 2 || all[0] != (identity.Tally{}) {
					t.Errorf("%s begins with %+v", id, all)
				}
				all[0] = identity.Tally{Failures: 3, Since: day, Locked: end}
				all[1].Failures++
				all[1].Keep = end
				return true
			}, key); err != nil {
				t.Fatal(err)
			}
		}
		if got := read(t, s, "alice"); got.Failures != 3 || !got.FailuresSince.Equal(day) || !got.LockedUntil.Equal(end) || got.Generation != 1 {
			t.Errorf("%+v", got)
		}
		if err := s.CountFailures(t.Context(), "id-alice", day, func(all []identity.Tally) bool {
			if all[0].Failures != 3 || !all[0].Since.Equal(day) || !all[0].Locked.Equal(end) || all[1].Failures != 2 {
				t.Errorf("%+v", all)
			}
			all[0], all[1] = identity.Tally{}, identity.Tally{}
			return false
		}, key); err != nil {
			t.Fatal(err)
		}
		if got := read(t, s, "alice"); got.Failures != 3 {
			t.Errorf("what edit didn't want stored was: %+v", got)
		}
		if err := s.ClearFailures(t.Context(), "id-alice"); err != nil {
			t.Fatal(err)
		}
		if got := read(t, s, "alice"); !got.LockedUntil.IsZero() || got.Failures != 0 {
			t.Errorf("%+v", got)
		}
	})

	t.Run("no failure is lost in parallel", func(t *testing.T) {
		h := handles(t, 2)
		create(t, h[0], full("alice"))
		var wg sync.WaitGroup
		for i := range 60 {
			wg.Go(func() {
				if err := h[i%2].CountFailures(t.Context(), "id-alice", day, func(all []identity.Tally) bool { all[0].Failures++; return true }); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := read(t, h[1], "alice"); got.Failures != 60 {
			t.Errorf("%d counted", got.Failures)
		}
	})

	t.Run("readers don't wait for writers", func(t *testing.T) {
		h := handles(t, 2)
		create(t, h[0], full("alice"))
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				name := fmt.Sprintf("user%d", i)
				if i%2 == 0 {
					create(t, h[0], full(name))
				} else if _, err := h[1].Account(t.Context(), "alice"); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
}
