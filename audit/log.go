//go:build linux

package audit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb/note"

	"entry/session/group"
)

var (
	// ErrClosed is returned by Append after Close.
	ErrClosed = errors.New("audit log is closed")
	// ErrLocked is returned by Open while another Log, of this process or
	// another, writes the directory.
	ErrLocked = errors.New("another writer has the audit log")
	// ErrClock is returned while the wall clock is more than 60 s behind the
	// last event. Nothing was written; it isn't final.
	ErrClock = errors.New("wall clock is behind the last audit event")
	// ErrEvent is returned for an event that no log takes: unknown type, or a
	// date beyond year 9999. Nothing was written; it isn't final.
	ErrEvent = errors.New("not a valid audit event")
)

const (
	// queueLen is how many calls of Append may wait beside those in the batch
	// at work. When it is full Append blocks until there is room or its ctx
	// ends: nothing is ever dropped.
	queueLen = 256
	// maxBatch is where a batch stops taking more, in bytes, so that a flood
	// can't put off the answer to those already in it.
	maxBatch = 1 << 20
)

// Log is the one writer of a log directory. It is safe for concurrent use.
type Log struct {
	now     func() time.Time
	signer  note.Signer // the writer goroutine's, once that runs
	keys    atomic.Pointer[Keys]
	disk    disk
	path    string // of dir, absolute
	dir     *os.Root
	parent  *os.File // dir, for its fsync
	reserve int64    // bytes; 0 is none
	hands   hands    // open files that are given up for those that are needed
	spared  bool     // there is a file for the next checkpoint, where no other one can be made
	witness *witness // nil without
	still   bool     // nothing is made or written: see Still
	most    int64    // bytes of a segment

	// Files that must stay where they are.
	locked, events, hashes, checkpoint kept

	queue    chan *request
	closing  chan struct{}   // closed by Close
	stopped  <-chan struct{} // closed when the writer has ended
	failed   chan struct{}   // closed after err is set
	err      error           // why failed is closed
	closeLog func()          // once
	space    atomic.Uint32   // a Space
	changed  chan struct{}   // space has

	position atomic.Pointer[Position]

	tending *group.Group  // looks through the file of hashes
	mend    chan mending  // what it found wrong
	used    chan struct{} // closed once a batch was served
	heard   chan Holds    // what stood at the start, where the last segment doesn't say

	// The writer goroutine's alone.
	tree          tree
	first, before uint64    // records with which the last segment and the one before begin
	began, last   time.Time // of the last segment's first event, and its last
	lines, stored []byte
	turn          *turning // of the batch at work: it changes the log's key
	carried       carried  // the legal holds that stand
	opened        int64    // bytes of the holds with which the last segment begins, where this writer began that
	blocked       string   // what is in the way of the next segment, and was told
}

// request is one call of Append. Its events are encoded by the caller, from
// the comma after the time on, so that the writer only stamps and hashes.
type request struct {
	bodies [][]byte
	rekey  *rekeying  // makes one more body, where the log's key is to change
	holds  []Event    // those of its events that place or release one
	done   chan error // buffered: the writer never waits for a caller
}

// Append stores events, in order and together, and returns nil once they are
// durable: see the package's guarantees. It sets their Schema, Seq and Time.
//
// It is safe for concurrent use; calls that wait at the same time share one
// sync. It blocks while the queue is full. If ctx ends first it returns an
// error that wraps ctx's cause, and the events may or may not reach the log.
// It returns ErrClosed after Close, ErrClock or ErrEvent without having written
// anything, and ErrFull while the disk is full. Any other error is final: every
// later Append returns it.
func (l *Log) Append(ctx context.Context, e ...Event) error {
	if len(e) == 0 {
		return nil
	}
	r := &request{bodies: make([][]byte, len(e)), done: make(chan error, 1)}
	for i := range e {
		if !known[e[i].Type] {
			return fmt.Errorf("append audit event: type %.40q: %w", e[i].Type, ErrEvent)
		}
		if u := e[i].Until; u != nil && !plausible(*u) {
			return fmt.Errorf("append audit event: until %v: %w", *u, ErrEvent)
		}
		r.bodies[i] = e[i].appendBody(make([]byte, 0, 512))
		if e[i].Type == HoldPlaced || e[i].Type == HoldReleased {
			r.holds = append(r.holds, e[i])
		}
	}
	return l.hand(ctx, r)
}

// hand has the writer serve r.
func (l *Log) hand(ctx context.Context, r *request) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("append audit event: %w", context.Cause(ctx))
	case isClosed(l.closing):
		return ErrClosed
	case isClosed(l.failed):
		return l.err
	}
	select {
	case l.queue <- r:
	case <-l.closing:
		return ErrClosed
	case <-l.failed:
		return l.err
	case <-ctx.Done():
		return fmt.Errorf("append audit event: log is busy: %w", context.Cause(ctx))
	}
	select {
	case err := <-r.done:
		return err
	case <-l.stopped:
		select {
		case err := <-r.done:
			return err
		default:
			return ErrClosed
		}
	case <-ctx.Done():
		return fmt.Errorf("append audit event: not known to be durable: %w", context.Cause(ctx))
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Failed returns a channel that is closed once the log has failed for good;
// every later Append returns the error.
func (l *Log) Failed() <-chan struct{} { return l.failed }

// Close writes what was queued, ends the writer and releases the directory. It
// returns the error that the log failed with, if it did. It may be called more
// than once.
func (l *Log) Close() error {
	l.tending.Cancel(ErrClosed)
	l.tending.Wait()
	l.closeLog()
	<-l.stopped
	if isClosed(l.failed) {
		return l.err
	}
	return nil
}

// start begins the writer, which ends with Close. A panic in it ends the
// process: nothing may be promised without the log.
func (l *Log) start() {
	l.queue = make(chan *request, queueLen)
	l.mend, l.used, l.heard = make(chan mending), make(chan struct{}), make(chan Holds)
	l.closing = make(chan struct{})
	l.changed = make(chan struct{}, 1)
	l.failed = make(chan struct{})
	l.closeLog = sync.OnceFunc(func() { close(l.closing) })
	l.stopped = group.Vital("the audit log's writer", l.run)
}

func (l *Log) run() {
	defer l.release()
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	l.look()
	for {
		select {
		case r := <-l.queue:
			l.serve(r)
		case <-t.C:
			l.watch()
		case m := <-l.mend:
			m.done <- l.writeOver(m.wrong)
		case h := <-l.heard:
			l.carried.hear(h)
		case <-l.closing:
			for {
				select {
				case r := <-l.queue:
					l.serve(r)
				default:
					return
				}
			}
		}
	}
}

// serve writes r and everything that waits behind it as one batch.
func (l *Log) serve(r *request) {
	batch := []*request{r}
	size := 0
	for _, b := range r.bodies {
		size += len(b)
	}
	for more := true; more && size < maxBatch; {
		select {
		case r := <-l.queue:
			batch = append(batch, r)
			for _, b := range r.bodies {
				size += len(b)
			}
		default:
			more = false
		}
	}
	now := l.now().UTC()
	var err error
	if !isClosed(l.failed) {
		if gone := l.intact(); gone != nil {
			l.lose(gone)
		} else if l.full(now) {
			if err := l.roll(); err != nil {
				_ = l.fail(err) // it is returned below
			}
		}
	}
	if isClosed(l.failed) {
		err = l.err
	} else {
		err = l.commit(now, batch)
	}
	for _, r := range batch {
		r.done <- err
	}
	if !isClosed(l.used) {
		close(l.used)
	}
	if !isClosed(l.failed) {
		l.look()
	}
}

// release closes the files. What was acknowledged is durable already.
func (l *Log) release() {
	l.witness.close()
	l.hands.empty()
	for _, f := range []*os.File{l.events.File, l.hashes.File, l.checkpoint.File, l.parent, l.locked.File} { // the lock last
		if f != nil {
			_ = f.Close() // every acknowledged write was synced
		}
	}
	if l.dir != nil {
		_ = l.dir.Close() // a directory handle
	}
}
