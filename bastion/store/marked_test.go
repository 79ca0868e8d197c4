package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"entry/audit"
	"entry/bastion/identity"
	"entry/e2e/testkit"
)

// server opens a database as the server called node.
func server(t *testing.T, path, node string) *Store {
	s := testkit.Must(OpenSQLite(path, time.Now))(t)
	t.Cleanup(func() { _ = s.Close() })
	s.node.Store(&node)
	return s
}

// TestOlderStatePutBack puts an older state into an open database by SQLite's backup, as the
// .restore of its shell does: no file is another one, and none is shorter. Nothing is written
// into it from then on, its note of the log least of all.
func TestOlderStatePutBack(t *testing.T) {
	alice := identity.Account{ID: "1", Name: "alice"}
	for what, since := range map[string]func(mine, other *Store) error{
		"an account changed":            func(mine, _ *Store) error { _, err := mine.Save(t.Context(), alice); return err },
		"an account changed by another": func(_, other *Store) error { _, err := other.Save(t.Context(), alice); return err },
		"something spent": func(mine, _ *Store) error {
			return mine.Count(t.Context(), time.Now(), func([]identity.Tally) bool { return true }, identity.TallyKey{})
		},
		"the log's position noted": func(mine, _ *Store) error {
			return mine.NotePosition(t.Context(), audit.Position{Size: 9}, 9, time.Now())
		},
		"nothing, so that nothing came back": nil,
	} {
		for _, first := range []string{"a look", "a write"} {
			t.Run(what+", found by "+first, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				path, old := filepath.Join(dir, "entry.db"), filepath.Join(dir, "old.db")
				mine, other := server(t, path, "mine"), server(t, path, "other")
				look := func() error { _, err := mine.Changed(t.Context(), 0); return err }
				write := func() error {
					return mine.NotePosition(t.Context(), audit.Position{Size: 10}, 10, time.Now())
				}
				testkit.Check(t, mine.Create(t.Context(), alice))
				testkit.Check(t, other.NotePosition(t.Context(), audit.Position{Size: 3}, 3, time.Now()))
				testkit.Check(t, look())
				testkit.BackUpSQLite(t, path, old)
				if since != nil {
					testkit.Check(t, since(mine, other))
				}
				testkit.Check(t, look())
				testkit.RestoreSQLite(t, path, old)
				testkit.Check(t, mine.Intact()) // its files are all where they were
				if since == nil {
					testkit.Check(t, look())
					testkit.Check(t, write())
					return
				}
				finds := []func() error{look, write, mine.Intact, look}
				if first == "a write" {
					finds = []func() error{write, look, mine.Intact, write}
				}
				for i, f := range finds {
					if err := f(); !errors.Is(err, ErrGone) {
						t.Errorf("%d: %v", i, err)
					}
				}
				if known := testkit.Must(Known(t.Context(), path, "mine"))(t); known.Size != 0 {
					t.Errorf("the database knows %d records", known.Size)
				}
			})
		}
	}
}

// A database that nothing was put back into is never taken for one, whoever writes beside.
func TestNothingPutBack(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "entry.db")
	stores := []*Store{server(t, path, "mine"), server(t, path, "other")}
	var wg sync.WaitGroup
	for i, s := range stores {
		for j := range 4 {
			wg.Go(func() {
				for k := range 25 {
					if err := s.Create(t.Context(), identity.Account{ID: fmt.Sprint(i, j, k), Name: fmt.Sprintf("u%dx%dx%d", i, j, k)}); err != nil {
						t.Error(err)
					}
					gone, cancel := context.WithCancel(t.Context())
					cancel()
					if err := s.NotePosition(gone, audit.Position{Size: 1}, 1, time.Now()); err == nil {
						t.Error("a change that was given up has no error")
					}
					if _, err := s.Changed(t.Context(), 0); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
}
