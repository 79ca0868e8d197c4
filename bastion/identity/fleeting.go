package identity

import (
	"context"
	"sync"
	"time"
)

const (
	// maxFleeting bounds the tallies that are kept in memory (about 150 bytes each).
	maxFleeting = 1 << 16
	// fleetingSample is among how many of them the least is looked for that goes.
	fleetingSample = 64
)

// fleeting is a Counter that lives as long as the process. Strangers choose its
// keys, so it is bounded, and what has counted least goes first: whoever floods it
// with things typed once can't wash out what was typed often.
type fleeting struct {
	mu  sync.Mutex // guards all
	all map[TallyKey]Tally
}

func newFleeting() *fleeting { return &fleeting{all: map[TallyKey]Tally{}} }

// Tallies implements Counter. It never fails.
func (f *fleeting) Tallies(_ context.Context, keys ...TallyKey) ([]Tally, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.read(keys), nil
}

func (f *fleeting) read(keys []TallyKey) []Tally {
	t := make([]Tally, len(keys))
	for i, k := range keys {
		t[i] = f.all[k]
	}
	return t
}

// Count implements Counter. It never fails.
func (f *fleeting) Count(_ context.Context, at time.Time, edit func([]Tally) bool, keys ...TallyKey) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.read(keys)
	if !edit(t) {
		return nil
	}
	for i, k := range keys {
		if t[i].Failures == 0 {
			delete(f.all, k)
			continue
		}
		if _, ok := f.all[k]; !ok && len(f.all) >= maxFleeting {
			f.forget(at)
		}
		f.all[k] = t[i]
	}
	return nil
}

// forget drops one tally that is over, or the one of a few that counts least.
func (f *fleeting) forget(now time.Time) {
	var least TallyKey
	seen := 0
	for k, t := range f.all { // map order is random enough for eviction
		if !now.Before(t.Keep) {
			delete(f.all, k)
			return
		}
		if seen == 0 || t.Failures < f.all[least].Failures {
			least = k
		}
		if seen++; seen == fleetingSample {
			break
		}
	}
	delete(f.all, least)
}
