package session

import (
	"errors"
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
// stops after what it has in hand. The error is what failed, nil at the end of
// data; with an SSH channel on either side it is io.EOF where the channel is
// gone, and nothing else.
func (f *flow) copy(c course) error {
	defer c.dst.end()
	for n := 0; !f.over() && !c.lease.over(); {
		b := fastconn.Chunk(n, c.most)
		var end, err error
		n, end = c.src.Read(*b)
		if n > 0 && !f.over() && !c.lease.over() {
			err = f.pass(c, (*b)[:n])
		}
		fastconn.PutChunk(b)
		switch {
		case err != nil:
			return err
		case n > 0:
			// Bytes may come with an error: x/crypto reports that way that it
			// could not open the window. What the peer had sent is still there to
			// be read.
		case errors.Is(end, io.EOF):
			return nil
		case end != nil:
			return end
		}
	}
	return nil
}

// pass relays p. An error says that the course can't go on.
func (f *flow) pass(c course, p []byte) error {
	if err := f.meter.may[c.to].take(f.group.Context(), len(p)); err != nil {
		c.lease.end(f.o.Ref(), unbudgeted(err), "")
		return err
	}
	f.meter.read(c.to, len(p))
	c.count.Add(int64(len(p)))
	err := c.dst.put(p)
	f.meter.wrote(c.to)
	return err
}
