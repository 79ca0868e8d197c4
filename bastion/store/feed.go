package store

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	// pollEvery is how often Changed looks for what other processes did: two looks
	// fit into the second within which a change has to be seen. One look costs a
	// read of two pages in memory (BenchmarkPoll).
	pollEvery = 500 * time.Millisecond
	// busyLooks is how many looks in a row may find the database locked, each after
	// having waited busyWait for it, before Changed says so.
	busyLooks = 4
)

// bell wakes those who wait for a change of this Store's own.
type bell struct {
	mu   sync.Mutex
	rung chan struct{} // closed by the next ring; nil while nobody waits
}

func (b *bell) next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rung == nil {
		b.rung = make(chan struct{})
	}
	return b.rung
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rung != nil {
		close(b.rung)
		b.rung = nil
	}
}

// Changed implements identity.Feed. It works only while it is called: nothing
// runs behind it. Its looks are those for an older state that was put back, or a file
// that was copied over the database, too: from the first one that finds it on, this, Intact and every write return ErrGone for good.
func (s *Store) Changed(ctx context.Context, since int64) (int64, error) {
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	for busy := 0; ; {
		rung := s.bell.next() // before the look, or a change between would wait for the next one
		now, err := s.changes(ctx)
		switch {
		case ctx.Err() != nil:
			return since, context.Cause(ctx)
		case err == nil && now != since:
			return now, nil
		case err == nil:
			busy = 0
		case !isBusy(err) || busy == busyLooks-1:
			return since, named("read changes", err)
		default:
			busy++
		}
		select {
		case <-ctx.Done():
			return since, context.Cause(ctx)
		case <-rung:
		case <-poll.C:
		}
	}
}

// changes is how many changes of accounts there were, in a database that has what this
// process wrote last, and what it saw of others.
func (s *Store) changes(ctx context.Context) (n int64, err error) {
	if err := s.reread(ctx); err != nil {
		return 0, s.kept.putBack(err)
	}
	err = s.snapshot(ctx, func(tx *sql.Tx) error {
		n, err = s.marked.stands(ctx, tx, s.nodeName(), false)
		return err
	})
	if errors.Is(err, errPutBack) {
		// A change may have been committed that isn't noted yet: a look in its turn tells.
		err = s.change(ctx, func(tx *sql.Tx) error {
			return tx.QueryRowContext(ctx, `SELECT counter FROM changes`).Scan(&n)
		})
	}
	return n, err
}

// changeAccounts is change for what the other processes have to hear of.
func (s *Store) changeAccounts(ctx context.Context, f func(*sql.Tx) error) error {
	err := s.change(ctx, func(tx *sql.Tx) error {
		if err := f(tx); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE changes SET counter = counter + 1`)
		return err
	})
	if err == nil {
		s.bell.ring()
	}
	return err
}

// isBusy tells whether another process has the database locked.
func isBusy(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_BUSY // the low byte is the primary code
}
