package session

import (
	"io"
	"sync/atomic"

	"entry/session/fastconn"
)

// course is one direction of one channel.
type course struct {
	to    direction
	src   io.Reader
	dst   *outlet
	most  int           // bytes read at once
	lease *lease        // that it rests on
	count *atomic.Int64 // bytes of the channel in that direction
}

// copy relays bytes until one of the ends has ended: counted against the
// budget, then recorded, then sent. When the flow or the lease is ending it
// stops after what it has in hand.
func (f *flow) copy(c course) {
	defer c.dst.end()
	for n := 0; !f.over() && !c.lease.over(); {
		b := fastconn.Chunk(n, c.most)
		var err error
		n, err = c.src.Read(*b)
		ok := true
		if n > 0 && !f.over() && !c.lease.over() {
			ok = f.pass(c, (*b)[:n])
		}
		fastconn.PutChunk(b)
		// Bytes may come with an error: x/crypto reports that way that it could
		// not open the window. What the peer had sent is still there to be read.
		if n == 0 && err != nil || !ok {
			return
		}
	}
}

// pass relays p and reports whether the course can go on.
func (f *flow) pass(c course, p []byte) bool {
	if err := f.meter.may[c.to].take(f.group.Context(), len(p)); err != nil {
		c.lease.end(f.o.Ref(), unbudgeted(err), "")
		return false
	}
	f.meter.read(c.to, len(p))
	c.count.Add(int64(len(p)))
	ok := c.dst.put(p)
	f.meter.wrote(c.to)
	return ok
}
