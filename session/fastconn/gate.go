package fastconn

import (
	"net"
	"time"
)

const (
	// gateStep is how much more a connection may take in, than what is read of it, before it
	// asks whether there is room for that.
	gateStep = 32 << 10 // bytes

	// gateKeep is what a connection may hold while there is no room: who waits for a little
	// isn't made to wait for others.
	gateKeep = 64 << 10 // bytes

	// gateEvery is how often who waits asks again.
	gateEvery = 20 * time.Millisecond
)

// waits is a connection that has accepted bytes which it hasn't delivered, or has bytes that
// nobody has read.
type waits interface{ Waiting() int64 }

// Waiting is how many bytes the connection has in memory, both ways.
func (q *coalesced) Waiting() int64 { return q.out.ahead.Load() }

// Waiting is how many bytes the connection has in memory, both ways.
func (c *channelConn) Waiting() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.ahead.Load() + int64(c.held)
}

// Waiting is that of the connection below.
func (c *versionConn) Waiting() int64 {
	if w, ok := c.Conn.(waits); ok {
		return w.Waiting()
	}
	return 0
}

// Share has the connection count what it has accepted and not delivered among all. It comes
// before the first Write.
func Share(c net.Conn, all *Ahead) {
	if c, ok := c.(*channelConn); ok {
		c.out.among = all
	}
}

// waiting is what the connection below has in memory.
func (i *Intake) waiting() int64 {
	if w, ok := i.Conn.(waits); ok {
		return w.Waiting()
	}
	return 0
}

// Gate has the connection read only as long as there is room: full is told how many bytes came
// in since it was asked last, and says whether what all hold together is too much. Then this
// one waits, unless it holds little itself. x/crypto's windows, 2 MiB a channel, are let
// through whoever reads them; what isn't read from a socket stays with who sends it.
func (i *Intake) Gate(full func(grown int64) bool) { i.full.Store(&full) }

// room waits until there is some.
func (i *Intake) room() error {
	full := i.full.Load()
	if full == nil || *full == nil {
		return nil
	}
	grown := i.unread() - i.asked.Load()
	if grown < 0 {
		i.asked.Add(grown) // it was read meanwhile
	}
	if grown < gateStep {
		return nil
	}
	i.asked.Add(grown)
	for (*full)(grown) && i.Held() > gateKeep {
		grown = 0
		t := time.NewTimer(gateEvery)
		select {
		case <-t.C:
		case <-i.pace.closed:
			t.Stop()
			return net.ErrClosed
		}
	}
	return nil
}
