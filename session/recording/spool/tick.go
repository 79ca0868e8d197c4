//go:build linux

package spool

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"entry/audit/names"
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
			s.lookAfter()
			_ = s.tick() // a failed tick has ended the spool, which says so itself
		case <-s.failed:
			return
		case <-s.ctx.Done():
			return
		}
	}
}

// tick makes everything that was recorded so far durable and commits to it.
// It returns nil if there was nothing. ErrFull says that the list found no
// room: what changed waits for the next tick, and records no more. Any other
// error ends the spool.
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
	if err := s.fitShares(); err != nil {
		s.fail(fmt.Errorf("check spool: %w", err))
		return err
	}
	if err := s.makeRoom(dirty, changed); err != nil {
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
	if s.guard != nil {
		for _, w := range changed {
			s.ensure(w)
		}
		for _, w := range dirty {
			s.ensure(w)
		}
	}
	err := s.commit()
	if err != nil && !errors.Is(err, ErrFull) {
		s.fail(err)
	}
	return err
}

// ensure ends w where its files aren't where they were, unless it is closed.
func (s *Spool) ensure(w *Writer) {
	s.mu.Lock()
	_, open := s.open[w]
	s.mu.Unlock()
	if !open {
		return
	}
	if err := w.check(); err != nil {
		w.abandon(err)
	}
}

// cutForTick cuts the open segment, if it has frames, and returns how many
// segments must be written for the tick to cover it.
func (w *Writer) cutForTick() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dirty = false
	w.bulk = len(w.buf) >= recording.SegmentSize
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

// makeRoom ends the recordings that have data to write when less than half of
// the reserve is left, or when there is no room for the lists to come.
func (s *Spool) makeRoom(dirty, changed []*Writer) error {
	s.mu.Lock()
	// Every open recording can still get a line in this list, in the next and
	// in that of its end; those that changed may be closed.
	lines := 3*len(s.open) + len(changed)
	s.mu.Unlock()
	err := s.day.reserve(s.disk, s.o.Now(), int64(lines)*recording.MaxChange)
	switch {
	case noSpace(err):
		err = ErrFull
	case err != nil:
		err = fmt.Errorf("list changes of recordings: %w", err)
	case s.o.Reserve > 0:
		for _, w := range dirty {
			if err = s.look(w.rescue); errors.Is(err, ErrFull) {
				w.end(ErrFull)
				err = nil
			}
			if err != nil {
				break
			}
		}
	}
	if errors.Is(err, ErrFull) {
		for _, w := range dirty {
			w.end(ErrFull)
		}
		err = nil
	}
	return err
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
	full := noSpace(err)
	if err != nil && !full {
		return fmt.Errorf("list changes of recordings: %w", err)
	}
	for _, w := range changed {
		_ = w.share.add(int64(len(list)/len(all)), s.o.Now()) // the next segment says so
	}
	if err := s.disk.syncAll(); err != nil {
		return fmt.Errorf("sync recordings: %w", err)
	}
	later := func() {
		for _, w := range changed {
			w.end(ErrFull)
			w.noteChanged()
		}
	}
	if full {
		later()
		return fmt.Errorf("list changes of recordings: %w: %w", ErrFull, err)
	}
	if err := s.o.Commit(s.ctx, recording.Tick{Root: root, Changed: len(all), List: where}); err != nil {
		if errors.Is(err, ErrFull) {
			later()
		}
		return fmt.Errorf("commit recordings: %w", err)
	}
	return nil
}

// listAhead is how much space is taken for lists beyond what is known to be
// needed, so that it isn't taken anew every second.
const listAhead = 64 << 10 // bytes

// tickFile is the day's file of lists. The zero tickFile has none open yet.
type tickFile struct {
	day       string
	at        names.File
	f         listFile
	content   names.Content
	allocated int64 // how long the file can become, whatever else is written
}

// open opens the file for lists made at now.
func (t *tickFile) open(d disk, now time.Time) (err error) {
	day := recording.ListDay(now)
	if day == t.day {
		return nil
	}
	if err := t.close(); err != nil {
		return err
	}
	f, size, err := d.list(recording.ListFile(day))
	if err != nil {
		return err
	}
	if t.content, err = names.ContentOf(f, size); err != nil {
		return errors.Join(err, f.Close())
	}
	t.f, t.day, t.allocated = f, day, size
	t.at, err = d.at(recording.ListFile(day))
	return err
}

// reserve sees to it that need more bytes of lists have room.
func (t *tickFile) reserve(d disk, now time.Time, need int64) error {
	if err := t.open(d, now); err != nil {
		return err
	}
	if t.content.Size()+need <= t.allocated {
		return nil
	}
	size := t.content.Size() + need + listAhead
	if err := t.f.allocate(size); err != nil {
		return err
	}
	t.allocated = size
	return nil
}

// check returns nil where the file is where it was and what it was, but for its
// middle.
func (t *tickFile) check() error {
	if t.f == nil {
		return nil
	}
	if err := t.at.Check(t.content.Size()); err != nil {
		return err
	}
	return t.content.Check(t.f, t.at.Path())
}

// append adds a list and says where it is. After an error the file is opened
// anew, since part of the list may stand in it.
func (t *tickFile) append(d disk, now time.Time, list []byte) (where string, err error) {
	if err := t.open(d, now); err != nil {
		return "", err
	}
	if err := writeAll(t.f, list); err != nil {
		return "", errors.Join(err, t.drop())
	}
	where = recording.ListPlace(t.day, t.content.Size(), len(list))
	t.content.Wrote(list)
	return where, nil
}

// close ends the file where its lists end.
func (t *tickFile) close() error {
	if t.f == nil {
		return nil
	}
	err := t.f.trim(t.content.Size())
	return errors.Join(err, t.drop())
}

// drop closes the file as it is.
func (t *tickFile) drop() error {
	f := t.f
	t.f, t.day = nil, ""
	return f.Close()
}
