//go:build linux

package spool

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"entry/audit/names"
	"entry/session/recording"
)

// streamFrame is how many bytes of a stream one frame takes; longer ones are cut.
const streamFrame = 32 << 10

// maxWaiting is how many cut segments of a recording may wait to be written
// before Frame waits: enough to keep a worker busy, 128 KiB, or 1 MiB of bulk. With the
// open one and the one that is written, a recording of bulk holds 2 MiB, all of a spool's
// together maxBulk buffers and what those have that found none.
const maxWaiting = 2

// Summary is what a closed recording came to.
type Summary struct {
	Segments uint32
	Head     [32]byte // the hash of the chain up to and including the last segment
	Bytes    int64    // size of the file
}

// Writer writes one recording. It is safe for concurrent use.
type Writer struct {
	spool    *Spool
	id, user string
	rescue   bool // may use the reserve
	start    time.Time
	file     file
	place    place
	share    *share
	failed   chan struct{}
	closing  sync.Mutex // one Close at a time

	sealer *recording.Sealer // the worker's that has the recording

	// mu guards what follows. No I/O happens under it. Spool.mu may be taken
	// while it is held.
	mu       sync.Mutex
	ended    error         // why no more frames are taken
	broken   bool          // the file can't go on either
	last     uint64        // time of the last frame, µs since start
	buf      []byte        // the open segment's frames; nil when it has none
	bulk     bool          // the segment before was full within a second
	waiting  []cut         // cut segments, oldest first
	busy     bool          // a worker has the recording, or it is in Spool.runnable
	dirty    bool          // in Spool.dirty
	changed  bool          // in Spool.changed
	moved    chan struct{} // closed at the next progress; nil while nobody waits
	cuts     uint64        // segments cut so far
	segments uint32        // segments written so far
	head     [32]byte      // the hash up to there
	content  names.Content // what the file is up to there; only the worker changes it
	released bool          // the file is closed
	summary  *Summary      // set by a Close that succeeded
}

// cut is a segment on its way to the file.
type cut struct {
	frames []byte
	at     uint64
	final  bool
}

// HeaderHash is the SHA-256 of the recording's first line: what session.started
// carries, and the start of the chain.
func (w *Writer) HeaderHash() [32]byte { return w.sealer.HeaderHash() }

// KeyHash is the SHA-256 of the file with the recording's sealed key: what
// session.started carries, too.
func (w *Writer) KeyHash() [32]byte { return w.place.keyHash }

// Failed returns a channel that is closed once the recording takes no more
// frames: the session must end.
func (w *Writer) Failed() <-chan struct{} { return w.failed }

// Err returns why the recording failed, or nil.
func (w *Writer) Err() error {
	select {
	case <-w.failed:
	default:
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ended
}

// Frame adds one frame. It copies p. What it accepted is durable after the
// next tick. While segments wait for the disk it blocks, for Stall at most;
// then the recording has failed with ErrStalled. After any failure it returns
// the same error every time.
func (w *Writer) Frame(k recording.Kind, channel uint32, p []byte) error {
	if !k.Valid() || (len(p) > recording.MaxFrame && !k.Stream()) {
		err := fmt.Errorf("record frame: %s of %d bytes isn't possible", k, len(p))
		w.mu.Lock()
		defer w.mu.Unlock()
		w.endLocked(err) // what can't be recorded must not go by unrecorded
		return w.ended
	}
	for k.Stream() && len(p) > streamFrame {
		if err := w.frame(k, channel, p[:streamFrame]); err != nil {
			return err
		}
		p = p[streamFrame:]
	}
	return w.frame(k, channel, p)
}

func (w *Writer) frame(k recording.Kind, channel uint32, p []byte) error {
	now := w.spool.o.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	need := recording.FrameOverhead + len(p)
	if !w.fits(need) && len(w.waiting) >= maxWaiting {
		w.awaitRoom(need)
	}
	if w.ended != nil {
		return w.ended
	}
	at := max(w.last, w.micros(now))
	if !w.fits(need) {
		w.bulk = true
		w.cut(false)
	}
	w.grow(need)
	w.buf = recording.AppendFrame(w.buf, at-w.last, k, channel, p)
	w.last = at
	if !w.dirty {
		w.dirty = true
		s := w.spool
		s.mu.Lock()
		s.dirty = append(s.dirty, w)
		s.mu.Unlock()
	}
	return nil
}

// micros is the time since the start, in the frames' unit.
func (w *Writer) micros(t time.Time) uint64 { return uint64(max(0, t.Sub(w.start).Microseconds())) }

// awaitRoom waits, with mu held on entry and return, until the open segment
// can be cut or has room for need bytes, or the recording has ended.
func (w *Writer) awaitRoom(need int) {
	t := time.NewTimer(w.spool.o.Stall)
	defer t.Stop()
	for w.ended == nil && len(w.waiting) >= maxWaiting && !w.fits(need) {
		moved := w.progress()
		w.mu.Unlock()
		select {
		case <-moved:
			w.mu.Lock()
		case <-t.C:
			w.mu.Lock()
			w.endLocked(ErrStalled)
		}
	}
}

// noteChanged has the next tick list the recording.
func (w *Writer) noteChanged() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.changedLocked()
}

func (w *Writer) changedLocked() {
	if w.changed {
		return
	}
	w.changed = true
	w.spool.mu.Lock()
	w.spool.changed = append(w.spool.changed, w)
	w.spool.mu.Unlock()
}

// progress returns a channel that is closed when the recording's state moves.
func (w *Writer) progress() <-chan struct{} {
	if w.moved == nil {
		w.moved = make(chan struct{})
	}
	return w.moved
}

// wake tells everybody who waits on progress.
func (w *Writer) wake() {
	if w.moved != nil {
		close(w.moved)
		w.moved = nil
	}
}

// fits reports whether need bytes more go into the open segment: any number into an
// empty one.
func (w *Writer) fits(need int) bool {
	return len(w.buf) == 0 || len(w.buf)+need <= max(recording.SegmentSize, min(cap(w.buf), bulkBuffer))
}

// grow makes room for need bytes in the open segment. Few keystrokes get a
// small buffer, so that 10,000 people typing don't hold 64 KiB each. What follows a
// segment that was full within a second is bulk: a larger segment costs less a byte.
func (w *Writer) grow(need int) {
	if cap(w.buf)-len(w.buf) >= need {
		return
	}
	if w.buf == nil && w.bulk && need <= bulkBuffer {
		if w.buf = w.spool.bulk(w); w.buf != nil {
			return
		}
	}
	b := buffer(len(w.buf) + need)
	b = append(b, w.buf...)
	w.spool.recycle(w.buf)
	w.buf = b
}

// cut closes the open segment and hands it to a worker.
func (w *Writer) cut(final bool) {
	at := w.last
	if now := w.micros(w.spool.o.Now()); now > at {
		at = now
	}
	w.waiting = append(w.waiting, cut{frames: w.buf, at: at, final: final})
	w.buf = nil
	w.cuts++
	if !w.busy {
		w.busy = true
		w.spool.run(w)
	}
}

// end stops the recording from taking more frames. What it has can still be
// written.
func (w *Writer) end(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.endLocked(err)
}

func (w *Writer) endLocked(err error) {
	if w.ended != nil {
		return
	}
	w.ended = err
	close(w.failed)
	w.wake()
}

// abandon ends the recording where it is: nothing more is written.
func (w *Writer) abandon(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.abandonLocked(err)
}

func (w *Writer) abandonLocked(err error) {
	if w.broken {
		return
	}
	w.broken = true
	if errors.Is(w.ended, ErrClosed) { // Close is under way, and can't end well now
		w.ended = nil
		err = errors.Join(ErrClosed, err)
	}
	w.endLocked(err)
	w.spool.recycle(w.buf)
	w.buf = nil
	for _, c := range w.waiting {
		w.spool.recycle(c.frames)
	}
	w.waiting = nil
	w.wake()
}

// waitFor waits until n cut segments are written or the recording is broken.
// After timeout, if it isn't zero, it returns ErrStalled.
func (w *Writer) waitFor(n uint64, timeout time.Duration) error {
	var stall <-chan time.Time
	if timeout > 0 {
		t := time.NewTimer(timeout)
		defer t.Stop()
		stall = t.C
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for !w.broken && uint64(w.segments) < n {
		moved := w.progress()
		w.mu.Unlock()
		select {
		case <-moved:
			w.mu.Lock()
		case <-stall:
			w.mu.Lock()
			return ErrStalled
		}
	}
	if w.broken {
		return w.ended
	}
	return nil
}

// Close seals the recording with its final segment and returns once it is
// durable, or failed. A recording that ended because of space, quota or a
// stall is sealed all the same, with a gap frame that says why. Calling it
// again returns the same summary.
func (w *Writer) Close() (Summary, error) {
	w.closing.Lock()
	defer w.closing.Unlock()
	w.mu.Lock()
	if w.summary != nil || w.released {
		defer w.mu.Unlock()
		if w.summary != nil {
			return *w.summary, nil
		}
		return w.sum(), fmt.Errorf("close recording: %w", w.ended)
	}
	if !w.broken {
		if w.ended != nil {
			why := w.ended.Error()
			w.grow(recording.FrameOverhead + len(why))
			w.buf = recording.AppendFrame(w.buf, 0, recording.Gap, 0, []byte(why))
		} else {
			w.ended = ErrClosed
			w.wake()
		}
		w.cut(true)
	}
	n := w.cuts
	w.mu.Unlock()
	err := w.waitFor(n, w.spool.o.Stall)
	if err == nil {
		err = w.spool.within(w.file.Sync, func() {})
	}
	if err == nil && w.spool.guard != nil {
		if err = w.check(); err == nil {
			err = w.checkKey()
		}
	}
	if err != nil {
		w.abandon(err)
	}
	w.release()
	w.mu.Lock()
	defer w.mu.Unlock()
	sum := w.sum()
	if w.broken {
		return sum, fmt.Errorf("close recording: %w", w.ended)
	}
	w.summary = &sum
	return sum, nil
}

func (w *Writer) sum() Summary {
	return Summary{Segments: w.segments, Head: w.head, Bytes: w.content.Size()}
}

// release gives the file back once no worker has it. Only broken and sealed
// recordings are released.
func (w *Writer) release() {
	s := w.spool
	s.mu.Lock()
	delete(s.open, w)
	s.mu.Unlock()
	w.mu.Lock()
	mine := !w.busy && !w.released
	w.released = true
	w.mu.Unlock()
	if mine {
		_ = w.file.Close() // synced, or broken and reported as that
	}
}

// run hands the recording to a worker.
func (s *Spool) run(w *Writer) {
	s.mu.Lock()
	s.runnable = append(s.runnable, w)
	s.work.Signal()
	s.mu.Unlock()
}
