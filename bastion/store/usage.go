package store

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// keepUsage is how long days are kept: nothing asks for older ones.
const keepUsage = 40 * 24 * time.Hour

// Reserve implements access.Usage. It is one transaction: over all processes
// on the database, owners' bytes of a day never add up to more than limit.
func (s *Store) Reserve(ctx context.Context, day time.Time, owner string, want, limit int64) (granted, total int64, err error) {
	err = s.change(ctx, func(tx *sql.Tx) error {
		var used int64
		err := tx.QueryRowContext(ctx, `SELECT bytes FROM usage WHERE day = ? AND owner = ?`, dayOf(day), owner).Scan(&used)
		first := errors.Is(err, sql.ErrNoRows)
		if err != nil && !first {
			return err
		}
		granted = max(0, min(want, limit-used))
		total = used + granted
		if granted == 0 {
			return nil
		}
		if first {
			if _, err := tx.ExecContext(ctx, `DELETE FROM usage WHERE day < ?`, dayOf(day.Add(-keepUsage))); err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO usage (day, owner, bytes) VALUES (?, ?, ?)
			ON CONFLICT (day, owner) DO UPDATE SET bytes = bytes + excluded.bytes`, dayOf(day), owner, granted)
		return err
	})
	if err != nil {
		return 0, 0, named("reserve bytes", err)
	}
	return granted, total, nil
}

// Release implements access.Usage.
func (s *Store) Release(ctx context.Context, day time.Time, owner string, n int64) error {
	return named("release bytes", s.change(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE usage SET bytes = max(0, bytes - ?) WHERE day = ? AND owner = ?`, n, dayOf(day), owner)
		return err
	}))
}

func dayOf(t time.Time) string { return t.UTC().Format(time.DateOnly) }
