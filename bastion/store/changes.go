package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"entry/bastion/identity"
)

// Create implements identity.Writer.
func (s *Store) Create(ctx context.Context, a identity.Account) error {
	return named("create account", s.changeAccounts(ctx, func(tx *sql.Tx) error { return s.createIn(ctx, tx, a) }))
}

func (s *Store) createIn(ctx context.Context, tx *sql.Tx, a identity.Account) error {
	temp, until := temporary(a)
	n, err := affected(tx.ExecContext(ctx, `INSERT INTO accounts (id, name, generation, epoch, disabled, passphrase,
		passphrase_set, temporary, temporary_until, created, last_login, ends, active_since, realm, phone, code_by_sms, sms_since, entry)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		a.ID, a.Name, a.Generation, a.Epoch, a.Disabled, a.Passphrase, micros(a.PassphraseSet),
		temp, until, micros(a.Created), micros(a.LastLogin), micros(a.Ends), micros(a.ActiveSince),
		a.Realm, a.Phone, a.CodeBySMS, micros(a.SMSSince), a.Entry))
	if err != nil {
		return err
	}
	if n == 0 {
		return identity.ErrExists
	}
	if err := writeParts(ctx, tx, a); err != nil {
		return err
	}
	return s.apply(ctx, tx, a.ID, a.Generation)
}

// Put implements identity.Writer.
func (s *Store) Put(ctx context.Context, created, saved []identity.Account) error {
	return named("put accounts", s.changeAccounts(ctx, func(tx *sql.Tx) error {
		for _, a := range created {
			if err := s.createIn(ctx, tx, a); err != nil {
				return err
			}
		}
		for _, a := range saved {
			if err := s.saveIn(ctx, tx, a); err != nil {
				return err
			}
		}
		return nil
	}))
}

// Save implements identity.Writer.
func (s *Store) Save(ctx context.Context, a identity.Account) (int64, error) {
	if err := s.changeAccounts(ctx, func(tx *sql.Tx) error { return s.saveIn(ctx, tx, a) }); err != nil {
		return 0, named("save account", err)
	}
	return a.Generation + 1, nil
}

func (s *Store) saveIn(ctx context.Context, tx *sql.Tx, a identity.Account) error {
	temp, until := temporary(a)
	reset := identity.PendingReset{}
	if a.Pending != nil {
		reset = *a.Pending
	}
	// If the account turns out to have changed, this is rolled back.
	if _, err := tx.ExecContext(ctx, `DELETE FROM remembered_keys WHERE account = ?1
		AND EXISTS (SELECT 1 FROM accounts WHERE id = ?1 AND (epoch <> ?2 OR passphrase_set <> ?3))`,
		a.ID, a.Epoch, micros(a.PassphraseSet)); err != nil {
		return err
	}
	for _, table := range []string{"waiters", "approvals"} {
		if _, err := tx.ExecContext(ctx, `DELETE FROM `+table+` WHERE account = ?1
			AND EXISTS (SELECT 1 FROM accounts WHERE id = ?1 AND epoch <> ?2)`, a.ID, a.Epoch); err != nil {
			return err
		}
	}
	n, err := affected(tx.ExecContext(ctx, `UPDATE accounts SET generation = generation + 1, epoch = ?, disabled = ?,
		passphrase = ?, passphrase_set = ?, temporary = ?, temporary_until = ?, ends = ?, active_since = ?,
		reset_asked = ?, reset_passphrase_only = ?, reset_uid = ?, reset_login_uid = ?, reset_by = ?,
		realm = ?, phone = ?, code_by_sms = ?, sms_since = ?, entry = ?
		WHERE id = ? AND generation = ?`,
		a.Epoch, a.Disabled, a.Passphrase, micros(a.PassphraseSet), temp, until, micros(a.Ends), micros(a.ActiveSince),
		micros(reset.Asked), reset.PassphraseOnly, reset.By.UID, reset.By.LoginUID, reset.By.Name,
		a.Realm, a.Phone, a.CodeBySMS, micros(a.SMSSince), a.Entry,
		a.ID, a.Generation))
	if err != nil {
		return err
	}
	if n == 0 {
		return identity.ErrChanged
	}
	if err := writeParts(ctx, tx, a); err != nil {
		return err
	}
	return s.apply(ctx, tx, a.ID, a.Generation+1)
}

// Delete implements identity.Writer.
func (s *Store) Delete(ctx context.Context, id string, generation int64) error {
	return named("delete account", s.changeAccounts(ctx, func(tx *sql.Tx) error {
		n, err := affected(tx.ExecContext(ctx, `DELETE FROM accounts WHERE id = ? AND generation = ?`, id, generation))
		if err == nil && n == 0 {
			err = identity.ErrChanged
		}
		return err
	}))
}

func temporary(a identity.Account) (hash []byte, until int64) {
	if a.Temporary == nil {
		return nil, 0
	}
	return a.Temporary.Hash[:], micros(a.Temporary.Expires)
}

// writeParts makes what belongs to the account equal to a's. Rows that exist
// keep what is spent: last_step and used are not touched.
func writeParts(ctx context.Context, tx *sql.Tx, a identity.Account) error {
	devices, codes, keys := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, d := range a.Authenticators {
		devices[d.ID] = true
		n, err := affected(tx.ExecContext(ctx, `INSERT INTO authenticators (id, account, name, sealed, created, last_step, used) VALUES (?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET name = excluded.name WHERE account = excluded.account`,
			d.ID, a.ID, d.Name, d.Sealed, micros(d.Created), d.LastStep, micros(d.Used)))
		if err != nil {
			return err
		}
		if n == 0 {
			return errors.New("an authenticator belongs to another account")
		}
	}
	for _, r := range a.Recovery {
		codes[string(r.Hash[:])] = true
		if _, err := tx.ExecContext(ctx, `INSERT INTO recovery_codes (account, hash, used) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`,
			a.ID, r.Hash[:], micros(r.Used)); err != nil {
			return err
		}
	}
	for _, k := range a.Keys {
		keys[k.Fingerprint] = true
		if _, err := tx.ExecContext(ctx, `INSERT INTO public_keys (account, fingerprint, line, comment, added, suspended, shared) VALUES (?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (account, fingerprint) DO UPDATE SET suspended = excluded.suspended, shared = excluded.shared`,
			a.ID, k.Fingerprint, k.Line, k.Comment, micros(k.Added), micros(k.Suspended), k.Shared); err != nil {
			return err
		}
	}
	var stored identity.Account
	stored.ID = a.ID
	if err := readParts(ctx, tx, &stored); err != nil {
		return err
	}
	for _, d := range stored.Authenticators {
		if !devices[d.ID] {
			if _, err := tx.ExecContext(ctx, `DELETE FROM authenticators WHERE id = ?`, d.ID); err != nil {
				return err
			}
		}
	}
	for _, r := range stored.Recovery {
		if !codes[string(r.Hash[:])] {
			if _, err := tx.ExecContext(ctx, `DELETE FROM recovery_codes WHERE account = ? AND hash = ?`, a.ID, r.Hash[:]); err != nil {
				return err
			}
		}
	}
	for _, k := range stored.Keys {
		if !keys[k.Fingerprint] {
			if _, err := tx.ExecContext(ctx, `DELETE FROM public_keys WHERE account = ? AND fingerprint = ?`, a.ID, k.Fingerprint); err != nil {
				return err
			}
		}
	}
	return nil
}

func affected(r sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// named says what failed; identity's sentinels stay recognisable.
func named(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}
