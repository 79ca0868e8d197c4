package testkit

import (
	"database/sql"
	"errors"
	"testing"

	"modernc.org/sqlite" // registers the driver, too
)

// BackUpSQLite copies a database, which may be in use, as the .backup of SQLite's shell does.
func BackUpSQLite(t testing.TB, path, to string) {
	t.Helper()
	onSQLite(t, path, func(c *sql.Conn) error {
		_, err := c.ExecContext(t.Context(), `VACUUM INTO ?`, to)
		return err
	})
}

// RestoreSQLite puts the copy at from into a database, which may be in use, as the .restore of
// SQLite's shell does: through its locks, into the files that are there.
func RestoreSQLite(t testing.TB, path, from string) {
	t.Helper()
	onSQLite(t, path, func(c *sql.Conn) error {
		return c.Raw(func(raw any) error {
			b, err := raw.(interface {
				NewRestore(string) (*sqlite.Backup, error)
			}).NewRestore(from)
			if err != nil {
				return err
			}
			_, err = b.Step(-1)
			return errors.Join(err, b.Finish())
		})
	})
}

// onSQLite runs f on a connection of another program's.
func onSQLite(t testing.TB, path string, f func(*sql.Conn) error) {
	t.Helper()
	db := Must(sql.Open("sqlite", "file:"+path+"?_busy_timeout=5000"))(t)
	defer func() { Check(t, db.Close()) }()
	c := Must(db.Conn(t.Context()))(t)
	defer func() { Check(t, c.Close()) }()
	Check(t, f(c))
}
