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
	hook  *hook         // nil where nobody looks into it
	left  bool          // nobody does any more
	flow  *flow         // set by copy
	hand  atomic.Int64  // bytes of the buffer between a read and the end of its delivery, else 0
}

// copy relays bytes until one of the ends has ended: counted against the
// budget, seen by the decoder, recorded, then sent. When the flow or the lease
// is ending it stops after what it has in hand. The error is what failed, nil at
// the end of data; with an SSH channel on either side it is io.EOF where the
// channel is gone, and nothing else.
func (f *flow) copy(c *course) error {
	defer c.dst.end()
	c.flow = f
	defer f.o.Backlog.enter(c)()
	err := f.run(c)
	if c.hook != nil && !c.left {
		c.hook.end(c.to)
	}
	return err
}

// decoded is how many bytes the channel's decoder holds, which one of its directions
// stands for.
func (c *course) decoded() int64 {
	if c.hook == nil || c.to != towardsTarget {
		return 0
	}
	return c.hook.held()
}

// drop takes what still comes from src once nobody is there to have it: of a peer
// that doesn't answer a CLOSE, that would be kept until it does.
func (f *flow) drop(src io.Reader) {
	f.group.Go("data that nobody reads", func() { fastconn.Drop(src) })
}

func (f *flow) run(c *course) error {
	for n := 0; !f.over() && !c.lease.over(); {
		b := fastconn.Chunk(n, c.most)
		var end, err error
		n, end = c.src.Read(*b)
		if n > 0 && !f.over() && !c.lease.over() {
			c.hand.Store(int64(cap(*b)))
			err = f.pass(c, (*b)[:n])
			c.hand.Store(0)
		}
		if err != nil {
			return err // the buffer may still be being read
		}
		fastconn.PutChunk(b)
		switch {
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
func (f *flow) pass(c *course, p []byte) error {
	if err := f.meter.may[c.to].take(f.group.Context(), len(p)); err != nil {
		c.lease.end(f.o.Ref(), unbudgeted(err), "")
		return err
	}
	f.meter.read(c.to, len(p))
	c.count.Add(int64(len(p)))
	var err error
	if c.hook == nil || c.left {
		err = c.dst.put(p)
	} else {
		var attached bool
		if attached, err = c.hook.pass(c.to, p); !attached {
			c.left = true // it has ended what it had to do with this direction
		}
	}
	f.meter.wrote(c.to)
	return err
}
