package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed migrations/*.sql
var embedded embed.FS

// What OpenSQLite returns for a file that it won't touch.
var (
	// errNewerSchema: a newer entry has written the file.
	errNewerSchema = errors.New("store: the database is newer than this program")
	// errOtherSchema: an applied migration is not the one in this program.
	errOtherSchema = errors.New("store: the database was made by other migrations")
)

// migration is one numbered step of the schema. Once released it never changes.
type migration struct {
	version int
	name    string // file name
	text    string
	sum     string // hex SHA-256 of text
}

// readMigrations returns the migrations of dir in fsys: NNNN_name.sql, numbered
// from 1 without a gap.
func readMigrations(fsys fs.FS, dir string) ([]migration, error) {
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	var all []migration
	for _, e := range entries {
		number, _, ok := strings.Cut(e.Name(), "_")
		v, err := strconv.Atoi(number)
		if err != nil || !ok || len(number) != 4 {
			return nil, fmt.Errorf("read migration %s: not named NNNN_name.sql", e.Name())
		}
		text, err := fs.ReadFile(fsys, dir+"/"+e.Name())
		if err != nil {
			return nil, fmt.Errorf("read migration %s: %w", e.Name(), err)
		}
		sum := sha256.Sum256(text)
		all = append(all, migration{version: v, name: e.Name(), text: string(text), sum: hex.EncodeToString(sum[:])})
	}
	slices.SortFunc(all, func(a, b migration) int { return a.version - b.version })
	for i, m := range all {
		if m.version != i+1 {
			return nil, fmt.Errorf("read migration %s: number %d expected", m.name, i+1)
		}
	}
	return all, nil
}

// migrate brings the schema up to date in one transaction, so that of several
// processes which start together one does it and the others find it done.
func migrate(ctx context.Context, db *sql.DB, path string, all []migration, now time.Time) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("migrate %s: %w", path, err)
	}
	defer rollback(tx)
	if _, err := tx.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS migrations (
		version INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL, applied INTEGER NOT NULL) STRICT`); err != nil {
		return fmt.Errorf("migrate %s: %w", path, err)
	}
	done, err := applied(ctx, tx, path, all)
	if err != nil {
		return err
	}
	for _, m := range all[done:] {
		if _, err := tx.ExecContext(ctx, m.text); err != nil {
			return fmt.Errorf("migrate %s: %s: %w", path, m.name, err)
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO migrations (version, name, sha256, applied) VALUES (?, ?, ?, ?)`,
			m.version, m.name, m.sum, micros(now)); err != nil {
			return fmt.Errorf("migrate %s: %s: %w", path, m.name, err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("migrate %s: %w", path, err)
	}
	return nil
}

// applied checks what the database has against all and returns how many of them
// it has.
func applied(ctx context.Context, tx *sql.Tx, path string, all []migration) (int, error) {
	rows, err := tx.QueryContext(ctx, `SELECT version, name, sha256 FROM migrations ORDER BY version`)
	if err != nil {
		return 0, fmt.Errorf("migrate %s: %w", path, err)
	}
	defer closeRows(rows)
	done := 0
	for rows.Next() {
		var (
			v         int
			name, sum string
		)
		if err := rows.Scan(&v, &name, &sum); err != nil {
			return 0, fmt.Errorf("migrate %s: %w", path, err)
		}
		done++
		switch {
		case v > len(all):
			return 0, fmt.Errorf("%w: %s has schema %d (%s), this entry knows up to %d: start the entry that wrote it, or restore the backup from before its upgrade",
				errNewerSchema, path, v, name, len(all))
		case v != done || sum != all[v-1].sum:
			return 0, fmt.Errorf("%w: %s was made with another %s than this entry has: start a released build of entry, or restore a backup",
				errOtherSchema, path, name)
		}
	}
	if err := rows.Err(); err != nil {
		return 0, fmt.Errorf("migrate %s: %w", path, err)
	}
	return done, nil
}

// rollback ends a transaction that was not committed.
func rollback(tx *sql.Tx) {
	_ = tx.Rollback() // after Commit it only says so; before, the error in hand tells more
}
