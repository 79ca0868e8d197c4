package store

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"entry/bastion/identity"
)

// TestDatabaseIsWhereItWas does to the files of an open database what a backup
// gone wrong does: nothing is written from then on, and nothing says it was.
func TestDatabaseIsWhereItWas(t *testing.T) {
	for what, do := range map[string]func(path string) error{
		"renamed": func(p string) error { return os.Rename(p, p+".1") },
		"removed": os.Remove,
		"replaced": func(p string) error {
			b, err := os.ReadFile(p)
			return errors.Join(err, os.Rename(p, p+".1"), os.WriteFile(p, b, 0o600))
		},
		"cut": func(p string) error { return os.Truncate(p, 0) },
	} {
		for _, file := range []string{"", "-wal", "-shm"} {
			if what == "cut" && file == "-shm" {
				continue // it is mapped into memory, which the kernel ends a process for
			}
			t.Run(what+file, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "entry.db")
				s, err := OpenSQLite(path, time.Now)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = s.Close() }() // the database is spoilt
				if err := s.Create(t.Context(), identity.Account{ID: "1", Name: "alice"}); err != nil {
					t.Fatal(err)
				}
				if err := s.Intact(); err != nil {
					t.Fatal(err)
				}
				if err := do(path + file); err != nil {
					t.Fatal(err)
				}
				if err := s.Create(t.Context(), identity.Account{ID: "2", Name: "bob"}); !errors.Is(err, ErrGone) {
					t.Errorf("a change: %v", err)
				}
				if err := s.Intact(); !errors.Is(err, ErrGone) {
					t.Errorf("Intact: %v", err)
				}
				if err := s.Intact(); !errors.Is(err, ErrGone) {
					t.Errorf("Intact, again: %v", err)
				}
			})
		}
	}
}
