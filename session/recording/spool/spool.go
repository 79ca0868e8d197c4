//go:build linux

package spool

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"filippo.io/age"

	"entry/audit/refusal"
	"entry/session/group"
	"entry/session/recording"
)

var (
	// ErrStalled ends a recording that couldn't take data, or couldn't make
	// it durable, for Options.Stall.
	ErrStalled = errors.New("the recording can't keep up")
	// ErrFull refuses a new recording when less than the reserve is free, and
	// ends one that has data to write when less than half of it is.
	ErrFull = errors.New("the spool is full")
	// ErrQuota refuses a user's new recordings, and ends running ones, once
	// the user's files in the spool are larger than the quota.
	ErrQuota = errors.New("the user's spool quota is used up")
	// ErrShare refuses a user's new recordings, and ends running ones, once three
	// times the user's share of the day is written.
	ErrShare error = &refusal.Error{Code: "recorder-day", Text: "too much was recorded of you today; go on tomorrow, or ask your lab's administrator"}
	// ErrClosed is returned for anything that comes after Close.
	ErrClosed = errors.New("the recording is closed")
	// ErrInUse is returned by Open while another process has the spool.
	ErrInUse = errors.New("another process writes this spool")
)

const (
	defaultStall = 5 * time.Second
	tickEvery    = time.Second // what a crash loses at most
)

// Options configures a Spool.
type Options struct {
	// Dir holds the recordings. It is made if need be, and wants a file
	// system of its own: a tick syncs all of it. Required.
	Dir string
	// Commit is called once a tick that had changes, after they are durable.
	// It returns once the tick itself is durable. An error ends every session; one
	// that wraps ErrFull only those in the tick, which are committed later.
	// Required.
	Commit func(context.Context, recording.Tick) error
	// Reserve is how many bytes must be free for a new recording. Running
	// ones that write end under half of it: the rest is for what they still
	// have. Zero means none.
	Reserve int64
	// Rescue tells whose recordings may use the reserve, down to an eighth of it:
	// somebody has to be able to make room. Nil means nobody's.
	Rescue func(user string) bool
	// Quota is how many bytes one user's recordings may take. Zero means no
	// bound.
	Quota int64
	// Share is how many bytes of one user's recordings a day (UTC) are taken as they
	// come; it is never more than a tenth of what was free beyond Reserve when the
	// day began, or of the file system for Rescue's. Beyond it Writer.Stream says what
	// still is, up to as much again; with a third of it written sessions end, but for
	// Rescue's. Zero means no bound.
	Share int64
	// Stall is how long a recording may fail to take data, or to make it
	// durable, before it ends. Zero means 5s.
	Stall time.Duration
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

// Spool writes recordings into one directory. It is safe for concurrent use.
type Spool struct {
	o      Options
	disk   disk
	codec  *recording.Compressor
	ctx    context.Context // cancelled by Close; given to Commit
	cancel context.CancelFunc
	failed chan struct{}
	wg     sync.WaitGroup // workers, the ticker, bounded disk calls

	budget  atomic.Int64 // bytes that may be written until the free space is looked at again
	bulky   atomic.Int64 // buffers of bulk in use
	ticking sync.Mutex   // one tick at a time; taken before any other lock
	day     tickFile     // guarded by ticking
	shares  *shares
	guard   *guard // the ticker's; nil in some tests

	// mu guards what follows. It may be taken while a Writer's lock is held,
	// never the other way round, and nothing does I/O under it.
	mu      sync.Mutex
	work    *sync.Cond // signalled for runnable
	err     error      // why the spool can't go on
	closed  bool
	stalled bool // a tick has been under way for longer than Stall
	open    map[*Writer]struct{}
	// runnable holds the recordings with segments to write, each at most once.
	runnable []*Writer
	dirty    []*Writer // have an open segment that the next tick cuts
	changed  []*Writer // have segments written since the last tick
	used     map[string]int64
	counted  time.Time // when used was last counted
}

// Open opens a spool. It must be called before any session starts: errors of
// writing back are reported only to descriptors opened before them. Call
// Recover first. It returns ErrInUse while another process has the spool.
func Open(o Options) (*Spool, error) {
	if o.Dir == "" || o.Commit == nil {
		return nil, errors.New("open spool: Dir and Commit are required")
	}
	d, err := openDirectory(o.Dir)
	if err != nil {
		return nil, err
	}
	s, err := open(o, d)
	if err != nil {
		return nil, errors.Join(err, d.close())
	}
	if s.guard, err = newGuard(o.Dir, d.dir); err != nil {
		return nil, errors.Join(fmt.Errorf("open spool: %w", err), s.Close())
	}
	s.vital("the spool's tick", s.tickEverySecond)
	return s, nil
}

// open starts everything but the clock.
func open(o Options, d disk) (*Spool, error) {
	if o.Stall == 0 {
		o.Stall = defaultStall
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	c, err := recording.NewCompressor()
	if err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	s := &Spool{o: o, disk: d, codec: c, failed: make(chan struct{}), open: map[*Writer]struct{}{}}
	s.work = sync.NewCond(&s.mu)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if o.Quota > 0 {
		if s.used, err = usage(o.Dir); err != nil {
			return nil, fmt.Errorf("open spool: %w", err)
		}
		s.counted = o.Now()
	}
	if s.shares, err = newShares(o); err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	if err := s.fitShares(); err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	for range runtime.GOMAXPROCS(0) {
		s.vital("the spool's writer of segments", s.writeSegments)
	}
	return s, nil
}

// vital runs f on a goroutine that Close waits for. All of them write what many
// sessions share, so none may be missing without a word.
func (s *Spool) vital(name string, f func()) {
	s.wg.Add(1)
	group.Vital(name, func() {
		defer s.wg.Done()
		f()
	})
}

// Create starts a recording whose key only the holders of to can open. Its
// header and its wrapped key are durable on return. It returns ErrFull, ErrQuota or
// ErrShare before it makes anything, ErrStalled if the disk takes longer than
// Stall, and the spool's own error once that has failed.
func (s *Spool) Create(h recording.Header, to []age.Recipient) (*Writer, error) {
	rescue := s.o.Rescue != nil && s.o.Rescue(h.User)
	if err := s.admit(h.User, rescue); err != nil {
		return nil, fmt.Errorf("start recording: %w", err)
	}
	if h.Start.IsZero() {
		h.Start = s.o.Now()
	}
	sealer, record, key, err := recording.NewSealer(h, to)
	if err != nil {
		return nil, fmt.Errorf("start recording: %w", err)
	}
	w := &Writer{spool: s, id: h.ID, user: h.User, rescue: rescue, start: h.Start, failed: make(chan struct{}), sealer: sealer, head: sealer.Head(), share: s.shares.user(h.User)}
	begin := func() error { return w.begin(record, key) }
	if err := s.within(begin, func() { _ = w.file.Close() }); err != nil { // ErrStalled is what counts
		return nil, fmt.Errorf("start recording: %w", err)
	}
	_ = w.share.add(twoFiles, s.o.Now()) // the next segment says so
	s.mu.Lock()
	err = s.err
	if s.closed {
		err = ErrClosed
	}
	if err == nil {
		s.open[w] = struct{}{}
	}
	s.mu.Unlock()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start recording: %w", err), w.file.Close())
	}
	return w, nil
}

// begin makes the recording's files durable, in an order that never leaves
// segments without a key.
func (w *Writer) begin(record, key []byte) error {
	d := w.spool.disk
	f, err := d.create(w.id + recording.Ext)
	if err != nil {
		return err
	}
	k, err := d.create(w.id + recording.KeyExt)
	if err != nil {
		return errors.Join(err, f.Close(), d.remove(w.id+recording.Ext))
	}
	err = errors.Join(writeAll(f, record), writeAll(k, key), f.Sync(), k.Sync(), k.Close())
	if err == nil {
		err = d.syncNames()
	}
	if err == nil {
		w.place.data, err = d.at(w.id + recording.Ext)
	}
	if err == nil {
		w.place.key, err = d.at(w.id + recording.KeyExt)
		w.place.keySize, w.place.keyHash = int64(len(key)), sha256.Sum256(key)
	}
	if err != nil {
		return errors.Join(err, f.Close(), d.remove(w.id+recording.Ext), d.remove(w.id+recording.KeyExt))
	}
	w.file = f
	w.content.Wrote(record)
	return nil
}

// within runs f, which does I/O, and gives up on it after Stall. A call that
// was given up on goes on by itself, and late is called if it succeeds after
// all; Spool.Close waits for it.
func (s *Spool) within(f func() error, late func()) error {
	done, gaveUp := make(chan error), make(chan struct{})
	s.vital("a call to the spool's disk", func() {
		err := f()
		select {
		case done <- err:
		case <-gaveUp:
			if err == nil {
				late()
			}
		}
	})
	t := time.NewTimer(s.o.Stall)
	defer t.Stop()
	select {
	case err := <-done:
		return err
	case <-t.C:
		close(gaveUp)
		return ErrStalled
	}
}

// Failed returns a channel that is closed when the spool can't go on: every
// recording in it has failed, and Create returns Err.
func (s *Spool) Failed() <-chan struct{} { return s.failed }

// Err returns why the spool failed, or nil.
func (s *Spool) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// fail ends the spool and every recording in it, for good.
func (s *Spool) fail(err error) {
	s.mu.Lock()
	if s.err != nil {
		s.mu.Unlock()
		return
	}
	s.err = err
	close(s.failed)
	open := make([]*Writer, 0, len(s.open))
	for w := range s.open {
		open = append(open, w)
	}
	s.mu.Unlock()
	for _, w := range open {
		w.abandon(err)
	}
}

// Close stops the spool once everything written is durable. Recordings must
// be closed before; those that aren't end without a final segment, as in a
// crash. It waits for calls to the disk that are under way, and returns the
// error of the last tick, or why the spool failed.
func (s *Spool) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	s.closed = true
	left := make([]*Writer, 0, len(s.open))
	for w := range s.open {
		left = append(left, w)
	}
	s.mu.Unlock()
	err := s.Err()
	if err == nil {
		err = s.tick()
	}
	for _, w := range left {
		w.abandon(ErrClosed)
		w.release()
	}
	s.cancel()
	s.mu.Lock()
	s.work.Broadcast()
	s.mu.Unlock()
	s.wg.Wait()
	return errors.Join(err, s.day.close(), s.codec.Close(), s.disk.close(), s.guard.close())
}

// writeAll writes p, going on where a short write stopped. The bytes never
// change between tries, so that sealed data can't be sealed twice.
func writeAll(w io.Writer, p []byte) error {
	for len(p) > 0 {
		n, err := w.Write(p)
		if n < 0 || n > len(p) {
			return io.ErrShortWrite
		}
		p = p[n:]
		switch {
		case len(p) == 0 && err == nil, n > 0 && (err == nil || errors.Is(err, io.ErrShortWrite)):
		case err != nil:
			return err
		default:
			return io.ErrNoProgress
		}
	}
	return nil
}
