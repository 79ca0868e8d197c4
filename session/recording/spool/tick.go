//go:build linux

package spool

import (
	"fmt"
	"slices"
	"time"

	"entry/session/recording"
)

// tickEverySecond is the spool's clock. It ends at Close or when the spool
// fails.
func (s *Spool) tickEverySecond() {
	t := time.NewTicker(tickEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			_ = s.tick() // a failed tick has ended the spool, which says so itself
		case <-s.failed:
			return
		case <-s.ctx.Done():
			return
		}
	}
}

// tick makes everything that was recorded so far durable and commits to it.
// It returns nil if there was nothing. An error ends the spool.
func (s *Spool) tick() error {
	s.ticking.Lock()
	defer s.ticking.Unlock()
	if err := s.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	dirty, changed := s.dirty, slices.Clone(s.changed)
	s.dirty = nil
	s.mu.Unlock()
	if len(dirty) == 0 && len(changed) == 0 {
		return nil
	}
	watch := s.watch(dirty, changed)
	defer watch()
	if err := s.checkReserve(dirty); err != nil {
		s.fail(err)
		return err
	}
	cuts := make([]uint64, len(dirty))
	for i, w := range dirty {
		cuts[i] = w.cutForTick()
	}
	for i, w := range dirty {
		_ = w.waitFor(cuts[i], 0) // a broken recording is in the tick with what it has
	}
	if err := s.commit(); err != nil {
		s.fail(err)
		return err
	}
	return nil
}

// cutForTick cuts the open segment, if it has frames, and returns how many
// segments must be written for the tick to cover it.
func (w *Writer) cutForTick() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dirty = false
	if len(w.buf) > 0 && !w.broken {
		w.cut(false)
	}
	return w.cuts
}

// watch ends the recordings that wait for a tick which takes longer than
// Stall: those in it, and those that got data meanwhile. The returned function
// stops it.
func (s *Spool) watch(lists ...[]*Writer) (stop func()) {
	done, over := make(chan struct{}), false // over is guarded by mu
	s.vital("the watch over the spool's tick", func() {
		t := time.NewTimer(s.o.Stall)
		defer t.Stop()
		for {
			select {
			case <-done:
				return
			case <-t.C:
			}
			s.mu.Lock()
			if over {
				s.mu.Unlock()
				return
			}
			s.stalled = true
			late := slices.Clone(s.dirty)
			s.mu.Unlock()
			for _, list := range append(lists, late) {
				for _, w := range list {
					w.end(ErrStalled)
				}
			}
			lists = nil
			t.Reset(tickEvery)
		}
	})
	return func() {
		close(done)
		s.mu.Lock()
		over, s.stalled = true, false
		s.mu.Unlock()
	}
}

// checkReserve ends the recordings that have data to write when less than half
// of the reserve is left: the rest is for their last segments.
func (s *Spool) checkReserve(dirty []*Writer) error {
	if s.o.Reserve == 0 {
		return nil
	}
	free, err := s.disk.free()
	if err != nil {
		return fmt.Errorf("check spool: %w", err)
	}
	if free < s.o.Reserve/2 {
		for _, w := range dirty {
			w.end(ErrFull)
		}
	}
	return nil
}

// commit writes the list of what changed, syncs everything and commits.
func (s *Spool) commit() error {
	s.mu.Lock()
	changed := s.changed
	s.changed = nil
	s.mu.Unlock()
	if len(changed) == 0 {
		return nil
	}
	all := make([]recording.Change, len(changed))
	for i, w := range changed {
		w.mu.Lock()
		w.changed = false
		all[i] = recording.Change{ID: w.id, Segments: w.segments, Head: w.head}
		w.mu.Unlock()
	}
	list, root := recording.EncodeList(all)
	where, err := s.day.append(s.disk, s.o.Now(), list)
	if err != nil {
		return fmt.Errorf("list changes of recordings: %w", err)
	}
	if err := s.disk.syncAll(); err != nil {
		return fmt.Errorf("sync recordings: %w", err)
	}
	if err := s.o.Commit(s.ctx, recording.Tick{Root: root, Changed: len(all), List: where}); err != nil {
		return fmt.Errorf("commit recordings: %w", err)
	}
	return nil
}

// tickFile is the day's file of lists. The zero tickFile has none open yet.
type tickFile struct {
	day  string
	f    file
	size int64
}

// append adds a list and says where it is.
func (t *tickFile) append(d disk, now time.Time, list []byte) (where string, err error) {
	if day := recording.ListDay(now); day != t.day {
		if err := t.close(); err != nil {
			return "", err
		}
		if t.f, t.size, err = d.list(recording.ListFile(day)); err != nil {
			t.f = nil
			return "", err
		}
		t.day = day
	}
	if err := writeAll(t.f, list); err != nil {
		return "", err
	}
	where = recording.ListPlace(t.day, t.size, len(list))
	t.size += int64(len(list))
	return where, nil
}

func (t *tickFile) close() error {
	if t.f == nil {
		return nil
	}
	f := t.f
	t.f, t.day = nil, ""
	return f.Close()
}
