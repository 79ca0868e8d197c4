package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"entry/audit"
)

// position is how far a server's log is known here.
type position struct {
	audit.Position
	done uint64 // of the records up to it, everything has come here
	at   time.Time
}

func readPosition(ctx context.Context, tx *sql.Tx, node string) (p position, known bool, err error) {
	var (
		root []byte
		at   int64
	)
	err = tx.QueryRowContext(ctx, `SELECT size, root, done, at FROM log_positions WHERE node = ?`, node).Scan(&p.Size, &root, &p.done, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return p, false, nil
	}
	if err != nil {
		return p, false, err
	}
	p.Root, err = hash32(root)
	p.at = fromMicros(at)
	return p, true, err
}

// Known is how far the database file at path knows the log called node to be, zero where
// it doesn't, or there is no file. It changes nothing, and reads a file of an older
// version of entry, too.
func Known(ctx context.Context, path, node string) (p audit.Position, err error) {
	err = looked(ctx, path, func(tx *sql.Tx) error {
		var there bool
		if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'log_positions')`).Scan(&there); err != nil || !there {
			return err
		}
		known, _, err := readPosition(ctx, tx, node)
		p = known.Position
		return err
	})
	return p, err
}

// looked reads a database file, where there is one.
func looked(ctx context.Context, path string, read func(tx *sql.Tx) error) (err error) {
	if path, err = filepath.Abs(path); err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	db, err := sql.Open("sqlite", readOnly(path))
	if err != nil {
		return fmt.Errorf("open database %s: %w", path, err)
	}
	s := &Store{read: db, path: path}
	err = patiently(busyWait, func() error { return s.snapshot(ctx, read) })
	return named("read the log's position", errors.Join(mixed(err), s.Close()))
}

// Renamed tells whether the database file at path knows a log under another name than node,
// which is what its key is called: the log has changed it, and doesn't say so. It changes
// nothing, and reads a file of an older version of entry, too.
func Renamed(ctx context.Context, path, node string) (renamed bool, err error) {
	err = looked(ctx, path, func(tx *sql.Tx) error {
		var there bool
		if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM pragma_table_info('log_positions') WHERE name = 'key')`).Scan(&there); err != nil || !there {
			return err
		}
		return tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM log_positions WHERE key = ?1 AND node <> ?1)`, node).Scan(&renamed)
	})
	return renamed, err
}

// NoteKey notes what the key is called that signs this process's log from now on.
func (s *Store) NoteKey(ctx context.Context, key string) error {
	return named("note the log's key", s.change(ctx, func(tx *sql.Tx) error { return noteKey(ctx, tx, s.nodeName(), key) }))
}

// noteKey is NoteKey. A key that the log is called by is none that it changed to.
func noteKey(ctx context.Context, tx *sql.Tx, node, key string) error {
	if key == node {
		return nil
	}
	_, err := tx.ExecContext(ctx, `UPDATE log_positions SET key = ?1 WHERE node = ?2 AND key <> ?1`, key, node)
	return err
}

// NotePosition notes how far this process's log is, and up to where everything
// that it says of accounts has come to the database: of no record that a change
// in flight may have appended. It never goes back.
func (s *Store) NotePosition(ctx context.Context, p audit.Position, done uint64, now time.Time) error {
	_, err := s.exec(ctx, notePosition, s.nodeName(), p.Size, p.Root[:], done, micros(now))
	return named("note the log's position", err)
}

const notePosition = `INSERT INTO log_positions (node, size, root, done, at) VALUES (?, ?, ?, ?, ?)
	ON CONFLICT DO UPDATE SET size = excluded.size, root = excluded.root, done = max(done, excluded.done), at = excluded.at WHERE excluded.size >= size`

// apply notes that the change of an account to this generation has come here.
func (s *Store) apply(ctx context.Context, tx *sql.Tx, account string, generation int64) error {
	node := s.nodeName()
	if node == "" {
		return nil // no server's
	}
	return noteApplied(ctx, tx, account, node, generation)
}

func noteApplied(ctx context.Context, tx *sql.Tx, account, node string, generation int64) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO applied (account, node, generation) SELECT id, ?, ? FROM accounts WHERE id = ?
		ON CONFLICT DO UPDATE SET generation = max(generation, excluded.generation)`, node, generation, account)
	return err
}

// NotReplayed says which record of the log an older database can't be brought
// up to.
type NotReplayed struct {
	Seq uint64 // 0 where it can't be read
	Why string
	// Absent is that its segment of the log isn't there.
	Absent bool
}

func (e *NotReplayed) Error() string {
	return fmt.Sprintf("the database is older than the audit log, and record %d can't be done again: %s", e.Seq, e.Why)
}
