package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"entry/audit"
)

// Rehearse does on a copy in memory what Reconcile would do, and returns the copy, as
// a start with that log would leave the database, and what it did, a line an account.
// Nothing is changed, neither the file nor the log. unread is what Unread would say then.
// The errors are Reconcile's.
func (s *Store) Rehearse(ctx context.Context, log Log, now time.Time) (copied *Store, did, unread []string, err error) {
	if copied, err = s.inMemory(ctx); err != nil {
		return nil, nil, nil, named("copy the database", err)
	}
	all, err := copied.Reconcile(ctx, silent{log}, now)
	if err == nil {
		unread, err = copied.Unread(ctx, log, now)
	}
	if err != nil {
		return nil, nil, nil, errors.Join(err, copied.Close())
	}
	return copied, all[:len(all)-len(unread)], unread, nil // Reconcile says them last
}

// silent is a log that nothing is appended to.
type silent struct{ Log }

func (silent) Append(context.Context, ...audit.Event) error { return nil }

// serial is what a connection of the driver can do with a database as a whole.
type serial interface {
	Serialize() ([]byte, error)
	Deserialize([]byte) error
}

// inMemory copies the database, what is in its write-ahead log included.
func (s *Store) inMemory(ctx context.Context) (_ *Store, err error) {
	var file []byte
	err = whole(ctx, s.read, func(c serial) error {
		file, err = c.Serialize()
		return err
	})
	if err != nil {
		return nil, placed(s.path, err)
	}
	if len(file) < 20 {
		return nil, ErrMixed
	}
	// The versions for writing and reading: 2 is with a write-ahead log, which memory
	// has none of (https://sqlite.org/fileformat.html, 1.3.3; sqlite3_deserialize).
	file[18], file[19] = 1, 1
	m := &Store{path: s.path}
	if m.write, err = sql.Open("sqlite", "file::memory:?_foreign_keys=1"); err != nil {
		return nil, err
	}
	m.write.SetMaxOpenConns(1) // each connection would have a memory of its own
	m.read = m.write
	if err := whole(ctx, m.write, func(c serial) error { return c.Deserialize(file) }); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

func whole(ctx context.Context, db *sql.DB, f func(serial) error) error {
	c, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	err = c.Raw(func(driver any) error {
		d, ok := driver.(serial)
		if !ok {
			return fmt.Errorf("the driver %T copies nothing", driver)
		}
		return f(d)
	})
	return errors.Join(err, c.Close())
}
