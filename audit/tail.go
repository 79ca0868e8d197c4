package audit

import (
	"context"
	"fmt"
	"iter"
	"math"
	"os"
	"time"
)

// FollowEvery is how often who follows a log looks for new events: soon enough for a person
// who watches, too seldom to be seen in a profile.
const FollowEvery = 250 * time.Millisecond

// Tail yields the last n events of the log in dir and then, with follow, each
// new one until ctx ends, which ends the sequence without an error. Errors are
// as Read's; a log that becomes shorter while it is followed is one that ends
// it. It reads no segment that it doesn't need.
func Tail(ctx context.Context, dir string, n int, follow bool) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		t, err := OpenTail(dir, n)
		if err != nil {
			yield(Event{}, err)
			return
		}
		defer t.Close()
		tick := time.NewTicker(FollowEvery)
		defer tick.Stop()
		for {
			for e, err := range t.Events() {
				if !yield(e, err) || err != nil && !Told(err) {
					return
				}
			}
			if !follow {
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}
}

// Tailing is the end of a log, as it grows: what Tail yields, for who waits for more than
// one log.
type Tailing struct {
	root  *os.Root
	r     *eventReader
	begun bool // the events that were there were read
}

// OpenTail begins before the last n events of the log in dir.
func OpenTail(dir string, n int) (*Tailing, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open audit log: %w", err)
	}
	r, err := openLast(dir, uint64(max(n, 0)))
	if err != nil {
		_ = root.Close() // only read
		return nil, err
	}
	return &Tailing{root: root, r: r}, nil
}

// Events yields those that nobody was given yet, and ends without waiting. After an error
// that isn't Told there are no others.
func (t *Tailing) Events() iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		if t.begun {
			size := covered(t.root) // before the events, as in openEvents
			if err := t.r.Follow(); err != nil {
				yield(Event{}, err)
				return
			}
			t.r.grown(size)
		}
		t.begun = true
		t.r.each(yield)
	}
}

// Close lets go of the files.
func (t *Tailing) Close() {
	t.r.Close()
	_ = t.root.Close() // only read
}

// grown goes on in a log that has size signed records now. While it hasn't more than
// before, what stands behind the last of them is none, whatever number it states.
func (r *eventReader) grown(size uint64) {
	if size > r.size {
		r.size, r.last = size, false
	}
}

// openLast opens the log in dir to be read from the last n records on.
func openLast(dir string, n uint64) (*eventReader, error) {
	r, err := openEvents(dir, 1)
	if err != nil {
		return nil, err
	}
	size := r.size
	if size == math.MaxUint64 { // nobody says how many there are
		err = r.Pass(size)
		size = r.N()
	}
	r.Close()
	if err != nil {
		return nil, err
	}
	before := size - min(n, size)
	if r, err = openEvents(dir, before+1); err != nil {
		return nil, err
	}
	if err := r.pass(before); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}
