package fastconn

import (
	"errors"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"entry/session/group"
)

const (
	// batchLimit bounds what a writer may be ahead of its destination. It is
	// eight SSH packets: enough for one Write to carry what was encrypted
	// during the last one, and little enough to stay in the CPU's cache.
	batchLimit = 256 << 10 // bytes
	batchStart = 64 << 10  // bytes a batch starts with

	// closeGrace bounds how long Close waits for a peer that takes nothing.
	closeGrace = time.Second
)

var batches = sync.Pool{New: func() any { b := make([]byte, 0, batchStart); return &b }}

// errBroken is what is left of a conn in which something panicked.
var errBroken = errors.New("a defect broke the connection")

// writeBehind collects bytes while a write is in flight and hands them on in
// one piece. A goroutine of its group writes while there is something to write
// and ends when there is nothing, so that an idle connection holds no goroutine
// and no buffer.
//
// Lock order: mu is never held across write, half or full.
type writeBehind struct {
	group *group.Group
	name  string             // of its goroutine
	write func([]byte) error // to the destination; calls are serial
	half  func()             // ends the direction after the last byte
	full  func()             // closes the destination

	mu       sync.Mutex
	changed  sync.Cond // room, idleness, error or deadline
	pending  *[]byte   // accepted, not yet being written
	running  bool      // somebody is in write, half or full
	eof      bool      // CloseWrite was called
	eofDone  bool
	closed   bool // Close was called
	fullDone bool
	err      error // first failure, for ever
	deadline deadline

	ahead atomic.Int64 // bytes accepted and not written yet
	among *Ahead       // those of all who share a bound; nil for nobody
}

// Ahead counts the bytes that several connections have accepted and not written yet, all
// together. It is safe for concurrent use; its zero value is ready.
type Ahead struct{ bytes atomic.Int64 }

const (
	// aheadOfAll is from how many such bytes on each may have no more than aheadLeast.
	aheadOfAll = 16 << 20 // bytes
	aheadLeast = 32 << 10 // bytes
)

// count notes n more bytes, or fewer.
func (w *writeBehind) count(n int) {
	w.ahead.Add(int64(n))
	if w.among != nil {
		w.among.bytes.Add(int64(n))
	}
}

// limit is how many bytes may be collected.
func (w *writeBehind) limit() int {
	if w.among != nil && w.among.bytes.Load() > aheadOfAll {
		return aheadLeast
	}
	return batchLimit
}

func (w *writeBehind) init(g *group.Group, name string, write func([]byte) error, half, full func()) {
	w.group, w.name = g, name
	w.write, w.half, w.full = write, half, full
	w.changed.L = &w.mu
}

// failure is why no byte can be accepted; mu is held.
func (w *writeBehind) failure() error {
	switch {
	case w.closed, w.eof:
		return net.ErrClosed
	case w.err != nil:
		return w.err
	case w.deadline.passed:
		return os.ErrDeadlineExceeded
	}
	return nil
}

// through writes p on the caller's own goroutine if nothing is in flight. It
// reports whether it took p.
func (w *writeBehind) through(p []byte) (took bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.failure(); err != nil {
		return true, err
	}
	if w.running {
		return false, nil
	}
	w.running = true
	w.apart(func() { err = w.write(p) })
	w.running = false
	w.fail(err)
	w.start()
	return true, err
}

// apart runs f without mu, which is held, while running says that somebody is
// in it. If f panics, that is the direction's end and goes on to the caller.
func (w *writeBehind) apart(f func()) {
	returned := false
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		if !returned {
			w.running = false
			w.fail(errBroken)
		}
	}()
	f()
	returned = true
}

// queue accepts p into the batch, waiting for room if the destination is slow.
func (w *writeBehind) queue(p []byte) (n int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(p) > 0 {
		for w.failure() == nil && w.pending != nil && len(*w.pending) >= w.limit() {
			w.changed.Wait()
		}
		if err := w.failure(); err != nil {
			return n, err
		}
		if w.pending == nil {
			w.pending = batches.Get().(*[]byte)
		}
		b := *w.pending
		k := min(len(p), max(w.limit()-len(b), 1))
		if cap(b) < len(b)+k {
			grown := make([]byte, len(b), batchLimit)
			copy(grown, b)
			b = grown
		}
		*w.pending = append(b, p[:k]...)
		w.count(k)
		p, n = p[k:], n+k
		w.start()
	}
	return n, nil
}

// start gives the work that is left to a goroutine; mu is held.
func (w *writeBehind) start() {
	if !w.running && (w.pending != nil || w.eof && !w.eofDone || w.closed && !w.fullDone) {
		w.running = true
		w.group.Go(w.name, w.run)
	} else if !w.running {
		w.changed.Broadcast()
	}
}

// run writes until nothing is left to do. Its goroutine ends then, or when the
// destination fails.
func (w *writeBehind) run() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		switch {
		case w.pending != nil && w.err == nil:
			if len(*w.pending) >= bulkWrite {
				// Whoever is about to add to the batch goes first, which halves the
				// number of writes. Nobody else can take it meanwhile.
				w.mu.Unlock()
				runtime.Gosched()
				w.mu.Lock()
			}
			b := w.pending
			w.pending = nil
			w.changed.Broadcast()
			var err error
			w.apart(func() {
				defer w.count(-len(*b))
				err = w.write(*b)
				*b = (*b)[:0]
				batches.Put(b)
			})
			w.fail(err)
		case w.eof && !w.eofDone:
			w.eofDone = true
			w.apart(w.half)
		case w.closed && !w.fullDone:
			w.fullDone = true
			w.apart(w.full)
		default:
			w.running = false
			w.changed.Broadcast()
			return
		}
	}
}

// fail notes the first failure; what was accepted can't be delivered any more.
// mu is held.
func (w *writeBehind) fail(err error) {
	if err == nil || w.err != nil {
		return
	}
	w.err = err
	if w.pending != nil {
		w.count(-len(*w.pending))
	}
	w.pending = nil
	w.changed.Broadcast()
}

// closeWrite ends the direction once everything accepted is written. It
// doesn't wait.
func (w *writeBehind) closeWrite() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.failure(); err != nil {
		return err
	}
	w.eof = true
	w.start()
	w.changed.Broadcast()
	return nil
}

// close delivers what was accepted, then closes the destination. It waits
// for that at most closeGrace and reports whether it is done.
func (w *writeBehind) close() (done bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.start()
	w.changed.Broadcast()
	late := false
	t := time.AfterFunc(closeGrace, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		late = true
		w.changed.Broadcast()
	})
	defer t.Stop()
	for w.running && !late {
		w.changed.Wait()
	}
	return !w.running
}

// wait returns once nothing is in flight.
func (w *writeBehind) wait() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.running {
		w.changed.Wait()
	}
}

// setDeadline bounds how long a write waits for room.
func (w *writeBehind) setDeadline(t time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deadline.set(t, &w.changed)
}

// deadline is a point in time at which waiters of a condition are woken. Its
// fields are guarded by the condition's lock.
type deadline struct {
	passed bool
	round  int // counts set, so that an old timer can't speak for a new time
	timer  *time.Timer
}

// set moves the deadline to t, the zero time being never; c.L is held.
func (d *deadline) set(t time.Time, c *sync.Cond) {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.round++
	d.passed = false
	if t.IsZero() {
		return
	}
	wait := time.Until(t)
	if wait <= 0 {
		d.passed = true
		c.Broadcast()
		return
	}
	round := d.round
	d.timer = time.AfterFunc(wait, func() {
		c.L.Lock()
		defer c.L.Unlock()
		if d.round == round {
			d.passed = true
			c.Broadcast()
		}
	})
}
