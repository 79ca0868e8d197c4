package store

import (
	"context"
	"database/sql"
	"fmt"
	"net/netip"
	"time"

	"entry/bastion/identity"
)

// keptLogins is how many logins of an account are kept. The audit log has all.
const keptLogins = 20

// RecordLogin implements identity.Ledger.
func (s *Store) RecordLogin(ctx context.Context, account string, generation int64, l identity.LoginInfo, remember *identity.Remembrance) error {
	return named("record login", s.change(ctx, func(tx *sql.Tx) error {
		if err := recordLogin(ctx, tx, account, generation, l); err != nil || remember == nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO remembered_keys (account, fingerprint, network, authenticator, since, until, used)
			VALUES (?, ?, ?, nullif(?, ''), ?, ?, 0) ON CONFLICT DO UPDATE SET
			authenticator = excluded.authenticator, since = excluded.since, until = excluded.until, used = 0`,
			account, remember.Fingerprint, remember.Network.String(), remember.Authenticator, micros(remember.Since), micros(remember.Until))
		return err
	}))
}

// RecordRemembered implements identity.Ledger.
func (s *Store) RecordRemembered(ctx context.Context, account string, generation int64, l identity.LoginInfo, r identity.Remembrance) error {
	return named("record login", s.change(ctx, func(tx *sql.Tx) error {
		if err := recordLogin(ctx, tx, account, generation, l); err != nil {
			return err
		}
		n, err := affected(tx.ExecContext(ctx, `UPDATE remembered_keys SET used = ? WHERE account = ? AND fingerprint = ? AND network = ? AND until = ?`,
			micros(l.At), account, r.Fingerprint, r.Network.String(), micros(r.Until)))
		if err == nil && n == 0 {
			err = identity.ErrChanged
		}
		return err
	}))
}

func recordLogin(ctx context.Context, tx *sql.Tx, account string, generation int64, l identity.LoginInfo) error {
	n, err := affected(tx.ExecContext(ctx, `UPDATE accounts SET last_login = ? WHERE id = ? AND generation = ? AND disabled = 0`,
		micros(l.At), account, generation))
	if err != nil {
		return err
	}
	if n == 0 {
		return identity.ErrChanged
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO logins (account, at, source, method) VALUES (?, ?, ?, ?)`,
		account, micros(l.At), l.Source, l.Method); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM logins WHERE account = ?1 AND id NOT IN
		(SELECT id FROM logins WHERE account = ?1 ORDER BY at DESC, id DESC LIMIT ?2)`, account, keptLogins); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM remembered_keys WHERE account = ? AND until <= ?`, account, micros(l.At))
	return err
}

// LastLogins implements identity.Reader.
func (s *Store) LastLogins(ctx context.Context, account string) ([]identity.LoginInfo, error) {
	var all []identity.LoginInfo
	err := s.snapshot(ctx, func(tx *sql.Tx) error {
		return each(ctx, tx, `SELECT at, source, method FROM logins WHERE account = ? ORDER BY at DESC, id DESC`, account,
			func(rows *sql.Rows) error {
				var (
					l  identity.LoginInfo
					at int64
				)
				err := rows.Scan(&at, &l.Source, &l.Method)
				l.At = fromMicros(at)
				all = append(all, l)
				return err
			})
	})
	return all, named("read logins", err)
}

// Forget implements identity.Ledger.
func (s *Store) Forget(ctx context.Context, account, fingerprint string) error {
	return named("forget keys", s.changeAccounts(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM remembered_keys WHERE account = ?1 AND (?2 = '' OR fingerprint = ?2)`, account, fingerprint)
		return err
	}))
}

// NoteEntry implements identity.Ledger.
func (s *Store) NoteEntry(ctx context.Context, account, before, entry string) error {
	_, err := s.exec(ctx, `UPDATE accounts SET entry = ? WHERE id = ? AND entry = ?`, entry, account, before)
	return named("note the directory's entry", err)
}

// Remembering implements identity.Reader.
func (s *Store) Remembering(ctx context.Context, realm string, now time.Time) ([]string, error) {
	var all []string
	err := s.snapshot(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, `SELECT name FROM accounts a WHERE realm = ?
			AND EXISTS (SELECT 1 FROM remembered_keys WHERE account = a.id AND until > ?) ORDER BY name`, realm, micros(now))
		if err != nil {
			return err
		}
		defer closeRows(rows)
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				return err
			}
			all = append(all, name)
		}
		return rows.Err()
	})
	return all, named("read remembered keys", err)
}

func scanRemembered(rows *sql.Rows) (identity.Remembrance, error) {
	var (
		r                  identity.Remembrance
		network            string
		since, until, used int64
	)
	if err := rows.Scan(&r.Fingerprint, &network, &r.Authenticator, &since, &until, &used); err != nil {
		return r, err
	}
	r.Since, r.Until, r.Used = fromMicros(since), fromMicros(until), fromMicros(used)
	var err error
	if r.Network, err = netip.ParsePrefix(network); err != nil {
		return r, fmt.Errorf("network of a remembered key: %w", err)
	}
	return r, nil
}

// Sources implements identity.Reader.
func (s *Store) Sources(ctx context.Context, since time.Time) ([]identity.LoginInfo, error) {
	var all []identity.LoginInfo
	err := s.snapshot(ctx, func(tx *sql.Tx) error {
		return each(ctx, tx, `SELECT max(at), source FROM logins WHERE at >= ? GROUP BY source ORDER BY source`, micros(since),
			func(rows *sql.Rows) error {
				var (
					l  identity.LoginInfo
					at int64
				)
				err := rows.Scan(&at, &l.Source)
				l.At = fromMicros(at)
				all = append(all, l)
				return err
			})
	})
	return all, named("read sources", err)
}

// AcceptTerms implements identity.Ledger.
func (s *Store) AcceptTerms(ctx context.Context, account, version string, at time.Time) error {
	return named("accept terms", s.change(ctx, func(tx *sql.Tx) error {
		n, err := affected(tx.ExecContext(ctx, `UPDATE accounts SET terms = ?, terms_at = ? WHERE id = ?`, version, micros(at), account))
		if err == nil && n == 0 {
			err = identity.ErrChanged
		}
		return err
	}))
}
