package store

import (
	"context"
	"database/sql"
	"time"

	"entry/bastion/access"
)

var _ access.Orders = (*Store)(nil)

// Order implements access.Orders.
func (s *Store) Order(ctx context.Context, o access.Order, now time.Time) (stands access.Order, err error) {
	err = s.changeAccounts(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM orders WHERE given <= ?`, micros(now.Add(-access.OrderLasts))); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT OR IGNORE INTO orders (session, reason, uid, login_uid, name, login_name, given) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			o.Session, o.Reason, o.By.UID, o.By.LoginUID, o.By.Name, o.By.LoginName, micros(now))
		if err != nil {
			return err
		}
		stands.Session = o.Session
		return tx.QueryRowContext(ctx, `SELECT reason, uid, login_uid, name, login_name FROM orders WHERE session = ?`, o.Session).
			Scan(&stands.Reason, &stands.By.UID, &stands.By.LoginUID, &stands.By.Name, &stands.By.LoginName)
	})
	return stands, named("order the end of a session", err)
}

// Ordered implements access.Orders.
func (s *Store) Ordered(ctx context.Context, now time.Time) ([]access.Order, error) {
	var all []access.Order
	err := s.snapshot(ctx, func(tx *sql.Tx) error {
		return each(ctx, tx, `SELECT session, reason, uid, login_uid, name, login_name FROM orders WHERE given > ? ORDER BY given, session`,
			micros(now.Add(-access.OrderLasts)), func(rows *sql.Rows) error {
				var o access.Order
				err := rows.Scan(&o.Session, &o.Reason, &o.By.UID, &o.By.LoginUID, &o.By.Name, &o.By.LoginName)
				all = append(all, o)
				return err
			})
	})
	return all, named("read orders", err)
}

// TakeOrder implements access.Orders.
func (s *Store) TakeOrder(ctx context.Context, session string) (bool, error) {
	n, err := affected(s.exec(ctx, `DELETE FROM orders WHERE session = ?`, session))
	return n > 0, named("take an order", err)
}
