//go:build linux

package spool

import "fmt"

// maxScratch is what a worker keeps between segments.
const maxScratch = bulkBuffer + 64<<10 // bytes

// writeSegments is a worker: it compresses, seals and writes segments, one
// recording at a time, until Close. There are GOMAXPROCS of them. A
// recording's segments are in order because only one worker has it at a time.
func (s *Spool) writeSegments() {
	var scratch []byte
	for {
		s.mu.Lock()
		for len(s.runnable) == 0 && s.ctx.Err() == nil {
			s.work.Wait()
		}
		if len(s.runnable) == 0 {
			s.mu.Unlock()
			return
		}
		w := s.runnable[0]
		s.runnable[0] = nil
		s.runnable = s.runnable[1:]
		s.mu.Unlock()
		if scratch = w.writeOne(scratch); cap(scratch) > maxScratch {
			scratch = nil
		}
	}
}

// writeOne writes the recording's oldest waiting segment, in memory taken from
// scratch, which it returns.
func (w *Writer) writeOne(scratch []byte) []byte {
	w.mu.Lock()
	if len(w.waiting) == 0 { // broken meanwhile
		w.mu.Unlock()
		w.handBack()
		return scratch
	}
	c := w.waiting[0]
	w.waiting = append(w.waiting[:0], w.waiting[1:]...)
	w.wake()
	w.mu.Unlock()

	sealed, err := w.sealer.Seal(w.spool.codec, scratch, c.frames, c.at, c.final)
	w.spool.recycle(c.frames)
	if err == nil {
		err = w.ready()
	}
	if err == nil {
		err = writeAll(w.file, sealed)
	}
	if err != nil {
		w.abandon(fmt.Errorf("write recording: %w", err))
		w.handBack()
		return scratch
	}
	over := w.spool.count(w, len(sealed))

	w.mu.Lock()
	if !w.broken {
		w.segments++
		w.head = w.sealer.Head()
		w.content.Wrote(sealed)
		w.changedLocked()
		if over != nil {
			w.endLocked(over)
		}
		w.wake()
	}
	w.mu.Unlock()
	w.handBack()
	return sealed
}

// ready returns nil where the end of the file is still what was written: what
// follows would hide that somebody cut it.
func (w *Writer) ready() error {
	if w.spool.guard == nil {
		return nil
	}
	if err := w.content.Check(w.file, w.place.data.Path()); err != nil {
		return gone(err)
	}
	return nil
}

// handBack ends a worker's turn with the recording: to the end of the queue
// if it has more, so that a busy recording doesn't starve the others.
func (w *Writer) handBack() {
	w.mu.Lock()
	more := len(w.waiting) > 0
	w.busy = more
	last := !more && w.released
	if more {
		w.spool.run(w)
	}
	w.mu.Unlock()
	if last {
		_ = w.file.Close() // synced, or broken and reported as that
	}
}

// count adds n bytes to what w's user has written, and returns why that is enough:
// ErrShare, ErrQuota, ErrFull or that the disk can't say.
func (s *Spool) count(w *Writer, n int) error {
	if err := w.share.add(int64(n), s.o.Now()); err != nil {
		return err
	}
	if s.o.Quota > 0 {
		s.mu.Lock()
		s.used[w.user] += int64(n)
		over := s.used[w.user] > s.o.Quota
		s.mu.Unlock()
		if over {
			return ErrQuota
		}
	}
	if s.o.Reserve > 0 && s.budget.Add(-int64(n)) < 0 {
		return s.look(w.rescue)
	}
	return nil
}

// look returns ErrFull when less than half of the reserve is left, or an eighth
// for a rescue. If there is more, half of that may be written until the next look,
// which comes with every tick: other programs may be filling the disk, too.
func (s *Spool) look(rescue bool) error {
	free, err := s.disk.free()
	if err != nil {
		return fmt.Errorf("check spool: %w", err)
	}
	left := free - s.o.Reserve/2
	s.budget.Store(left / 2)
	if left >= 0 || rescue && free >= s.o.Reserve/8 {
		return nil
	}
	return ErrFull
}

// fitShares makes the users' shares fit the free space.
func (s *Spool) fitShares() error {
	if s.o.Share == 0 {
		return nil
	}
	free, err := s.disk.free()
	if err == nil {
		s.shares.fit(free - s.o.Reserve)
	}
	return err
}
