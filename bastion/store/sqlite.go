package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	_ "modernc.org/sqlite" // registers the driver "sqlite"

	"entry/bastion/identity"
)

// readers is how many connections read beside the one that writes.
const readers = 4

// busyWait is how long a writer waits for another process's transaction. Ours
// take milliseconds; whoever holds one longer is a shell or a backup gone wrong.
const busyWait = 5 * time.Second

// Store is an open database. It implements identity.Store and is safe for
// concurrent use.
type Store struct {
	// write has one connection: SQLite has one writer, and queueing for it in
	// Go wakes up in order, where busy_timeout polls.
	write *sql.DB
	read  *sql.DB
	path  string

	counted atomic.Int64 // calls of Count
	node    atomic.Pointer[string]
	bell    bell
	kept    kept
	marked  marked
}

var _ identity.Store = (*Store)(nil)

// OpenSQLite opens the database file at path, creating it (0600) if it isn't
// there, and brings its schema up to date. now is the clock for what is noted
// about migrations; nil means time.Now. It refuses a file that is not ours
// alone, or that another version of entry has written, and returns ErrMixed, with
// the files as they were, for one beside the write-ahead log of another time.
func OpenSQLite(path string, now func() time.Time) (*Store, error) {
	if now == nil {
		now = time.Now
	}
	all, err := readMigrations(embedded, "migrations")
	if err != nil {
		return nil, err
	}
	return openSQLite(path, all, busyWait, now)
}

func openSQLite(path string, all []migration, wait time.Duration, now func() time.Time) (s *Store, err error) {
	if path, err = filepath.Abs(path); err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	defer func() { err = placed(path, err) }()
	if err := prepareFile(path); err != nil {
		return nil, err
	}
	if err := unmixedFiles(context.Background(), path); err != nil {
		return nil, err
	}
	s = &Store{path: path}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
			s = nil
		}
	}()
	if s.write, err = sql.Open("sqlite", dsn(path, wait, "_txlock=immediate")); err != nil {
		return s, fmt.Errorf("open database %s: %w", path, err)
	}
	s.write.SetMaxOpenConns(1)
	if err := patiently(wait, func() error { return migrate(context.Background(), s.write, path, all, now()) }); err != nil {
		return s, mixed(err)
	}
	if s.read, err = sql.Open("sqlite", dsn(path, wait, "_query_only=1")); err != nil {
		return s, fmt.Errorf("open database %s: %w", path, err)
	}
	s.read.SetMaxOpenConns(readers)
	s.read.SetMaxIdleConns(readers)
	if err := s.snapshot(context.Background(), func(tx *sql.Tx) error { return unmixed(context.Background(), tx) }); err != nil {
		return s, err
	}
	return s, s.kept.keep(path)
}

// patiently calls open until the database isn't locked, for at most wait. Where
// a connection that reads is about to write, as one that switches a fresh file to
// WAL is, SQLite returns busy at once, whatever the busy timeout says: of two who
// waited so for each other, none would go on
// (https://sqlite.org/c3ref/busy_handler.html).
func patiently(wait time.Duration, open func() error) error {
	giveUp := time.After(wait)
	for {
		err := open()
		if !isBusy(err) {
			return err
		}
		select {
		case <-giveUp:
			return err
		case <-time.After(rand.N(20 * time.Millisecond)):
		}
	}
}

// dsn escapes the path, which may hold "?" or "%". The pragmas are applied to
// every connection, the wait first.
func dsn(path string, wait time.Duration, more string) string {
	u := url.URL{Scheme: "file", Path: path}
	return fmt.Sprintf("file:%s?_busy_timeout=%d&_journal_mode=WAL&_synchronous=FULL&_foreign_keys=1&%s",
		u.EscapedPath(), wait.Milliseconds(), more)
}

// prepareFile makes the file, or refuses one that is not ours alone. SQLite
// gives its -wal and -shm files the same mode. The file is made without being
// opened: closing it would drop every lock that this process's SQLite has on it
// by then (https://sqlite.org/howtocorrupt.html, 2.2).
func prepareFile(path string) error {
	err := unix.Mknod(path, unix.S_IFREG|0o600, 0)
	if err == nil {
		return nil
	}
	if !errors.Is(err, fs.ErrExist) {
		var no syscall.Errno
		_ = errors.As(err, &no) // 0 is no reason of its own
		return unwritable(path, no, fmt.Errorf("create database: %w", err))
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return fmt.Errorf("open database: %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("open database %s: not a regular file", path)
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("open database %s: others may read it (mode %04o): chmod 600 it, and find out who has", path, info.Mode().Perm())
	}
	return nil
}

// Close closes the database. Calls in flight end first; later ones fail.
func (s *Store) Close() error {
	var errs []error
	for _, db := range []*sql.DB{s.read, s.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// change runs f in one write transaction.
func (s *Store) change(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return placed(s.path, err)
	}
	defer rollback(tx)
	committed := func() {}
	if node := s.nodeName(); node != "" {
		committed, err = s.marked.marking(ctx, tx, node, f)
	} else {
		err = f(tx)
	}
	if err != nil {
		return s.kept.putBack(placed(s.path, err))
	}
	if err := s.Intact(); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return placed(s.path, err)
	}
	committed()
	return nil
}

// micros is how times are stored: microseconds since 1970, 0 for the zero time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}
