package session

import (
	"io"
	"sync/atomic"
	"time"

	"entry/session/fastconn"
)

// direction is where bytes go.
type direction uint8

const (
	towardsClient direction = iota
	towardsTarget
)

// copy relays bytes from src to dst until one of them ends, in pieces of at
// most most bytes: counted against the budget, then recorded, then sent. When
// the session or the lease is ending it stops after what it has in hand.
func (r *relay) copy(dst *outlet, src io.Reader, most int, to direction, count *atomic.Int64, l *lease) {
	defer dst.end()
	for n := 0; !r.over() && !l.over(); {
		b := fastconn.Chunk(n, most)
		var err error
		n, err = src.Read(*b)
		ok := true
		if n > 0 && !r.over() && !l.over() {
			ok = r.pass(dst, (*b)[:n], to, count, l)
		}
		fastconn.PutChunk(b)
		// Bytes may come with an error: x/crypto reports that way that it could
		// not open the window. What the peer had sent is still there to be read.
		if n == 0 && err != nil || !ok {
			return
		}
	}
}

// pass relays p and reports whether the stream can go on.
func (r *relay) pass(dst *outlet, p []byte, to direction, count *atomic.Int64, l *lease) bool {
	if err := r.may[to].take(r.group.Context(), len(p)); err != nil {
		l.end(r.o.Ref(), unbudgeted(err), "")
		return false
	}
	r.moved(to, len(p), count)
	ok := dst.put(p)
	r.wrote(to)
	return ok
}

// moved counts n bytes that were read; it shows that their sender lives.
func (r *relay) moved(to direction, n int, count *atomic.Int64) {
	r.lastByte.Store(int64(time.Since(r.start)))
	count.Add(int64(n))
	if to == towardsClient {
		r.down.Add(int64(n))
		r.movedUp.Add(1)
	} else {
		r.up.Add(int64(n))
		r.movedCli.Add(1)
	}
}

// wrote notes that a write came back: the receiver opens its window.
func (r *relay) wrote(to direction) {
	if to == towardsClient {
		r.movedCli.Add(1)
	} else {
		r.movedUp.Add(1)
	}
}
