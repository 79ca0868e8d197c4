package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"entry/bastion/identity"
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

// SealAnew implements identity.Spender.
func (s *Store) SealAnew(ctx context.Context, seal func(account, authenticator string, sealed []byte) []byte) (n int, err error) {
	err = s.change(ctx, func(tx *sql.Tx) error {
		anew := map[string][]byte{}
		err := each(ctx, tx, `SELECT account, id, sealed FROM authenticators WHERE id <> ?`, "", func(rows *sql.Rows) error {
			var account, id string
			var sealed []byte
			err := rows.Scan(&account, &id, &sealed)
			if err == nil {
				if b := seal(account, id, sealed); b != nil {
					anew[id] = b
				}
			}
			return err
		})
		for id, sealed := range anew {
			if err == nil {
				_, err = tx.ExecContext(ctx, `UPDATE authenticators SET sealed = ? WHERE id = ?`, sealed, id)
			}
		}
		n = len(anew)
		return err
	})
	return n, named("seal authenticators anew", err)
}

// CountFailures implements identity.Ledger.
func (s *Store) CountFailures(ctx context.Context, account string, at time.Time, edit func([]identity.Tally) bool, keys ...identity.TallyKey) error {
	return named("count failures", s.change(ctx, func(tx *sql.Tx) error {
		var own identity.Tally
		var since, locked int64
		err := tx.QueryRowContext(ctx, `SELECT failures, failures_since, locked_until FROM accounts WHERE id = ?`, account).Scan(&own.Failures, &since, &locked)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		own.Since, own.Locked = fromMicros(since), fromMicros(locked)
		all, err := readTallies(ctx, tx, keys)
		if err != nil {
			return err
		}
		all = append([]identity.Tally{own}, all...)
		if !edit(all) {
			return nil
		}
		if _, err := tx.ExecContext(ctx, `UPDATE accounts SET failures = ?, failures_since = ?, locked_until = ? WHERE id = ?`,
			all[0].Failures, micros(all[0].Since), micros(all[0].Locked), account); err != nil {
			return err
		}
		return s.writeTallies(ctx, tx, at, keys, all[1:])
	}))
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
