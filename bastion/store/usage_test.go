package store

import (
	"path/filepath"
	"sync"
	"testing"
	"time"
)

func TestUsageIsNeverMoreThanTheLimit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "entry.db")
	day := time.Date(2026, 3, 1, 23, 59, 0, 0, time.UTC)
	var handles []*Store
	for range 2 { // two processes on one database
		s, err := OpenSQLite(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		handles = append(handles, s)
	}
	const limit = 1000
	var mu sync.Mutex
	var sum int64
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			got, total, err := handles[i%2].Reserve(t.Context(), day, "down alice home.tinker", 70, limit)
			if err != nil {
				t.Error(err)
			}
			if got > total || total > limit {
				t.Errorf("granted %d of a total %d", got, total)
			}
			mu.Lock()
			defer mu.Unlock()
			sum += got
		}()
	}
	wg.Wait()
	if sum != limit {
		t.Errorf("%d bytes were granted of %d", sum, limit)
	}
	if err := handles[0].Release(t.Context(), day, "down alice home.tinker", 100); err != nil {
		t.Fatal(err)
	}
	if got, total, err := handles[1].Reserve(t.Context(), day, "down alice home.tinker", 500, limit); err != nil || got != 100 || total != limit {
		t.Errorf("after a release: %d, %d, %v", got, total, err)
	}
	if got, _, err := handles[0].Reserve(t.Context(), day.Add(time.Minute), "down alice home.tinker", 500, limit); err != nil || got != 500 {
		t.Errorf("the next day: %d, %v", got, err)
	}
	if got, _, err := handles[0].Reserve(t.Context(), day, "down bob home.tinker", 500, limit); err != nil || got != 500 {
		t.Errorf("another user: %d, %v", got, err)
	}
}

func TestUsageOfOldDaysIsForgotten(t *testing.T) {
	s, err := OpenSQLite(filepath.Join(t.TempDir(), "entry.db"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	day := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for d := range 100 {
		if _, _, err := s.Reserve(t.Context(), day.AddDate(0, 0, d), "lab alice tinker", 1, 10); err != nil {
			t.Fatal(err)
		}
	}
	var n int
	if err := s.read.QueryRow(`SELECT count(*) FROM usage`).Scan(&n); err != nil || n > 42 {
		t.Errorf("%d days are kept, %v", n, err)
	}
}
