// Package wire has the two ends of connections for tests that play both peers:
// bytes in memory or over loopback, and SSH over either. It knows nothing of
// entry, so that the tests of every package can use it.
package wire

import (
	"io"
	"net"
	"sync"
	"time"
)

// Conn is one end of a buffered pipe in memory: SSH peers both begin by
// writing, which net.Pipe can't do, and a bubble of synctest can't do sockets.
// It is safe for concurrent use. It has no deadlines.
type Conn struct {
	in, out *half
}

type half struct {
	mu      sync.Mutex
	changed sync.Cond
	buf     []byte
	eof     bool
	stopped bool // takes nothing, like a peer whose network is gone
}

// Pipe makes both ends of a pipe. Each holds 256 KiB that its peer hasn't read.
func Pipe() (*Conn, *Conn) {
	a, b := &half{}, &half{}
	a.changed.L, b.changed.L = &a.mu, &b.mu
	return &Conn{a, b}, &Conn{b, a}
}

const limit = 256 << 10 // bytes

func (h *half) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.eof = true
	h.changed.Broadcast()
}

func (c *Conn) Read(p []byte) (int, error) {
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

func (c *Conn) Write(p []byte) (n int, err error) {
	h := c.out
	h.mu.Lock()
	defer h.mu.Unlock()
	for n < len(p) {
		if h.eof {
			return n, io.ErrClosedPipe
		}
		if room := limit - len(h.buf); room > 0 {
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

// Buffered is how many bytes can be read at once.
func (c *Conn) Buffered() int {
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	return len(c.in.buf)
}

// CloseWrite ends what c writes.
func (c *Conn) CloseWrite() error { c.out.close(); return nil }

func (c *Conn) Close() error                     { c.in.close(); c.out.close(); return nil }
func (c *Conn) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 22} }
func (c *Conn) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 4711} }
func (c *Conn) SetDeadline(time.Time) error      { return nil }
func (c *Conn) SetReadDeadline(time.Time) error  { return nil }
func (c *Conn) SetWriteDeadline(time.Time) error { return nil }

// Stop makes the peer of c deaf: what c writes stays where it is.
func (c *Conn) Stop() {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	c.out.stopped = true
}
