//go:build linux

package spool

import "fmt"

// maxScratch is what a worker keeps between segments.
const maxScratch = 256 << 10

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
	recycle(c.frames)
	if err == nil {
		err = writeAll(w.file, sealed)
	}
	if err != nil {
		w.abandon(fmt.Errorf("write recording: %w", err))
		w.handBack()
		return scratch
	}
	w.size += int64(len(sealed))
	over := w.spool.count(w.user, len(sealed))

	w.mu.Lock()
	if !w.broken {
		w.segments++
		w.head = w.sealer.Head()
		w.bytes = w.size
		if !w.changed {
			w.changed = true
			w.spool.mu.Lock()
			w.spool.changed = append(w.spool.changed, w)
			w.spool.mu.Unlock()
		}
		if over {
			w.endLocked(ErrQuota)
		}
		w.wake()
	}
	w.mu.Unlock()
	w.handBack()
	return sealed
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

// count adds n bytes to what user has and reports whether that is too much.
func (s *Spool) count(user string, n int) bool {
	if s.o.Quota == 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used[user] += int64(n)
	return s.used[user] > s.o.Quota
}
