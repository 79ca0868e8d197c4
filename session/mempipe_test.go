package session

import (
	"io"
	"net"
	"sync"
	"time"
)

// memConn is one end of a buffered in-memory pipe: SSH peers both begin by
// writing, which net.Pipe can't do, and a bubble of synctest can't do sockets.
type memConn struct {
	in, out *memHalf
}

type memHalf struct {
	mu      sync.Mutex
	changed sync.Cond
	buf     []byte
	eof     bool
	stopped bool // takes nothing, like a peer whose network is gone
}

func memPipe() (net.Conn, net.Conn) {
	a, b := &memHalf{}, &memHalf{}
	a.changed.L, b.changed.L = &a.mu, &b.mu
	return &memConn{a, b}, &memConn{b, a}
}

const memLimit = 256 << 10

func (h *memHalf) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.eof = true
	h.changed.Broadcast()
}

func (c *memConn) Read(p []byte) (int, error) {
	h := c.in
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.buf) == 0 || h.stopped {
		if h.eof {
			return 0, io.EOF
		}
		h.changed.Wait()
	}
	n := copy(p, h.buf)
	if h.buf = h.buf[n:]; len(h.buf) == 0 {
		h.buf = nil
	}
	h.changed.Broadcast()
	return n, nil
}

func (c *memConn) Write(p []byte) (n int, err error) {
	h := c.out
	h.mu.Lock()
	defer h.mu.Unlock()
	for n < len(p) {
		if h.eof {
			return n, io.ErrClosedPipe
		}
		if room := memLimit - len(h.buf); room > 0 {
			k := min(room, len(p)-n)
			h.buf = append(h.buf, p[n:n+k]...)
			n += k
			h.changed.Broadcast()
		} else {
			h.changed.Wait()
		}
	}
	return n, nil
}

func (c *memConn) Close() error                     { c.in.close(); c.out.close(); return nil }
func (c *memConn) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 22} }
func (c *memConn) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 4711} }
func (c *memConn) SetDeadline(time.Time) error      { return nil }
func (c *memConn) SetReadDeadline(time.Time) error  { return nil }
func (c *memConn) SetWriteDeadline(time.Time) error { return nil }

// stop makes the peer of c deaf: what c writes stays where it is.
func (c *memConn) stop() {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	c.out.stopped = true
}
