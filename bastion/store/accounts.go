package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"entry/bastion/identity"
)

const accountColumns = `id, name, generation, epoch, disabled, passphrase, passphrase_set,
	temporary, temporary_until, created, last_login, failures, failures_since, locked_until,
	ends, active_since, reset_asked, reset_passphrase_only, reset_uid, reset_login_uid, reset_by,
	realm, phone, code_by_sms, sms_since, terms, terms_at, entry`

// Account implements identity.Reader: five queries in one snapshot, whether the
// name exists or not.
func (s *Store) Account(ctx context.Context, name string) (identity.Account, error) {
	var a identity.Account
	err := s.snapshot(ctx, func(tx *sql.Tx) error {
		var missing error
		found, err := scanAccount(tx.QueryRowContext(ctx, `SELECT `+accountColumns+` FROM accounts WHERE name = ?`, name))
		if missing = err; err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		a = found
		if err := readParts(ctx, tx, &a); err != nil {
			return err
		}
		return missing
	})
	if errors.Is(err, sql.ErrNoRows) {
		return identity.Account{}, identity.ErrNoAccount
	}
	if err != nil {
		return identity.Account{}, fmt.Errorf("read account: %w", err)
	}
	return a, nil
}

// Standing implements identity.Reader: one query.
func (s *Store) Standing(ctx context.Context, name, fingerprint string) (identity.Standing, error) {
	var (
		st                           identity.Standing
		ends, created, login, active int64
	)
	err := s.read.QueryRowContext(ctx, `SELECT id, epoch, disabled, ends, created, last_login, active_since,
		EXISTS (SELECT 1 FROM public_keys WHERE account = accounts.id AND fingerprint = ?2),
		EXISTS (SELECT 1 FROM public_keys WHERE account = accounts.id AND fingerprint = ?2 AND suspended <> 0) FROM accounts WHERE name = ?1`, name, fingerprint).
		Scan(&st.Account, &st.Epoch, &st.Disabled, &ends, &created, &login, &active, &st.HasKey, &st.Suspended)
	if errors.Is(err, sql.ErrNoRows) {
		return identity.Standing{}, identity.ErrNoAccount
	}
	if err != nil {
		return identity.Standing{}, fmt.Errorf("read standing: %w", placed(s.path, err))
	}
	st.Ends, st.Created, st.LastLogin, st.ActiveSince = fromMicros(ends), fromMicros(created), fromMicros(login), fromMicros(active)
	return st, nil
}

// Accounts implements identity.Reader.
func (s *Store) Accounts(ctx context.Context) ([]identity.Account, error) {
	var all []identity.Account
	err := s.snapshot(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, `SELECT `+accountColumns+` FROM accounts ORDER BY name`)
		if err != nil {
			return err
		}
		defer closeRows(rows)
		for rows.Next() {
			a, err := scanAccount(rows)
			if err != nil {
				return err
			}
			all = append(all, a)
		}
		if err := rows.Err(); err != nil {
			return err
		}
		for i := range all {
			if err := readParts(ctx, tx, &all[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read accounts: %w", err)
	}
	return all, nil
}

func (s *Store) snapshot(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return placed(s.path, err)
	}
	defer rollback(tx)
	return placed(s.path, f(tx))
}

func scanAccount(row interface{ Scan(...any) error }) (identity.Account, error) {
	var (
		a                                             identity.Account
		set, tempUntil, created, login, since, locked int64
		ends, active, asked, sms, terms               int64
		temp                                          []byte
		reset                                         identity.PendingReset
	)
	if err := row.Scan(&a.ID, &a.Name, &a.Generation, &a.Epoch, &a.Disabled, &a.Passphrase, &set,
		&temp, &tempUntil, &created, &login, &a.Failures, &since, &locked,
		&ends, &active, &asked, &reset.PassphraseOnly, &reset.By.UID, &reset.By.LoginUID, &reset.By.Name,
		&a.Realm, &a.Phone, &a.CodeBySMS, &sms, &a.Terms, &terms, &a.Entry); err != nil {
		return identity.Account{}, err
	}
	a.Ends, a.ActiveSince = fromMicros(ends), fromMicros(active)
	a.SMSSince, a.TermsAt = fromMicros(sms), fromMicros(terms)
	if asked != 0 {
		reset.Asked = fromMicros(asked)
		a.Pending = &reset
	}
	a.PassphraseSet, a.Created, a.LastLogin = fromMicros(set), fromMicros(created), fromMicros(login)
	a.FailuresSince, a.LockedUntil = fromMicros(since), fromMicros(locked)
	if temp != nil {
		h, err := hash32(temp)
		if err != nil {
			return identity.Account{}, fmt.Errorf("temporary passphrase of %s: %w", a.Name, err)
		}
		a.Temporary = &identity.Temporary{Hash: h, Expires: fromMicros(tempUntil)}
	}
	return a, nil
}

func hash32(b []byte) (h [32]byte, err error) {
	if len(b) != len(h) {
		return h, fmt.Errorf("a stored hash has %d bytes", len(b))
	}
	return [32]byte(b), nil
}

// readParts fills in what belongs to a.ID.
func readParts(ctx context.Context, tx *sql.Tx, a *identity.Account) error {
	err := each(ctx, tx, `SELECT id, name, sealed, created, last_step, used FROM authenticators WHERE account = ? ORDER BY created, id`, a.ID,
		func(rows *sql.Rows) error {
			var (
				d             identity.EnrolledAuthenticator
				created, used int64
			)
			err := rows.Scan(&d.ID, &d.Name, &d.Sealed, &created, &d.LastStep, &used)
			d.Created, d.Used = fromMicros(created), fromMicros(used)
			a.Authenticators = append(a.Authenticators, d)
			return err
		})
	if err != nil {
		return err
	}
	err = each(ctx, tx, `SELECT hash, used FROM recovery_codes WHERE account = ? ORDER BY hash`, a.ID,
		func(rows *sql.Rows) error {
			var (
				h    []byte
				used int64
			)
			if err := rows.Scan(&h, &used); err != nil {
				return err
			}
			sum, err := hash32(h)
			a.Recovery = append(a.Recovery, identity.RecoveryCode{Hash: sum, Used: fromMicros(used)})
			return err
		})
	if err != nil {
		return err
	}
	err = each(ctx, tx, `SELECT fingerprint, line, comment, added, suspended, proven, shared FROM public_keys WHERE account = ? ORDER BY added, fingerprint`, a.ID,
		func(rows *sql.Rows) error {
			var (
				k                        identity.Key
				added, suspended, proven int64
			)
			err := rows.Scan(&k.Fingerprint, &k.Line, &k.Comment, &added, &suspended, &proven, &k.Shared)
			k.Added, k.Suspended, k.Proven = fromMicros(added), fromMicros(suspended), fromMicros(proven)
			a.Keys = append(a.Keys, k)
			return err
		})
	if err != nil {
		return err
	}
	return each(ctx, tx, `SELECT fingerprint, network, coalesce(authenticator, ''), since, until, used FROM remembered_keys
		WHERE account = ? ORDER BY since DESC, fingerprint, network`, a.ID,
		func(rows *sql.Rows) error {
			r, err := scanRemembered(rows)
			a.Remembered = append(a.Remembered, r)
			return err
		})
}

func each(ctx context.Context, tx *sql.Tx, query string, arg any, f func(*sql.Rows) error) error {
	rows, err := tx.QueryContext(ctx, query, arg)
	if err != nil {
		return err
	}
	defer closeRows(rows)
	for rows.Next() {
		if err := f(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// closeRows frees what a query holds.
func closeRows(rows *sql.Rows) {
	_ = rows.Close() // what can fail has shown in rows.Err or the error in hand
}
