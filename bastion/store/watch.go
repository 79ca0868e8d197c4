package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"entry/audit/names"
)

// ErrGone is returned for every write, and by Intact, once the database, its
// write-ahead log or that log's index isn't where it was: renamed, removed, replaced,
// cut or mounted over; or an older state was put back into it, or an older file copied over it.
// What would be written then is durable where nobody looks for it. The error wraps a *names.Gone
// where the name leads elsewhere.
//
// The index (-shm) holds nothing that must last, but the locks by which processes on
// one database find the end of the log: with two of them, each overwrites what the
// other has committed (https://sqlite.org/howtocorrupt.html, 2.4, of files that are
// unlinked in use).
var ErrGone = errors.New("the database was changed from outside; it must not be moved, replaced or edited while a server runs")

// kept are the files that must stay where they are. SQLite has them open as long
// as the store is, so that their numbers are no other files'. It is safe for
// concurrent use.
type kept struct {
	mu    sync.Mutex
	files []keptFile
	wrote time.Time // when the main file was written to, as it was looked at last; see reread
	gone  error
}

type keptFile struct {
	names.File
	size int64 // at the last look: none of them ever becomes shorter while it is open
}

// keep notes where the files are now.
func (k *kept) keep(path string) error {
	for _, p := range []string{path, path + "-wal", path + "-shm"} {
		f, err := names.At(p)
		if err != nil {
			return fmt.Errorf("open database: %w", err)
		}
		k.files = append(k.files, keptFile{File: f})
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	k.wrote = info.ModTime()
	return nil
}

// Intact returns nil while the database's files are where they were. Once they
// aren't, it returns the same error for good.
func (s *Store) Intact() error {
	k := &s.kept
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range k.files {
		if k.gone != nil {
			break
		}
		f := &k.files[i]
		size, err := f.Size()
		if err == nil && size < f.size {
			err = f.Check(f.size)
		}
		if err != nil {
			k.gone = fmt.Errorf("%w: %w", ErrGone, err)
		}
		f.size = size
	}
	return k.gone
}

// exec runs one statement that writes.
func (s *Store) exec(ctx context.Context, query string, args ...any) (r sql.Result, err error) {
	err = s.change(ctx, func(tx *sql.Tx) error {
		r, err = tx.ExecContext(ctx, query, args...)
		return err
	})
	return r, err
}
