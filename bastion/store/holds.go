package store

import (
	"context"
	"database/sql"

	"entry/audit/evidence"
)

const placeHold = `INSERT OR IGNORE INTO holds (id, session, user, lab, reason, uid, login_uid, name, login_name, placed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

func holdArgs(h evidence.Hold) []any {
	return []any{h.ID, h.Session, h.User, h.Lab, h.Reason, h.By.UID, h.By.LoginUID, h.By.Name, h.By.LoginName, micros(h.At)}
}

// PlaceHold keeps a hold; one that is there stays as it is.
func (s *Store) PlaceHold(ctx context.Context, h evidence.Hold) error {
	_, err := s.exec(ctx, placeHold, holdArgs(h)...)
	return named("place a hold", err)
}

// ReleaseHold forgets a hold; one that isn't there is no error.
func (s *Store) ReleaseHold(ctx context.Context, id string) error {
	_, err := s.exec(ctx, `DELETE FROM holds WHERE id = ?`, id)
	return named("release a hold", err)
}

// Holds are those that are placed, oldest first.
func (s *Store) Holds(ctx context.Context) (all []evidence.Hold, err error) {
	err = s.snapshot(ctx, func(tx *sql.Tx) error {
		return each(ctx, tx, `SELECT id, session, user, lab, reason, uid, login_uid, name, login_name, placed FROM holds WHERE placed > ? ORDER BY placed, id`, 0, func(rows *sql.Rows) error {
			var h evidence.Hold
			var placed int64
			err := rows.Scan(&h.ID, &h.Session, &h.User, &h.Lab, &h.Reason, &h.By.UID, &h.By.LoginUID, &h.By.Name, &h.By.LoginName, &placed)
			h.At = fromMicros(placed)
			all = append(all, h)
			return err
		})
	})
	return all, named("read holds", err)
}
