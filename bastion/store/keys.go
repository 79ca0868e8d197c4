package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"entry/bastion/identity"
)

// KeyHolders implements identity.Reader: one query.
func (s *Store) KeyHolders(ctx context.Context, fingerprint string) ([]identity.KeyHolder, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT a.id, a.name, k.proven <> 0, k.shared <> '' FROM public_keys k JOIN accounts a ON a.id = k.account
		WHERE k.fingerprint = ? ORDER BY a.name`, fingerprint)
	if err != nil {
		return nil, fmt.Errorf("read holders of a key: %w", placed(s.path, err))
	}
	defer closeRows(rows)
	var all []identity.KeyHolder
	for rows.Next() {
		var h identity.KeyHolder
		if err := rows.Scan(&h.Account, &h.Name, &h.Proven, &h.Shared); err != nil {
			return nil, fmt.Errorf("read holders of a key: %w", err)
		}
		all = append(all, h)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read holders of a key: %w", err)
	}
	return all, nil
}

// ProveKey implements identity.Ledger.
func (s *Store) ProveKey(ctx context.Context, account, fingerprint string, at time.Time) (first bool, err error) {
	err = s.change(ctx, func(tx *sql.Tx) error {
		if err := unowned(ctx, tx, account, fingerprint); err != nil {
			return err
		}
		n, err := affected(tx.ExecContext(ctx, `UPDATE public_keys SET proven = ? WHERE account = ? AND fingerprint = ? AND proven = 0`,
			micros(at), account, fingerprint))
		first = n > 0
		return err
	})
	return first, named("prove key", err)
}

// unowned returns identity.ErrKeyTaken if the key was proven to be another account's,
// shared or not, than this one, which doesn't share it.
func unowned(ctx context.Context, tx *sql.Tx, account, fingerprint string) error {
	var taken bool
	err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM public_keys WHERE fingerprint = ?2 AND account <> ?1 AND proven <> 0)
		AND NOT EXISTS (SELECT 1 FROM public_keys WHERE fingerprint = ?2 AND account = ?1 AND shared <> '')`, account, fingerprint).Scan(&taken)
	if err == nil && taken {
		err = identity.ErrKeyTaken
	}
	return err
}
