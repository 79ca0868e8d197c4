package store

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"entry/bastion/identity"
)

func conformKeys(t *testing.T, handles func(t *testing.T, n int) []identity.Store) {
	holding := func(name, shared string) identity.Account {
		a := full(name)
		a.Keys[0].Shared = shared
		return a
	}
	t.Run("a key is proven once, over all handles", func(t *testing.T) {
		hs := handles(t, 2)
		create(t, hs[0], holding("alice", ""))
		create(t, hs[0], holding("bob", ""))
		create(t, hs[0], holding("carol", "one person"))
		type result struct {
			first bool
			err   error
		}
		results := make(chan result, 4)
		for i := range 4 {
			go func() {
				first, err := hs[i%2].ProveKey(t.Context(), []string{"id-alice", "id-bob"}[i%2], "SHA256:x", day)
				results <- result{first, err}
			}()
		}
		won, taken := 0, 0
		for range 4 {
			r := <-results
			switch {
			case r.first:
				won++
			case errors.Is(r.err, identity.ErrKeyTaken):
				taken++
			case r.err != nil:
				t.Error(r.err)
			}
		}
		if won != 1 || taken != 2 {
			t.Errorf("%d won, %d were told that it is taken", won, taken)
		}
		if first, err := hs[1].ProveKey(t.Context(), "id-carol", "SHA256:x", day); err != nil || !first {
			t.Errorf("shared: %t %v", first, err)
		}
		got, err := hs[1].KeyHolders(t.Context(), "SHA256:x")
		if err != nil || len(got) != 3 || got[0].Name != "alice" || got[0].Proven == got[1].Proven || got[2] != (identity.KeyHolder{Account: "id-carol", Name: "carol", Proven: true, Shared: true}) {
			t.Errorf("%+v %v", got, err)
		}
		if got, err := hs[1].KeyHolders(t.Context(), "SHA256:y"); err != nil || len(got) != 0 {
			t.Errorf("%+v %v", got, err)
		}
	})
	t.Run("what others share and have shown is proven by nobody else", func(t *testing.T) {
		s := one(t, handles)
		create(t, s, holding("alice", "one person"))
		create(t, s, holding("bob", "one person"))
		create(t, s, holding("carol", ""))
		for _, c := range []struct {
			account string
			want    error
		}{{"id-alice", nil}, {"id-carol", identity.ErrKeyTaken}, {"id-bob", nil}} {
			if first, err := s.ProveKey(t.Context(), c.account, "SHA256:x", day); !errors.Is(err, c.want) || first != (c.want == nil) {
				t.Errorf("%s: %t %v", c.account, first, err)
			}
		}
	})
	t.Run("accepted terms stay through a change, and change no generation", func(t *testing.T) {
		s := one(t, handles)
		create(t, s, holding("alice", ""))
		if err := s.AcceptTerms(t.Context(), "id-alice", "one", day.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		a := read(t, s, "alice")
		a.Terms, a.TermsAt = "", time.Time{}
		if _, err := s.Save(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		if a := read(t, s, "alice"); a.Terms != "one" || !a.TermsAt.Equal(day.Add(time.Hour)) || a.Generation != 2 {
			t.Errorf("%+v", a)
		}
		if err := s.AcceptTerms(t.Context(), "nobody", "one", day); !errors.Is(err, identity.ErrChanged) {
			t.Errorf("%v", err)
		}
	})
	t.Run("proof stays through a change, and changes no generation", func(t *testing.T) {
		s := one(t, handles)
		create(t, s, holding("alice", ""))
		if _, err := s.ProveKey(t.Context(), "id-alice", "SHA256:x", day.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		a := read(t, s, "alice")
		if a.Generation != 1 || !a.Keys[0].Proven.Equal(day.Add(time.Hour)) {
			t.Errorf("%+v", a)
		}
		a.Keys[0].Proven, a.Keys[0].Shared = time.Time{}, "one person"
		if _, err := s.Save(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		if k := read(t, s, "alice").Keys[0]; !k.Proven.Equal(day.Add(time.Hour)) || k.Shared != "one person" {
			t.Errorf("%+v", k)
		}
	})
}

// TestKeysOfBefore: what several accounts had before keys had an owner goes on.
func TestKeysOfBefore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "entry.db")
	all, err := readMigrations(embedded, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	before := slices.IndexFunc(all, func(m migration) bool { return strings.HasSuffix(m.name, "_key_owners.sql") })
	s, err := openSQLite(path, all[:before], busyWait, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"a", "b"} {
		for _, q := range []string{
			`INSERT INTO accounts (id, name, generation, epoch, disabled, passphrase, passphrase_set, temporary_until, created, last_login) VALUES (?1, ?1, 1, 1, 0, '', 0, 0, 0, 0)`,
			`INSERT INTO public_keys (account, fingerprint, line, comment, added) VALUES (?1, 'SHA256:x', 'l', '', 0), (?1, 'SHA256:' || ?1, 'l', '', 0)`,
		} {
			if _, err := s.write.ExecContext(t.Context(), q, id); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = OpenSQLite(path, time.Now); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, id := range []string{"a", "b"} {
		if first, err := s.ProveKey(t.Context(), id, "SHA256:x", day); err != nil || !first {
			t.Errorf("%s: %t %v", id, first, err)
		}
	}
	for _, id := range []string{"SHA256:a", "SHA256:b"} {
		if h, err := s.KeyHolders(t.Context(), id); err != nil || len(h) != 1 || h[0].Shared {
			t.Errorf("a key of one account: %+v %v", h, err)
		}
	}
}
