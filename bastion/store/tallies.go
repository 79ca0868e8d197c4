package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"entry/bastion/identity"
)

const (
	// maxTallies bounds the table (about 100 bytes a row): to wash out one lock, a
	// sprayer has to spend as many failed dialogues within the lock's time, and is
	// itself counted by source.
	maxTallies = 1 << 17 // rows
	// pruneEvery is how many calls of Count share one look at what may go; the
	// table can exceed its bound by as many rows for each process.
	pruneEvery = 256
)

// Tallies implements identity.Counter.
func (s *Store) Tallies(ctx context.Context, keys ...identity.TallyKey) ([]identity.Tally, error) {
	var all []identity.Tally
	err := s.snapshot(ctx, func(tx *sql.Tx) (err error) {
		all, err = readTallies(ctx, tx, keys)
		return err
	})
	return all, named("read tallies", err)
}

func readTallies(ctx context.Context, tx *sql.Tx, keys []identity.TallyKey) ([]identity.Tally, error) {
	all := make([]identity.Tally, len(keys))
	for i, k := range keys {
		var since, locked, trusted, keep int64
		err := tx.QueryRowContext(ctx, `SELECT failures, since, locked, trusted, keep FROM tallies WHERE key = ?`, k[:]).
			Scan(&all[i].Failures, &since, &locked, &trusted, &keep)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return nil, err
		}
		all[i].Since, all[i].Locked, all[i].Trusted, all[i].Keep = fromMicros(since), fromMicros(locked), fromMicros(trusted), fromMicros(keep)
	}
	return all, nil
}

// Count implements identity.Counter.
func (s *Store) Count(ctx context.Context, at time.Time, edit func([]identity.Tally) bool, keys ...identity.TallyKey) error {
	return named("count", s.change(ctx, func(tx *sql.Tx) error {
		all, err := readTallies(ctx, tx, keys)
		if err != nil {
			return err
		}
		if !edit(all) {
			return nil
		}
		return s.writeTallies(ctx, tx, at, keys, all)
	}))
}

// writeTallies stores what readTallies has read.
func (s *Store) writeTallies(ctx context.Context, tx *sql.Tx, at time.Time, keys []identity.TallyKey, all []identity.Tally) error {
	for i, k := range keys {
		t := all[i]
		if _, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO tallies (key, failures, since, locked, trusted, keep) VALUES (?, ?, ?, ?, ?, ?)`,
			k[:], t.Failures, micros(t.Since), micros(t.Locked), micros(t.Trusted), micros(t.Keep)); err != nil {
			return err
		}
	}
	if s.counted.Add(1)%pruneEvery != 0 {
		return nil
	}
	return prune(ctx, tx, at, maxTallies)
}

// prune deletes what says nothing any more, and then whatever is over limit,
// first what would have gone next.
func prune(ctx context.Context, tx *sql.Tx, at time.Time, limit int) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM tallies WHERE keep < ?`, micros(at)); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM tallies WHERE key IN
		(SELECT key FROM tallies ORDER BY keep LIMIT max(0, (SELECT count(*) FROM tallies) - ?))`, limit)
	return err
}
