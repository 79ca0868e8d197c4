package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
)

// ErrOlder says that the database is of an older version of entry, which a start
// brings up to date.
var ErrOlder = errors.New("the database is of an older version of entry, which the next start brings up to date")

// Look opens the database file at path to be read alone: every change fails. It
// refuses what OpenSQLite refuses, and returns ErrOlder for a file that OpenSQLite
// would change first. The error wraps fs.ErrNotExist where there is no file.
func Look(ctx context.Context, path string) (s *Store, err error) {
	if path, err = filepath.Abs(path); err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := prepareFile(path); err != nil {
		return nil, err
	}
	all, err := readMigrations(embedded, "migrations")
	if err != nil {
		return nil, err
	}
	s = &Store{path: path}
	if s.read, err = sql.Open("sqlite", readOnly(path)); err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	s.write = s.read
	err = patiently(busyWait, func() error {
		return s.snapshot(ctx, func(tx *sql.Tx) error {
			done, err := applied(ctx, tx, path, all)
			if err == nil && done < len(all) {
				err = ErrOlder
			}
			if err == nil {
				err = unmixed(ctx, tx)
			}
			return err
		})
	})
	if err != nil {
		return nil, errors.Join(mixed(err), s.Close())
	}
	return s, nil
}

// readOnly is as dsn. It sets nothing that the file would be written for. Where the
// last process has ended well, there is no write-ahead log, and none is made; an empty
// one is left where the disk was full before anything could be written.
func readOnly(path string) string {
	u := url.URL{Scheme: "file", Path: path}
	how := "mode=ro"
	if info, err := os.Stat(path + "-wal"); errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
		how += "&immutable=1"
	}
	return fmt.Sprintf("file:%s?_busy_timeout=%d&_query_only=1&%s", u.EscapedPath(), busyWait.Milliseconds(), how)
}
