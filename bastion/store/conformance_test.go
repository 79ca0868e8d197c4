package store

import (
	"errors"
	"net/netip"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"entry/bastion/identity"
)

var day = time.Date(2026, 3, 1, 12, 0, 0, 123000, time.UTC)

func full(name string) identity.Account {
	id := "id-" + name
	return identity.Account{
		ID: id, Name: name, Generation: 1, Epoch: 2, Disabled: true,
		Passphrase: "$argon2id$", PassphraseSet: day, Temporary: &identity.Temporary{Hash: [32]byte{1}, Expires: day.Add(time.Hour)},
		Authenticators: []identity.EnrolledAuthenticator{
			{ID: id + "-d1", Name: "phone", Sealed: []byte{1, 2, 3}, Created: day, LastStep: 5, Used: day.Add(time.Hour)},
			{ID: id + "-d2", Name: "tablet", Sealed: []byte{4}, Created: day.Add(time.Second), LastStep: 6},
		},
		Recovery: []identity.RecoveryCode{{Hash: [32]byte{7}}, {Hash: [32]byte{8}, Used: day}},
		Keys:     []identity.Key{{Fingerprint: "SHA256:x", Line: "ssh-ed25519 AAAA", Comment: "laptop", Added: day, Suspended: day.Add(time.Minute)}},
		Created:  day, LastLogin: day.Add(time.Minute), Ends: day.Add(time.Hour), ActiveSince: day.Add(2 * time.Hour),
		Realm: "duo", Entry: "entryUUID:1", Phone: "+46701234567", CodeBySMS: true, SMSSince: day.Add(3 * time.Hour),
	}
}

// conformance is what every implementation of identity.Store must do. handles
// returns n stores over the same fresh database, as n processes would have it.
func conformance(t *testing.T, handles func(t *testing.T, n int) []identity.Store) {
	conformAccounts(t, handles)
	conformLogins(t, handles)
	conformLimits(t, handles)
	conformKeys(t, handles)
}

func one(t *testing.T, handles func(t *testing.T, n int) []identity.Store) identity.Store {
	t.Helper()
	return handles(t, 1)[0]
}

func create(t *testing.T, s identity.Store, a identity.Account) {
	t.Helper()
	if err := s.Create(t.Context(), a); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, s identity.Store, name string) identity.Account {
	t.Helper()
	a, err := s.Account(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func is(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("error %v, not %v", got, want)
	}
}

// conformAccounts: accounts, and what of them is spent once.
func conformAccounts(t *testing.T, handles func(t *testing.T, n int) []identity.Store) {
	t.Run("what is created is read back", func(t *testing.T) {
		s := one(t, handles)
		if _, err := s.Account(t.Context(), "alice"); !errors.Is(err, identity.ErrNoAccount) {
			t.Errorf("before: %v", err)
		}
		want, bare := full("alice"), identity.Account{ID: "b", Name: "bob", Generation: 1, Created: day}
		create(t, s, want)
		create(t, s, bare)
		if got := read(t, s, "alice"); !reflect.DeepEqual(got, want) {
			t.Errorf("\n got %+v\nwant %+v", got, want)
		}
		all, err := s.Accounts(t.Context())
		if err != nil || !reflect.DeepEqual(all, []identity.Account{want, bare}) {
			t.Errorf("%+v %v", all, err)
		}
		is(t, s.Create(t.Context(), identity.Account{ID: "other", Name: "alice", Generation: 1}), identity.ErrExists)
		is(t, s.Create(t.Context(), identity.Account{ID: want.ID, Name: "carol", Generation: 1}), identity.ErrExists)
	})

	t.Run("many are put, or none", func(t *testing.T) {
		s := one(t, handles)
		create(t, s, full("alice"))
		a := read(t, s, "alice")
		a.Phone = "+46700000000"
		bob, carol := full("bob"), identity.Account{ID: "c", Name: "carol", Generation: 1, Created: day}
		for name, err := range map[string]error{
			"a name is taken": s.Put(t.Context(), []identity.Account{bob, {ID: "other", Name: "alice", Generation: 1}}, []identity.Account{a}),
			"one twice":       s.Put(t.Context(), []identity.Account{bob, bob}, nil),
			"one has changed": s.Put(t.Context(), []identity.Account{bob}, []identity.Account{a, {ID: a.ID, Name: "alice", Generation: 9}}),
			"one isn't there": s.Put(t.Context(), []identity.Account{carol}, []identity.Account{{ID: "nobody", Name: "nobody", Generation: 1}}),
		} {
			if !errors.Is(err, identity.ErrExists) && !errors.Is(err, identity.ErrChanged) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if all, err := s.Accounts(t.Context()); err != nil || len(all) != 1 || all[0].Phone == a.Phone {
			t.Errorf("%+v %v", all, err)
		}
		if err := s.Put(t.Context(), []identity.Account{bob, carol}, []identity.Account{a}); err != nil {
			t.Fatal(err)
		}
		if got := read(t, s, "bob"); !reflect.DeepEqual(got, bob) {
			t.Errorf("\n got %+v\nwant %+v", got, bob)
		}
		if got := read(t, s, "alice"); got.Phone != a.Phone || got.Generation != a.Generation+1 {
			t.Errorf("%+v", got)
		}
	})

	t.Run("who has a remembered key in a realm", func(t *testing.T) {
		s := one(t, handles)
		a, b := full("alice"), full("bob")
		a.Disabled, b.Disabled, b.Realm = false, false, "other"
		create(t, s, a)
		create(t, s, b)
		for _, x := range []identity.Account{a, b} {
			r := identity.Remembrance{Fingerprint: "SHA256:x", Network: netip.MustParsePrefix("192.0.2.0/24"), Since: day, Until: day.Add(time.Hour)}
			if err := s.RecordLogin(t.Context(), x.ID, 1, identity.LoginInfo{At: day, Source: "192.0.2.7", Method: "passphrase+otp"}, &r); err != nil {
				t.Fatal(err)
			}
		}
		for _, tt := range []struct {
			realm string
			at    time.Time
			want  []string
		}{{"duo", day, []string{"alice"}}, {"other", day, []string{"bob"}}, {"none", day, nil}, {"duo", day.Add(time.Hour), nil}} {
			if got, err := s.Remembering(t.Context(), tt.realm, tt.at); err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%+v: %q %v", tt, got, err)
			}
		}
	})

	t.Run("standing is what the account says", func(t *testing.T) {
		s := one(t, handles)
		create(t, s, full("alice"))
		a := read(t, s, "alice")
		for fingerprint, has := range map[string]bool{"SHA256:x": true, "SHA256:y": false, "": false} {
			want := identity.Standing{
				Account: a.ID, Epoch: a.Epoch, Disabled: a.Disabled, Ends: a.Ends,
				Created: a.Created, LastLogin: a.LastLogin, ActiveSince: a.ActiveSince, HasKey: has, Suspended: has,
			}
			if got, err := s.Standing(t.Context(), "alice", fingerprint); err != nil || got != want {
				t.Errorf("%q:\n got %+v, %v\nwant %+v", fingerprint, got, err, want)
			}
		}
		a.Keys[0].Suspended = time.Time{}
		if _, err := s.Save(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Standing(t.Context(), "alice", "SHA256:x"); err != nil || !got.HasKey || got.Suspended {
			t.Errorf("in use again: %+v, %v", got, err)
		}
		_, err := s.Standing(t.Context(), "bob", "SHA256:x")
		is(t, err, identity.ErrNoAccount)
	})

	t.Run("save compares the generation and spares what is spent", func(t *testing.T) {
		s := one(t, handles)
		create(t, s, full("alice"))
		a := read(t, s, "alice")
		if ok, err := s.SpendStep(t.Context(), "id-alice-d1", 50, day); err != nil || !ok {
			t.Fatal(ok, err)
		}
		if ok, err := s.SpendRecovery(t.Context(), a.ID, [32]byte{7}, day); err != nil || !ok {
			t.Fatal(ok, err)
		}
		a.Disabled, a.Temporary, a.Passphrase, a.Epoch = false, nil, "other", 9
		a.Authenticators[0].Name = "old phone"
		a.Authenticators = append(a.Authenticators[:1], identity.EnrolledAuthenticator{ID: "d3", Name: "new", Sealed: []byte{9}, Created: day.Add(time.Hour), LastStep: 1})
		a.Keys = nil
		a.Recovery = append(a.Recovery[:1], identity.RecoveryCode{Hash: [32]byte{9}})
		g, err := s.Save(t.Context(), a)
		if err != nil || g != 2 {
			t.Fatal(g, err)
		}
		want := a
		want.Generation, want.Authenticators[0].LastStep, want.Recovery[0].Used = 2, 50, day
		want.Authenticators[0].Used = day
		if got := read(t, s, "alice"); !reflect.DeepEqual(got, want) {
			t.Errorf("\n got %+v\nwant %+v", got, want)
		}
		a.Generation = 1
		_, err = s.Save(t.Context(), a)
		is(t, err, identity.ErrChanged)
		a.ID = "nobody"
		_, err = s.Save(t.Context(), a)
		is(t, err, identity.ErrChanged)
	})

	t.Run("save suspends keys and lets them be used again", func(t *testing.T) {
		s := one(t, handles)
		create(t, s, full("alice"))
		for _, at := range []time.Time{{}, day.Add(time.Hour)} {
			a := read(t, s, "alice")
			a.Keys[0].Suspended = at
			if _, err := s.Save(t.Context(), a); err != nil {
				t.Fatal(err)
			}
			if got := read(t, s, "alice").Keys; !reflect.DeepEqual(got, a.Keys) {
				t.Errorf("\n got %+v\nwant %+v", got, a.Keys)
			}
		}
	})

	t.Run("a failed save changes nothing", func(t *testing.T) {
		s := one(t, handles)
		create(t, s, full("alice"))
		create(t, s, full("bob"))
		a := read(t, s, "alice")
		a.Passphrase, a.Authenticators[1].ID = "other", "id-bob-d1"
		if _, err := s.Save(t.Context(), a); err == nil {
			t.Error("an authenticator was taken from another account")
		}
		if got := read(t, s, "alice"); !reflect.DeepEqual(got, full("alice")) {
			t.Errorf("%+v", got)
		}
		if got := read(t, s, "bob"); !reflect.DeepEqual(got, full("bob")) {
			t.Errorf("%+v", got)
		}
	})

	t.Run("delete takes everything along", func(t *testing.T) {
		s := one(t, handles)
		create(t, s, full("alice"))
		is(t, s.Delete(t.Context(), "id-alice", 7), identity.ErrChanged)
		if err := s.Delete(t.Context(), "id-alice", 1); err != nil {
			t.Fatal(err)
		}
		is(t, s.Delete(t.Context(), "id-alice", 1), identity.ErrChanged)
		if ok, err := s.SpendStep(t.Context(), "id-alice-d1", 99, day); err != nil || ok {
			t.Error(ok, err)
		}
		create(t, s, identity.Account{ID: "id-alice", Name: "alice", Generation: 1, Created: day})
		if a := read(t, s, "alice"); len(a.Authenticators)+len(a.Keys)+len(a.Recovery) != 0 {
			t.Errorf("%+v", a)
		}
	})

	t.Run("a step is spent once, and none before it", func(t *testing.T) {
		s := one(t, handles)
		create(t, s, full("alice"))
		for i, c := range []struct {
			step int64
			want bool
		}{{5, false}, {7, true}, {7, false}, {6, false}, {8, true}} {
			if ok, err := s.SpendStep(t.Context(), "id-alice-d1", c.step, day); err != nil || ok != c.want {
				t.Errorf("%d: %v %v", i, ok, err)
			}
		}
		if ok, err := s.SpendStep(t.Context(), "unknown", 1, day); err != nil || ok {
			t.Error(ok, err)
		}
	})

	t.Run("seeds are sealed anew, all of them", func(t *testing.T) {
		s := one(t, handles)
		create(t, s, full("alice"))
		create(t, s, full("bob"))
		was := read(t, s, "alice")
		seen := map[string]string{}
		n, err := s.SealAnew(t.Context(), func(account, authenticator string, sealed []byte) []byte {
			seen[authenticator] = account
			if authenticator == "id-bob-d1" {
				return nil
			}
			return append([]byte("anew "), sealed...)
		})
		if err != nil || n != len(seen)-1 || seen["id-alice-d1"] != "id-alice" || seen["id-bob-d2"] != "id-bob" {
			t.Errorf("%d of %v, %v", n, seen, err)
		}
		now := read(t, s, "alice")
		for i, d := range now.Authenticators {
			if want := "anew " + string(was.Authenticators[i].Sealed); string(d.Sealed) != want {
				t.Errorf("%s: %q, want %q", d.ID, d.Sealed, want)
			}
		}
		if now.Generation != was.Generation {
			t.Error("the account has changed")
		}
		if bob := read(t, s, "bob"); string(bob.Authenticators[0].Sealed) != string(full("bob").Authenticators[0].Sealed) {
			t.Errorf("bob's is %q", bob.Authenticators[0].Sealed)
		}
		if n, err := s.SealAnew(t.Context(), func(string, string, []byte) []byte { return nil }); n != 0 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	})

	t.Run("a recovery code is spent once", func(t *testing.T) {
		s := one(t, handles)
		create(t, s, full("alice"))
		for i, c := range []struct {
			account string
			hash    byte
			want    bool
		}{{"id-bob", 7, false}, {"id-alice", 7, true}, {"id-alice", 7, false}, {"id-alice", 8, false}, {"id-alice", 9, false}} {
			if ok, err := s.SpendRecovery(t.Context(), c.account, [32]byte{c.hash}, day); err != nil || ok != c.want {
				t.Errorf("%d: %v %v", i, ok, err)
			}
		}
	})

	t.Run("parallel spending and saving, two handles", func(t *testing.T) {
		h := handles(t, 2)
		create(t, h[0], full("alice"))
		var steps, saves, codes atomic.Int64
		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() {
				s := h[i%2]
				if ok, err := s.SpendStep(t.Context(), "id-alice-d2", 1000, day); err != nil {
					t.Error(err)
				} else if ok {
					steps.Add(1)
				}
				if ok, err := s.SpendRecovery(t.Context(), "id-alice", [32]byte{7}, day); err != nil {
					t.Error(err)
				} else if ok {
					codes.Add(1)
				}
				switch _, err := s.Save(t.Context(), full("alice")); {
				case err == nil:
					saves.Add(1)
				case !errors.Is(err, identity.ErrChanged):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if steps.Load() != 1 || saves.Load() != 1 || codes.Load() != 1 {
			t.Errorf("%d steps, %d saves, %d codes", steps.Load(), saves.Load(), codes.Load())
		}
	})
}
