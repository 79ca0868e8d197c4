//go:build unix

package fastconn

import (
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
)

func newReader(c net.Conn) reader {
	var sc syscall.Conn
	// Only these two: another type with a SyscallConn may hold bytes of its
	// own that reading past it would lose.
	switch c := c.(type) {
	case *net.TCPConn:
		sc = c
	case *net.UnixConn:
		sc = c
	}
	if sc != nil {
		if raw, err := sc.SyscallConn(); err == nil {
			r := &socketReader{raw: raw}
			r.once = r.try
			return r
		}
	}
	return &plainReader{conn: c}
}

// socketReader takes a buffer only once the kernel has something for it.
type socketReader struct {
	mu    sync.Mutex // one Read at a time, as a socket has it
	raw   syscall.RawConn
	once  func(fd uintptr) bool // try, bound once
	ahead window
	hot   bool  // the last read brought more than typing does
	err   error // of the last try
}

func (r *socketReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ahead.buf == nil {
		if r.hot {
			runtime.Gosched() // what was read goes on its way first, and more comes in meanwhile
		}
		r.err = nil
		if err := r.raw.Read(r.once); err != nil {
			return 0, err
		}
		if r.err != nil {
			return 0, r.err
		}
	}
	return r.ahead.take(p), nil
}

// try reads what is there. It reports false if that is nothing: the runtime
// then calls it again once the socket is readable.
func (r *socketReader) try(fd uintptr) bool {
	b := readBuffers.Get().(*[]byte)
	for {
		n, err := syscall.Read(int(fd), *b)
		switch {
		case n > 0:
			r.ahead, r.hot = window{buf: b, to: n}, n > bulkWrite
			return true
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EAGAIN):
			readBuffers.Put(b)
			return false
		case err != nil:
			r.err = os.NewSyscallError("read", err)
		default:
			r.err = io.EOF
		}
		readBuffers.Put(b)
		return true
	}
}
