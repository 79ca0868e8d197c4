package identity_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"entry/bastion/identity"
	"entry/bastion/store"
)

// TestStandingAgreesWithAFullRead turns each thing that an account can go through
// and asks about two of its identities, one of which a key opened.
func TestStandingAgreesWithAFullRead(t *testing.T) {
	t.Parallel()
	revoked, stands := identity.ErrRevoked, error(nil)
	for _, c := range []struct {
		name            string
		change          func(ctx context.Context, w *world, k testKey) error
		plain, withAKey error
	}{
		{"nothing", func(context.Context, *world, testKey) error { return nil }, stands, stands},
		{"disabled", func(ctx context.Context, w *world, _ testKey) error { return w.a.Disable(ctx, "alice") }, revoked, revoked},
		{"disabled and enabled", func(ctx context.Context, w *world, _ testKey) error {
			return errors.Join(w.a.Disable(ctx, "alice"), w.a.Enable(ctx, "alice"))
		}, revoked, revoked},
		{"enabled", func(ctx context.Context, w *world, _ testKey) error { return w.a.Enable(ctx, "alice") }, stands, stands},
		{"removed", func(ctx context.Context, w *world, _ testKey) error { return w.a.Remove(ctx, "alice") }, revoked, revoked},
		{"removed and added", func(ctx context.Context, w *world, _ testKey) error {
			_, err := w.a.AddUser(ctx, "bob")
			if err == nil {
				err = w.a.Remove(ctx, "alice")
			}
			if err == nil {
				_, err = w.a.AddUser(ctx, "alice")
			}
			return err
		}, revoked, revoked},
		{"reset", func(ctx context.Context, w *world, _ testKey) error { _, err := w.a.Reset(ctx, "alice"); return err }, revoked, revoked},
		{"passphrase reset", func(ctx context.Context, w *world, _ testKey) error {
			_, err := w.a.ResetPassphrase(ctx, "alice")
			return err
		}, revoked, revoked},
		{"ends later", func(ctx context.Context, w *world, _ testKey) error {
			return w.a.SetEnd(ctx, "alice", w.clock.Now().Add(time.Second))
		}, stands, stands},
		{"ends now", func(ctx context.Context, w *world, _ testKey) error { return w.a.SetEnd(ctx, "alice", w.clock.Now()) }, revoked, revoked},
		{"ended, with the end taken away", func(ctx context.Context, w *world, _ testKey) error {
			return errors.Join(w.a.SetEnd(ctx, "alice", w.clock.Now()), w.a.SetEnd(ctx, "alice", time.Time{}))
		}, stands, stands},
		{"inactive", func(_ context.Context, w *world, _ testKey) error { w.clock.Advance(180 * oneDay); return nil }, revoked, revoked},
		{"inactive and enabled", func(ctx context.Context, w *world, _ testKey) error {
			w.clock.Advance(180 * oneDay)
			return w.a.Enable(ctx, "alice")
		}, stands, stands},
		{"key removed", func(ctx context.Context, w *world, k testKey) error { return w.a.RemoveKey(ctx, "alice", k.print) }, stands, revoked},
		{"another key removed", func(ctx context.Context, w *world, _ testKey) error {
			other := edKey(w.t)
			_, err := w.a.AddKey(ctx, "alice", other.line)
			return errors.Join(err, w.a.RemoveKey(ctx, "alice", other.print))
		}, stands, stands},
		{"key of another account", func(ctx context.Context, w *world, k testKey) error {
			_, err := w.a.AddUser(ctx, "bob")
			if err == nil {
				_, err = w.a.ShareKey(ctx, "bob", k.line, "one person")
			}
			return errors.Join(err, w.a.RemoveKey(ctx, "alice", k.print))
		}, stands, revoked},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			u := w.enrolled("alice")
			plain := u.in()
			at, k := u.withKey()
			byKey, err := w.login(at, round{askCode, u.code()})
			if err != nil || byKey.Key() != k.print {
				t.Fatal(byKey.Key(), err)
			}
			if err := c.change(t.Context(), w, k); err != nil {
				t.Fatal(err)
			}
			calls := &counting{Store: w.store}
			w.a = w.authenticator(calls)
			for name, one := range map[string]struct {
				id   identity.Identity
				want error
			}{"plain": {plain, c.plain}, "key": {byKey, c.withAKey}, "nobody": {identity.Identity{}, revoked}} {
				calls.taken()
				got := w.a.Check(t.Context(), one.id)
				if asked := calls.taken(); name != "nobody" && !slices.Equal(asked, []string{"Standing"}) {
					t.Errorf("%s: Check asks the store %q", name, asked)
				}
				full := w.a.CheckFully(t.Context(), one.id)
				if !errors.Is(got, one.want) || !errors.Is(full, one.want) {
					t.Errorf("%s: Check says %v, a full read %v, and it is %v", name, got, full, one.want)
				}
			}
		})
	}
}

// TestSuspendedKeyOpensNothingNew: on a connection that a remembered key opened without a
// code, nothing new stands once the key is suspended, and what is open may go on; a
// connection with a code isn't touched. Its owner ends that by another factor.
func TestSuspendedKeyOpensNothingNew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u := w.enrolled("alice")
	at, k := u.withKey()
	withCode, err := w.login(at, round{askCode, u.code()})
	if err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(time.Minute)
	byKey, ok, err := w.a.Remembered(t.Context(), at, nil)
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	stands := func(id identity.Identity, want error) {
		t.Helper()
		until, err := w.a.Standing(t.Context(), id)
		full := w.a.CheckFully(t.Context(), id)
		if !errors.Is(err, want) || !errors.Is(full, want) || until.IsZero() {
			t.Errorf("Standing says %v until %v, a full read %v, and it is %v", err, until, full, want)
		}
	}
	stands(byKey, nil)
	w.guess("IPv4", at, "", u.wrongCode())
	stands(byKey, identity.ErrSuspended)
	wantErr(t, w.a.RemoveOwnKey(t.Context(), byKey, k.print), identity.ErrRevoked)
	stands(withCode, nil)
	if all, err := w.a.RememberedKeys(t.Context(), withCode); err != nil || len(all) != 0 {
		t.Errorf("these need no code: %+v, %v", all, err)
	}

	w.clock.Advance(time.Minute)
	if err := w.a.RestoreKey(t.Context(), u.fresh(u.in()), k.print); err != nil {
		t.Fatal(err)
	}
	stands(byKey, nil)
	w.guess("IPv6", at, "", u.wrongCode())
	stands(byKey, identity.ErrSuspended)
	if err := w.a.Disable(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	if until, err := w.a.Standing(t.Context(), byKey); !errors.Is(err, identity.ErrRevoked) || errors.Is(err, identity.ErrSuspended) || !until.IsZero() {
		t.Errorf("disabled as well: %v %v", until, err)
	}
}

func TestStandingWithoutAStore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.enrolled("alice").in()
	s, err := store.OpenSQLite(filepath.Join(t.TempDir(), "other.db"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	w.a = w.authenticator(s)
	wantErr(t, w.a.Check(t.Context(), id), identity.ErrUnavailable)
	wantErr(t, w.a.CheckFully(t.Context(), id), identity.ErrUnavailable)
	if now, err := w.a.Changed(t.Context(), 7); now != 7 || !errors.Is(err, identity.ErrUnavailable) {
		t.Errorf("%d %v", now, err)
	}
}

func TestStandingSaysUntilWhen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u := w.enrolled("alice")
	id := u.in()
	until := func(want time.Time) {
		t.Helper()
		if got, err := w.a.Standing(t.Context(), id); err != nil || !got.Equal(want) {
			t.Errorf("until %v, not %v; %v", got, want, err)
		}
	}
	last := id.At()
	until(last.Add(180 * oneDay))
	late, soon := last.Add(181*oneDay), last.Add(time.Hour)
	for _, end := range []struct{ end, want time.Time }{{late, last.Add(180 * oneDay)}, {soon, soon}, {time.Time{}, last.Add(180 * oneDay)}} {
		if err := w.a.SetEnd(t.Context(), "alice", end.end); err != nil {
			t.Fatal(err)
		}
		until(end.want)
	}
	w.clock.Advance(oneDay)
	until(u.in().At().Add(180 * oneDay)) // another login moves it

	w.with = func(o *identity.Options) { o.Config.Login.Inactivity = 0 }
	w.a = w.authenticator(w.store)
	until(time.Time{})
	if err := w.a.SetEnd(t.Context(), "alice", late); err != nil {
		t.Fatal(err)
	}
	until(late)
	w.clock.Advance(181 * oneDay)
	if got, err := w.a.Standing(t.Context(), id); !got.IsZero() || !errors.Is(err, identity.ErrRevoked) {
		t.Errorf("after its end: %v %v", got, err)
	}
}

// TestDisabledElsewhere: of two servers on one database, the one that didn't
// disable the account learns of it.
func TestDisabledElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.enrolled("alice").in()
	s, err := store.OpenSQLite(w.path, w.clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // closed before w.store, which tells of its errors
	here, elsewhere := w.a, w.authenticator(s)
	since, err := here.Changed(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := here.Check(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	told := make(chan error, 1)
	go func() {
		now, err := here.Changed(t.Context(), since)
		if err == nil && now <= since {
			err = errors.New("the number didn't grow")
		}
		told <- err
	}()
	if err := elsewhere.Disable(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	if err := <-told; err != nil {
		t.Fatal(err)
	}
	wantErr(t, here.Check(t.Context(), id), identity.ErrRevoked)

	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("the server stops")
	cancel(gone)
	if now, err := here.Changed(ctx, since+1); now != since+1 || !errors.Is(err, gone) {
		t.Errorf("%d %v", now, err)
	}
}
