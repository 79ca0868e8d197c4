package store

import (
	"database/sql"
	"encoding/binary"
	"path/filepath"
	"testing"
	"time"

	"entry/bastion/identity"
)

func tally(t *testing.T, s *Store, n int, keep time.Time) {
	t.Helper()
	var k identity.TallyKey
	binary.BigEndian.PutUint64(k[:], uint64(n))
	err := s.Count(t.Context(), day, func(all []identity.Tally) bool {
		all[0] = identity.Tally{Failures: 1, Since: day, Keep: keep}
		return true
	}, k)
	if err != nil {
		t.Fatal(err)
	}
}

func tallies(t *testing.T, s *Store) (n int) {
	t.Helper()
	if err := s.read.QueryRow("SELECT count(*) FROM tallies").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestTalliesArePruned: by time first, then by number, those first that would
// have been forgotten next.
func TestTalliesArePruned(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "entry.db"))
	for i := range 10 {
		tally(t, s, i, day.Add(time.Duration(i)*time.Minute))
	}
	for _, c := range []struct {
		at    time.Time
		limit int
		left  int
	}{{day, 100, 10}, {day.Add(2 * time.Minute), 100, 8}, {day, 3, 3}} {
		if err := s.change(t.Context(), func(tx *sql.Tx) error { return prune(t.Context(), tx, c.at, c.limit) }); err != nil {
			t.Fatal(err)
		}
		if n := tallies(t, s); n != c.left {
			t.Errorf("%d left, want %d", n, c.left)
		}
	}
	var oldest int64
	if err := s.read.QueryRow("SELECT min(keep) FROM tallies").Scan(&oldest); err != nil || oldest != micros(day.Add(7*time.Minute)) {
		t.Errorf("the oldest that is left ends %v, %v", fromMicros(oldest), err)
	}
}

// TestCountingPrunes: nobody else tidies up.
func TestCountingPrunes(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "entry.db"))
	for i := range pruneEvery {
		tally(t, s, i, day.Add(-time.Minute))
	}
	if n := tallies(t, s); n != 0 {
		t.Errorf("%d left", n)
	}
}
