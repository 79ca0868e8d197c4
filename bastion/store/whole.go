package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// ErrMixed says that the database's files don't belong together, or are damaged: a
// copy was put back and the write-ahead log of another time left beside it, or the
// reverse, or what a checkpoint had begun is missing.
var ErrMixed = errors.New("the database isn't whole: entry.db and the files beside it are not of one time, or damaged")

// stamped are the tables whose rows have stamps: what users may, and up to which
// record of which log that is so. Since 0021 what operators ordered has them, too.
var stamped = []string{"accounts", "authenticators", "recovery_codes", "public_keys", "remembered_keys", "approvals", "approval_uses", "applied", "log_positions"}

var stampedSince21 = []string{"holds", "erasures"}

// unmixed returns ErrMixed where the rows are not all of the time that their sum is
// of, or can't be found by their indexes. A file from before there were stamps passes.
func unmixed(ctx context.Context, tx *sql.Tx) error {
	var there bool
	if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'whole')`).Scan(&there); err != nil || !there {
		return mixed(err)
	}
	var later bool
	if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM migrations WHERE version = 21)`).Scan(&later); err != nil {
		return mixed(err)
	}
	stamped := slices.Clone(stamped)
	if later {
		stamped = append(stamped, stampedSince21...)
	}
	var noted, found int64
	sum := strings.Join(stamped, `) + (SELECT coalesce(sum(stamp), 0) FROM `)
	err := tx.QueryRowContext(ctx, `SELECT stamps, (SELECT coalesce(sum(stamp), 0) FROM `+sum+`) FROM whole`).Scan(&noted, &found)
	if err == nil && noted != found {
		err = ErrMixed
	}
	for _, table := range stamped {
		if err != nil {
			break
		}
		var said string
		if err = tx.QueryRowContext(ctx, `PRAGMA integrity_check(`+table+`)`).Scan(&said); err == nil && said != "ok" {
			err = fmt.Errorf("%w: %s", ErrMixed, said)
		}
	}
	return mixed(err)
}

// mixed is err, as ErrMixed where SQLite finds the file malformed or the one row of
// the sum is gone.
func mixed(err error) error {
	if errors.Is(err, ErrMixed) {
		return err
	}
	var e *sqlite.Error
	if errors.As(err, &e) && (e.Code()&0xff == sqlite3.SQLITE_CORRUPT || e.Code()&0xff == sqlite3.SQLITE_NOTADB) || errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%w: %w", ErrMixed, err)
	}
	return err
}

// unmixedFiles is unmixed for files that nothing was changed in yet: opened to be
// written, a write-ahead log goes into the main file, and could be taken away no more.
func unmixedFiles(ctx context.Context, path string) error {
	if info, err := os.Stat(path + "-wal"); err != nil || info.Size() == 0 {
		return nil
	}
	db, err := sql.Open("sqlite", readOnly(path))
	if err != nil {
		return fmt.Errorf("open database %s: %w", path, err)
	}
	s := &Store{read: db, path: path}
	err = patiently(busyWait, func() error {
		return s.snapshot(ctx, func(tx *sql.Tx) error { return unmixed(ctx, tx) })
	})
	return errors.Join(mixed(err), s.Close())
}
