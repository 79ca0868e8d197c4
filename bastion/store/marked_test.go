package store

import (
	"context"
	"errors"
	"fmt"
	"os"
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
		"something spent at another, whose log tells of it": func(_, other *Store) error {
			spend := other.Count(t.Context(), time.Now(), func([]identity.Tally) bool { return true }, identity.TallyKey{})
			return errors.Join(spend, other.NotePosition(t.Context(), audit.Position{Size: 4}, 4, time.Now()))
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

// TestOlderFileCopiedOver copies an older main file over the open one, in place: neither a name
// nor a size changes, and what the write-ahead log has no more is old.
func TestOlderFileCopiedOver(t *testing.T) {
	for what, c := range map[string]struct {
		after func(s *Store) error // what is written between the checkpoint and the copy
		want  error
	}{
		"and nothing was written since the checkpoint": {func(*Store) error { return nil }, errPutBack},
		"and something was": {func(s *Store) error {
			return s.NotePosition(t.Context(), audit.Position{Size: 9}, 9, time.Now())
		}, ErrMixed},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path, old := filepath.Join(dir, "entry.db"), filepath.Join(dir, "old.db")
			s := server(t, path, "mine")
			accounts := make([]identity.Account, 200) // many pages
			for i := range accounts {
				accounts[i] = identity.Account{ID: fmt.Sprintf("%03d", i), Name: fmt.Sprintf("u%03d", i)}
			}
			testkit.Check(t, s.Put(t.Context(), accounts, nil))
			testkit.BackUpSQLite(t, path, old)
			accounts[100].Disabled = true
			testkit.Must(s.Save(t.Context(), accounts[100]))(t)
			checkpoint(t, s)
			look := func() error { _, err := s.Changed(t.Context(), 0); return err }
			testkit.Check(t, look()) // a checkpoint alone is nothing
			testkit.Check(t, c.after(s))
			testkit.Check(t, look())
			copyOver(t, old, path)
			testkit.Check(t, s.Intact())
			for _, f := range []func() error{look, s.Intact, look} {
				if err := f(); !errors.Is(err, ErrGone) || !errors.Is(err, c.want) {
					t.Errorf("%v", err)
				}
			}
			if err := s.NotePosition(t.Context(), audit.Position{Size: 10}, 10, time.Now()); !errors.Is(err, ErrGone) {
				t.Errorf("it is written to: %v", err)
			}
		})
	}
}

// checkpoint brings all of the write-ahead log into the main file, so that the log begins anew
// with the next write.
func checkpoint(t *testing.T, s *Store) {
	t.Helper()
	var busy, all, done int
	if err := s.write.QueryRowContext(t.Context(), `PRAGMA wal_checkpoint(RESTART)`).Scan(&busy, &all, &done); err != nil || busy != 0 || all != done {
		t.Fatal(busy, all, done, err)
	}
}

// copyOver is cp: the file stays, and gets what another has.
func copyOver(t *testing.T, from, to string) {
	t.Helper()
	data := testkit.Must(os.ReadFile(from))(t)
	f := testkit.Must(os.OpenFile(to, os.O_WRONLY|os.O_TRUNC, 0))(t)
	testkit.Must(f.Write(data))(t)
	testkit.Check(t, f.Close())
}
