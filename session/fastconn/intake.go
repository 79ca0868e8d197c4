package fastconn

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"

	"golang.org/x/crypto/ssh"
)

const (
	// BeforeLogin is how many bytes a peer may send before it has logged in: two dozen
	// of the largest keys and many prompts are a tenth of it. It stops who exchanges
	// keys again and again, which costs this side more, and who fills x/crypto's
	// queue of packets (16 of 256 KiB) while a login waits for somebody else.
	BeforeLogin = 256 << 10 // bytes

	// channelWindow is what a peer may send on a channel beyond what was read of it: x/crypto's
	// (channelMaxPacket × 64 in ssh/channel.go), which is fixed.
	channelWindow = 2 << 20 // bytes

	// leastOverhead is what a packet of a channel's data has on the wire beside the
	// data, at least: 4 bytes of length, 1 of the padding's, 9 of header, 4 of padding
	// and 16 of MAC (RFC 4253 §6, RFC 4254 §5.2).
	leastOverhead = 34 // bytes

	// drift is how far what Held counts may grow by what no channel reads (requests,
	// padding, what opens windows) before the other way of counting has a say.
	drift = 8 << 20 // bytes
)

// ErrBeforeLogin ends a connection whose peer has sent more than BeforeLogin.
var ErrBeforeLogin = errors.New("too many bytes before login")

// Intake is a connection that SSH is spoken on, and knows what was taken in from it
// and is still in memory because nobody reads it. x/crypto doesn't tell that: it
// keeps each packet of a channel, with some 40 bytes beside it, until that is read,
// so that 2 MiB of window in packets of a byte are 100 MB. It is told from outside
// instead, in bytes of the wire, of which x/crypto's memory is at most four thirds:
// what came in since every channel was last found empty, less what has been read
// since. For that the connection's channels come from Accept and Open. It is safe for
// concurrent use; a nil Intake opens channels, and counts nothing.
type Intake struct {
	net.Conn
	pace      pace
	exchanged func() // may be nil

	taken  atomic.Int64 // bytes of the wire that x/crypto was given
	read   atomic.Int64 // of those, what was read of channels, with the least that it took on the wire
	inside atomic.Bool  // the peer has logged in

	full  atomic.Pointer[func(int64) bool] // see Gate
	asked atomic.Int64                     // unread when full was asked last, or less

	mu      sync.Mutex // guards what follows
	readers map[*intakeReader]struct{}
	step    int64  // bytes
	looked  int64  // unread when notify was called, or looked at, last
	floor   int64  // unread when every channel was last found empty
	notify  func() // may be nil
}

// NewIntake is the intake of c, whose peer has yet to log in.
func NewIntake(c net.Conn) *Intake {
	return &Intake{Conn: c, pace: pace{closed: make(chan struct{})}, readers: map[*intakeReader]struct{}{}}
}

// Read gives x/crypto what came, once the peer may ask for more.
func (i *Intake) Read(p []byte) (int, error) {
	if err := i.pace.await(); err != nil {
		return 0, err
	}
	if err := i.room(); err != nil {
		return 0, err
	}
	n, err := i.Conn.Read(p)
	taken := i.taken.Add(int64(n))
	if taken > BeforeLogin && !i.inside.Load() {
		return 0, ErrBeforeLogin
	}
	i.tell()
	return n, err
}

// Close closes the connection, also for who waits to read from it.
func (i *Intake) Close() error {
	i.pace.end.Do(func() { close(i.pace.closed) })
	return i.Conn.Close()
}

// LoggedIn says that the peer may send what it wants from here on.
func (i *Intake) LoggedIn() {
	i.inside.Store(true)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.floor = i.unread()
}

// Watch has f called, on the goroutine that reads the connection, whenever step more
// bytes were taken in than have been read since it was called, or Held asked, last. f
// must not wait.
func (i *Intake) Watch(step int64, f func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.step, i.notify = step, f
}

func (i *Intake) tell() {
	if f := i.due(); f != nil {
		f()
	}
}

// due is what Watch was given, if it is to be called.
func (i *Intake) due() func() {
	i.mu.Lock()
	defer i.mu.Unlock()
	unread := i.unread()
	if i.notify == nil || unread-i.looked < i.step {
		return nil
	}
	i.looked = unread
	return i.notify
}

// unread is how much more was taken in than has been read. It grows with all that
// isn't a channel's data: only a difference of two says something.
func (i *Intake) unread() int64 { return i.taken.Load() - i.read.Load() }

// Held is how many bytes of the wire are in memory because nobody reads them, but for
// some packets that are on their way to their channel. Where some channel always has
// something, as in a transfer of days, what isn't data would add up: then it is what
// came since the channels that aren't empty were last found so, or since a window
// ago, and drift. What the connection itself has in memory comes on top.
func (i *Intake) Held() int64 {
	i.mu.Lock()
	defer i.mu.Unlock()
	now := i.unread()
	i.looked = now
	if !i.inside.Load() {
		return now
	}
	lately, empty := int64(0), true
	for r := range i.readers {
		calls := r.calls.Load()
		if !r.waits.Load() {
			lately = max(lately, now-r.since.Load())
			empty = false
		} else if !r.drained.Load() && r.seen != calls {
			empty = false // it may be about to find something
		}
		r.seen = calls
	}
	if empty {
		i.floor = now
	}
	return max(0, min(now-i.floor, lately+drift)) + i.waiting()
}

// Accept accepts nc, a channel that the peer has opened on the connection.
func (i *Intake) Accept(nc ssh.NewChannel) (ssh.Channel, <-chan *ssh.Request, error) {
	ch, reqs, err := nc.Accept()
	return i.channel(ch, err), reqs, err
}

// Open opens a channel on conn, which is spoken on the connection.
func (i *Intake) Open(conn ssh.Conn, name string, data []byte) (ssh.Channel, <-chan *ssh.Request, error) {
	ch, reqs, err := conn.OpenChannel(name, data)
	return i.channel(ch, err), reqs, err
}

func (i *Intake) channel(ch ssh.Channel, err error) ssh.Channel {
	if i == nil || err != nil {
		return ch
	}
	return &intakeChannel{ch, i.reader(ch), i.reader(ch.Stderr())}
}

// intakeChannel is a channel whose reads are counted.
type intakeChannel struct {
	ssh.Channel
	in, extended *intakeReader
}

func (c *intakeChannel) Read(p []byte) (int, error) { return c.in.Read(p) }

func (c *intakeChannel) Stderr() io.ReadWriter {
	return struct {
		io.Reader
		io.Writer
	}{c.extended, c.Channel.Stderr()}
}

// intakeReader is one of the two streams that come in on a channel.
type intakeReader struct {
	of   *Intake
	r    io.Reader
	turn sync.Mutex // is held in r's Read: of two readers x/crypto wakes one at the end, for good

	waits   atomic.Bool  // somebody is in Read
	calls   atomic.Int64 // of Read
	drained atomic.Bool  // the last one left nothing
	since   atomic.Int64 // unread of the intake when nothing had come that is still to be read
	seen    int64        // calls when Held looked last; of is its lock

	mu    sync.Mutex // guards what follows
	count int64      // bytes read since marks moved
	marks [2]int64   // unread when it moved the last two times
}

func (i *Intake) reader(r io.Reader) *intakeReader {
	s := &intakeReader{of: i, r: r}
	i.mu.Lock()
	defer i.mu.Unlock()
	s.set(i.unread())
	i.readers[s] = struct{}{}
	return s
}

// Read may be called by several at once: what nobody wants is dropped while its
// reader may read on.
func (r *intakeReader) Read(p []byte) (int, error) {
	r.turn.Lock()
	defer r.turn.Unlock()
	r.calls.Add(1)
	r.waits.Store(true)
	n, err := r.r.Read(p)
	r.waits.Store(false)
	switch {
	case n == 0 && err != nil:
		r.of.forget(r)
	case n > 0:
		r.took(n, n < len(p))
	}
	return n, err
}

// took notes that n bytes were read, and whether nothing is left.
func (r *intakeReader) took(n int, all bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	least := (r.count+int64(n))>>10 - r.count>>10 // a packet has 32 KiB at most
	if all {
		least = leastOverhead
	}
	r.of.read.Add(int64(n) + least)
	now := r.of.unread()
	r.drained.Store(all)
	if all {
		r.set(now)
		return
	}
	// What is there still has come since a window ago: the peer couldn't send it
	// before.
	if r.count += int64(n); r.count >= channelWindow {
		r.count = 0
		r.marks[0], r.marks[1] = r.marks[1], now
		r.since.Store(r.marks[0])
	}
}

func (r *intakeReader) set(now int64) {
	r.count, r.marks = 0, [2]int64{now, now}
	r.since.Store(now)
}

// forget leaves out a stream that has ended.
func (i *Intake) forget(r *intakeReader) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.readers, r)
}
