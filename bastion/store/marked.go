package store

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
)

// errPutBack is why a database is gone whose files are where they were: SQLite's own means
// (.restore of its shell, the backup API) put an older state into them, and what was
// taken away since is given again. The next start takes it away anew, by the log.
var errPutBack = errors.New("an older state was put back into it: start the server again, which takes away what the log says was taken away")

// marked knows the state of the database that this process left behind. It is safe for
// concurrent use.
type marked struct {
	mu sync.Mutex
	// last is the mark that it wrote last, and those after it of which nobody knows yet
	// whether they came there; none before the first change.
	last []int64
	// counter is the highest number of changes of accounts seen: other processes' too.
	counter int64
	// known is how many records of all logs the database was seen to know of, which never
	// go back: of what another process has spent at a login nothing else tells.
	known int64
}

// stands returns how many changes of accounts tx sees, or errPutBack where it doesn't see what
// this process wrote last. A tx that writes sees what is there, so that it settles which mark is
// the last.
func (m *marked) stands(ctx context.Context, tx *sql.Tx, node string, writes bool) (changes int64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var mark, known int64
	err = tx.QueryRowContext(ctx, `SELECT coalesce((SELECT mark FROM marks WHERE node = ?), 0), (SELECT counter FROM changes), (SELECT coalesce(sum(size), 0) FROM log_positions)`, node).Scan(&mark, &changes, &known)
	switch {
	case err != nil:
		return 0, err
	case len(m.last) > 0 && (!slices.Contains(m.last, mark) || changes < m.counter || known < m.known):
		return 0, errPutBack
	case writes:
		m.last = []int64{mark}
	}
	m.counter, m.known = changes, known
	return changes, nil
}

// marking does f, between a look whether the state of before stands and a new mark. committed is
// to be called once that is known to have come there.
func (m *marked) marking(ctx context.Context, tx *sql.Tx, node string, f func(*sql.Tx) error) (committed func(), err error) {
	if _, err := m.stands(ctx, tx, node, true); err != nil {
		return nil, err
	}
	if err := f(tx); err != nil {
		return nil, err
	}
	mark := rand.Int64()
	if _, err := tx.ExecContext(ctx, `INSERT INTO marks (node, mark) VALUES (?, ?) ON CONFLICT DO UPDATE SET mark = excluded.mark`, node, mark); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last = append(m.last, mark) // the next one may begin before this one hears that it is committed
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if i := slices.Index(m.last, mark); i > 0 {
			m.last = m.last[i:]
		}
	}, nil
}
