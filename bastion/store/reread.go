package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
)

// reread looks at what the main file has now, once it was written to. Checkpoints do that,
// of what was there before; and so does whoever copies an older file over it, of which neither
// its name nor its size tells. The connections that are open don't see that either, because
// they keep pages: each write of theirs would mix the two. It returns ErrMixed or errPutBack.
func (s *Store) reread(ctx context.Context) error {
	info, err := os.Stat(s.path)
	if err != nil {
		return err
	}
	s.kept.mu.Lock()
	known := s.kept.wrote.Equal(info.ModTime())
	s.kept.mu.Unlock()
	if known {
		return nil
	}
	db, err := sql.Open("sqlite", dsn(s.path, busyWait, "_query_only=1"))
	if err != nil {
		return err
	}
	fresh := &Store{read: db, path: s.path}
	err = fresh.snapshot(ctx, func(tx *sql.Tx) error {
		if _, err := s.marked.stands(ctx, tx, s.nodeName(), false); err != nil {
			return err
		}
		return unmixed(ctx, tx)
	})
	if err = errors.Join(mixed(err), fresh.Close()); err != nil {
		return err
	}
	s.kept.mu.Lock()
	defer s.kept.mu.Unlock()
	s.kept.wrote = info.ModTime()
	return nil
}

// putBack is err, for good where it is errPutBack or ErrMixed.
func (k *kept) putBack(err error) error {
	if !errors.Is(err, errPutBack) && !errors.Is(err, ErrMixed) {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.gone == nil {
		k.gone = fmt.Errorf("%w: %w", ErrGone, err)
	}
	return k.gone
}
