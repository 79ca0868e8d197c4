package store

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// SpendStep implements identity.Spender: one row, one statement.
func (s *Store) SpendStep(ctx context.Context, authenticator string, step int64, at time.Time) (bool, error) {
	n, err := affected(s.exec(ctx, `UPDATE authenticators SET last_step = ?1, used = ?2 WHERE id = ?3 AND last_step < ?1`,
		step, micros(at), authenticator))
	return n == 1, named("spend step", err)
}

// SpendRecovery implements identity.Spender.
func (s *Store) SpendRecovery(ctx context.Context, account string, hash [32]byte, at time.Time) (bool, error) {
	n, err := affected(s.exec(ctx, `UPDATE recovery_codes SET used = ? WHERE account = ? AND hash = ? AND used = 0`,
		micros(at), account, hash[:]))
	return n == 1, named("spend recovery code", err)
}

// CountFailure implements identity.Ledger. An account that doesn't exist counts
// nothing.
func (s *Store) CountFailure(ctx context.Context, account string, at time.Time, limit int, window time.Duration) (time.Time, error) {
	var until time.Time
	err := s.change(ctx, func(tx *sql.Tx) error {
		var since, locked int64
		var failures int
		err := tx.QueryRowContext(ctx, `SELECT failures, failures_since, locked_until FROM accounts WHERE id = ?`, account).Scan(&failures, &since, &locked)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if failures == 0 || at.Sub(fromMicros(since)) >= window {
			failures, since = 0, micros(at)
		}
		failures++
		if failures >= limit {
			until = at.Add(window)
			failures, since, locked = 0, 0, micros(until)
		}
		_, err = tx.ExecContext(ctx, `UPDATE accounts SET failures = ?, failures_since = ?, locked_until = ? WHERE id = ?`,
			failures, since, locked, account)
		return err
	})
	if err != nil {
		return time.Time{}, named("count failure", err)
	}
	return until, nil
}

// ClearFailures implements identity.Ledger.
func (s *Store) ClearFailures(ctx context.Context, account string) error {
	_, err := s.exec(ctx, `UPDATE accounts SET failures = 0, failures_since = 0, locked_until = 0 WHERE id = ?`, account)
	return named("clear failures", err)
}

// LowerSteps implements identity.Ledger.
func (s *Store) LowerSteps(ctx context.Context, account string, step int64) error {
	_, err := s.exec(ctx, `UPDATE authenticators SET last_step = ?1 WHERE account = ?2 AND last_step > ?1`, step, account)
	return named("lower steps", err)
}
