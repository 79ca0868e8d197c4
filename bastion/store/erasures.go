package store

import (
	"context"
	"database/sql"
	"time"

	"entry/audit"
	"entry/audit/evidence"
)

// OrderErasure keeps an order, and forgets those that neither wait nor last at its time.
func (s *Store) OrderErasure(ctx context.Context, e evidence.Erasure) error {
	return named("order an erasure", s.change(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM erasures WHERE stands = 0 AND ordered <= ? OR stands > 0 AND stands <= ?`,
			micros(e.At.Add(-evidence.ErasureWaits)), micros(e.At.Add(-evidence.ErasureLasts))); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO erasures (id, session, user, lab, reason, uid, login_uid, name, login_name, ordered, stands) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			e.ID, e.Session, e.User, e.Lab, e.Reason, e.By.UID, e.By.LoginUID, e.By.Name, e.By.LoginName, micros(e.At), micros(e.Stands))
		return err
	}))
}

// ConfirmErasure has one stand that waits, and reports whether it did.
func (s *Store) ConfirmErasure(ctx context.Context, id string, second audit.Actor, now time.Time) (bool, error) {
	n, err := affected(s.exec(ctx, `UPDATE erasures SET stands = ?, second_uid = ?, second_login_uid = ?, second_name = ?, second_login_name = ? WHERE id = ? AND stands = 0 AND ordered > ?`,
		micros(now), second.UID, second.LoginUID, second.Name, second.LoginName, id, micros(now.Add(-evidence.ErasureWaits))))
	return n > 0, named("confirm an erasure", err)
}

const withdrawErasure = `DELETE FROM erasures WHERE id = ?`

// WithdrawErasure forgets an order; one that isn't there is no error.
func (s *Store) WithdrawErasure(ctx context.Context, id string) error {
	_, err := s.exec(ctx, withdrawErasure, id)
	return named("withdraw an erasure", err)
}

// Erasures are those that were ordered and not withdrawn, oldest first.
func (s *Store) Erasures(ctx context.Context) (all []evidence.Erasure, err error) {
	err = s.snapshot(ctx, func(tx *sql.Tx) error {
		return each(ctx, tx, `SELECT id, session, user, lab, reason, uid, login_uid, name, login_name, ordered, stands, second_uid, second_login_uid, second_name, second_login_name
			FROM erasures WHERE ordered > ? ORDER BY ordered, id`, 0, func(rows *sql.Rows) error {
			var e evidence.Erasure
			var ordered, stands int64
			var uid, login sql.NullInt64
			var name, loginName sql.NullString
			err := rows.Scan(&e.ID, &e.Session, &e.User, &e.Lab, &e.Reason, &e.By.UID, &e.By.LoginUID, &e.By.Name, &e.By.LoginName, &ordered, &stands, &uid, &login, &name, &loginName)
			e.At, e.Stands = fromMicros(ordered), fromMicros(stands)
			if uid.Valid {
				e.Second = &audit.Actor{UID: uint32(uid.Int64), LoginUID: uint32(login.Int64), Name: name.String, LoginName: loginName.String}
			}
			all = append(all, e)
			return err
		})
	})
	return all, named("read erasures", err)
}
