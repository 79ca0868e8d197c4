package session

import (
	"io"
	"sync/atomic"
	"time"
)

// direction is where bytes go.
type direction uint8

const (
	towardsClient direction = iota
	towardsTarget
)

// copy relays bytes from src to dst until one of them ends, and records them
// first. When the session is ending it stops after what it has in hand.
func (r *relay) copy(dst io.Writer, src io.Reader, t *tap, to direction, count *atomic.Int64) {
	for n := 0; !r.over(); {
		b := chunkAfter(n)
		var err, failed error
		n, err = src.Read(*b)
		if n > 0 && !r.over() {
			r.moved(to, n, count)
			if kept := t.keep((*b)[:n]); kept != nil {
				r.unrecorded(kept)
				putChunk(b)
				return
			}
			_, failed = dst.Write((*b)[:n])
			r.wrote(to)
		}
		putChunk(b)
		// Bytes may come with an error: x/crypto reports that way that it could
		// not open the window. What the peer had sent is still there to be read.
		if n == 0 && err != nil || failed != nil {
			break
		}
	}
	if err := t.close(); err != nil {
		r.unrecorded(err)
	}
}

// write records p and sends it; entry's own words take the same way as the
// target's.
func (r *relay) write(dst io.Writer, p []byte, t *tap) bool {
	if err := t.keep(p); err != nil {
		r.unrecorded(err)
		return false
	}
	_, err := dst.Write(p)
	return err == nil
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
