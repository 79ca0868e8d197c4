package fastconn

import (
	"errors"
	"net"
	"sync"
	"time"

	"entry/session/group"
)

const (
	// bulkWrite tells bulk from typing. x/crypto's transport writes through a
	// bufio.Writer of 4096 bytes: a packet that fits comes as one smaller
	// Write and is sent at once, on the caller's goroutine; a longer one comes
	// as exactly 4096 bytes and the rest, and goes through the batch.
	bulkWrite = 4096 // bytes

	readSize = 128 << 10 // bytes asked of the kernel at once: four SSH packets
)

var readBuffers = sync.Pool{New: func() any { b := make([]byte, readSize); return &b }}

// Coalesce makes a connection that carries SSH cheap in both directions.
//
// Writes under 4 KiB (typing) go straight to c while nothing is in flight.
// Longer ones (bulk), and everything that comes while a write is in flight,
// are collected and written in one piece by a goroutine that lives as long as
// there is something to write. At most 256 KiB are collected; then Write
// waits. So a nil error says that the bytes are on their way, in order, not
// that the kernel has them; a failure is reported by every later Write.
//
// Reads ask for 128 KiB at once. The buffer is held only while it has bytes
// in it: a connection that waits for its peer holds none.
//
// Close delivers what was accepted, for up to a second if the peer takes
// nothing, then closes c; a Read or Write in progress returns. CloseWrite
// delivers, then half-closes c if it can. Deadlines are c's own; bytes
// already read are returned even after the deadline. A write deadline that
// passes ends the direction for good, as a cut SSH packet does.
//
// The returned connection is safe for concurrent use. Its addresses are c's.
// Its goroutine is g's. A panic below it, in the goroutine or in a caller's
// Read or Write, fails the connection and cancels g, and goes no further.
// A conn made by Channel works like this already and is returned as it is.
func Coalesce(g *group.Group, c net.Conn) net.Conn {
	switch c := c.(type) {
	case *channelConn, *coalesced:
		return c
	}
	q := &coalesced{Conn: c, group: g, in: newReader(c)}
	q.out.init(g, "writer of a connection",
		func(b []byte) error { _, err := c.Write(b); return err },
		func() {
			if h, ok := c.(interface{ CloseWrite() error }); ok {
				_ = h.CloseWrite() // the connection may be gone already
			}
		},
		func() { q.closeErr = c.Close() },
	)
	return q
}

type coalesced struct {
	net.Conn // addresses only
	group    *group.Group
	in       reader
	out      writeBehind

	closeOnce sync.Once
	closeErr  error // of the connection below; set before out goes idle for the last time
}

// reader reads in large pieces. Concurrent reads take turns.
type reader interface {
	Read(p []byte) (int, error)
}

func (q *coalesced) Read(p []byte) (n int, err error) {
	err = errBroken // what a panic leaves
	q.group.Run("read from a connection", func() { n, err = q.in.Read(p) })
	return n, err
}

func (q *coalesced) Write(p []byte) (n int, err error) {
	err = errBroken
	q.group.Run("write to a connection", func() { n, err = q.write(p) })
	return n, err
}

func (q *coalesced) write(p []byte) (int, error) {
	if len(p) < bulkWrite {
		took, err := q.out.through(p)
		if took {
			if err != nil {
				return 0, err
			}
			return len(p), nil
		}
	}
	return q.out.queue(p)
}

func (q *coalesced) CloseWrite() error { return q.out.closeWrite() }

func (q *coalesced) Close() (err error) {
	err = errBroken
	q.group.Run("close of a conn", func() { err = q.close() }) // x/crypto calls it on goroutines of its own
	return err
}

func (q *coalesced) close() error {
	first := false
	q.closeOnce.Do(func() {
		first = true
		_ = q.SetReadDeadline(time.Unix(1, 0)) // a reader must not wait for the last write
		if !q.out.close() {
			err := q.Conn.Close() // unblocks the write in flight
			q.out.wait()
			q.closeErr = err
		}
	})
	if !first {
		return net.ErrClosed
	}
	return q.closeErr
}

func (q *coalesced) SetDeadline(t time.Time) error {
	return errors.Join(q.SetReadDeadline(t), q.SetWriteDeadline(t))
}

func (q *coalesced) SetReadDeadline(t time.Time) error { return q.Conn.SetReadDeadline(t) }

func (q *coalesced) SetWriteDeadline(t time.Time) error {
	err := q.Conn.SetWriteDeadline(t)
	q.out.setDeadline(t)
	return err
}

// window is a pooled buffer with the bytes that were read ahead.
type window struct {
	buf      *[]byte
	from, to int
}

// take moves bytes into p and gives the buffer back once it is empty.
func (w *window) take(p []byte) int {
	n := copy(p, (*w.buf)[w.from:w.to])
	w.from += n
	if w.from == w.to {
		readBuffers.Put(w.buf)
		*w = window{}
	}
	return n
}

// plainReader serves connections that are no sockets. It can't know whether a
// read will block, so it reads into the caller's own buffer until one comes
// back full, and ahead only then.
type plainReader struct {
	mu    sync.Mutex // one Read at a time
	conn  net.Conn
	ahead window
	hot   bool // the last read filled what it was given
}

func (r *plainReader) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ahead.buf != nil {
		return r.ahead.take(p), nil
	}
	if !r.hot || len(p) >= readSize {
		n, err := r.conn.Read(p)
		r.hot = n == len(p) && n > 0
		return n, err
	}
	b := readBuffers.Get().(*[]byte)
	n, err := r.conn.Read(*b)
	r.hot = n > bulkWrite
	if n == 0 {
		readBuffers.Put(b)
		return 0, err
	}
	// An error that came with bytes comes again, alone, with the next read.
	r.ahead = window{buf: b, to: n}
	return r.ahead.take(p), nil
}
