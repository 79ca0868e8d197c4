package fastconn

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/session/group"
)

// readAhead bounds what is taken from a channel before anybody reads it. The
// window of the channel is reopened as bytes are taken, so this is also how
// far a peer can get ahead beyond x/crypto's 2 MiB.
const (
	readAhead = 128 << 10 // bytes of buffers: a peer that sends single bytes costs one each
)

// Channel makes a net.Conn of a jump channel. The caller goes on serving
// the channel's requests.
//
// x/crypto's channels have no deadlines, and a Read or Write that waits for
// the peer isn't ended by closing the channel. This conn is: Close and the
// deadlines end its Read and Write at once, whatever the peer does. For that,
// two goroutines stand between it and the channel, one that reads ahead (up to
// 128 KiB) and one that writes what was collected meanwhile (up to 256 KiB),
// as Coalesce does. The reading one ends when the peer closes the channel or
// the connection below ends; that is, it can outlive Close. Both are g's.
// A panic in one of them, or in a caller's Read or Write, fails the conn and
// cancels g, and goes no further.
//
// Close delivers what was accepted, waiting for at most a second, and closes
// the channel. CloseWrite sends EOF after the last byte. remote must be a
// *net.TCPAddr where x/crypto is to check source-address options.
func Channel(g *group.Group, ch ssh.Channel, local, remote net.Addr) net.Conn {
	c := &channelConn{group: g, ch: ch, local: local, remote: remote}
	c.changed.L = &c.mu
	c.out.init(g, "writer of a channel",
		func(b []byte) error { _, err := ch.Write(b); return err },
		func() { _ = ch.CloseWrite() }, // the channel may be gone already
		func() { _ = ch.Close() },      // likewise
	)
	g.Go("reader of a channel", c.fetch)
	DropExtended(g, ch)
	return c
}

type channelConn struct {
	group         *group.Group
	ch            ssh.Channel
	local, remote net.Addr
	out           writeBehind

	mu       sync.Mutex
	changed  sync.Cond // bytes, room, end, Close or deadline
	ahead    []piece
	held     int   // bytes in ahead
	buffers  int   // bytes of its buffers
	err      error // of the channel, after the bytes in ahead
	closed   bool
	deadline deadline
}

// piece is one read from the channel.
type piece struct {
	buf      *[]byte
	from, to int
}

// fetch reads ahead until the channel ends. After Close it goes on and drops
// what comes, so that the peer's CLOSE is reached.
func (c *channelConn) fetch() {
	err := errBroken // what a panic leaves
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.err = err
		c.changed.Broadcast()
	}()
	for n := 0; ; {
		b := Chunk(n, MaxChunk)
		var end error
		n, end = c.ch.Read(*b)
		// Bytes may come with an error; it comes again once everything was read.
		if n == 0 && end != nil {
			PutChunk(b)
			err = end
			return
		}
		c.keep(piece{buf: b, to: n})
	}
}

// keep makes p readable and waits while there is enough of that.
func (c *channelConn) keep(p piece) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || p.to == 0 {
		PutChunk(p.buf)
		return
	}
	c.ahead = append(c.ahead, p)
	c.held += p.to
	c.buffers += len(*p.buf)
	c.changed.Broadcast()
	for c.full() && !c.closed {
		c.changed.Wait()
	}
}

func (c *channelConn) full() bool { return c.buffers >= readAhead }

func (c *channelConn) Read(p []byte) (n int, err error) {
	err = errBroken // what a panic leaves
	c.group.Run("read from a channel", func() { n, err = c.read(p) })
	return n, err
}

func (c *channelConn) read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		switch {
		case c.closed:
			return 0, net.ErrClosed
		case c.deadline.passed:
			return 0, os.ErrDeadlineExceeded
		case len(p) == 0:
			return 0, nil
		case c.held > 0:
			return c.take(p), nil
		case c.err != nil:
			return 0, c.err
		}
		c.changed.Wait()
	}
}

// take moves bytes from the pieces into p; mu is held.
func (c *channelConn) take(p []byte) (n int) {
	full := c.full()
	for n < len(p) && len(c.ahead) > 0 {
		a := &c.ahead[0]
		k := copy(p[n:], (*a.buf)[a.from:a.to])
		n += k
		if a.from += k; a.from == a.to {
			c.buffers -= len(*a.buf)
			PutChunk(a.buf)
			c.ahead = append(c.ahead[:0], c.ahead[1:]...) // a handful of elements
		}
	}
	c.held -= n
	if full && !c.full() {
		c.changed.Broadcast()
	}
	return n
}

func (c *channelConn) Write(p []byte) (n int, err error) {
	err = errBroken
	c.group.Run("write to a channel", func() { n, err = c.out.queue(p) })
	if errors.Is(err, io.EOF) {
		err = io.ErrClosedPipe // the peer closed the channel
	}
	return n, err
}

func (c *channelConn) CloseWrite() error { return c.out.closeWrite() }

func (c *channelConn) Close() (err error) {
	err = errBroken
	c.group.Run("close of a channel", func() { err = c.close() }) // x/crypto calls it on goroutines of its own
	return err
}

func (c *channelConn) close() error {
	if !c.abandon() {
		return net.ErrClosed
	}
	c.out.close()
	return nil
}

// abandon drops what was read ahead; false where that was done already.
func (c *channelConn) abandon() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.closed = true
	for _, a := range c.ahead {
		PutChunk(a.buf)
	}
	c.ahead, c.held, c.buffers = nil, 0, 0
	c.changed.Broadcast()
	return true
}

func (c *channelConn) LocalAddr() net.Addr  { return c.local }
func (c *channelConn) RemoteAddr() net.Addr { return c.remote }

func (c *channelConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

func (c *channelConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline.set(t, &c.changed)
	return nil
}

func (c *channelConn) SetWriteDeadline(t time.Time) error {
	c.out.setDeadline(t)
	return nil
}
