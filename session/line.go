package session

import (
	"slices"
	"sync/atomic"
	"time"
)

// turn is what a stream delivers at once where others of its connection deliver too, at most:
// fastconn's batch, twice, and what is in hand.
const turn = 768 << 10 // bytes

// line is what the streams of one connection deliver together: over a slow one, many of them
// wait for seconds for their turn. It is safe for concurrent use; only one calls look.
type line struct {
	sent  atomic.Int64              // bytes
	quick atomic.Pointer[time.Time] // when it was last as quick as its busy streams have to be; nil for never

	was int64 // sent by then; look's
}

// look looks how quick the line of so many busy streams is.
func (l *line) look(now time.Time, busy int64) {
	sent, last := l.sent.Load(), l.quick.Load()
	if last == nil || busy == 0 || float64(sent-l.was) >= leastPace*float64(busy)*now.Sub(*last).Seconds() {
		l.was = sent
		l.quick.Store(&now)
	}
}

// nowhere is the line of streams that no backlog bounds.
var nowhere line

// line is that of c's connection.
func (c *course) line() *line {
	if b := c.flow.o.Backlog; b != nil {
		return &b.line
	}
	return &nowhere
}

// withoutTurns are the slow streams but for those that may wait for their turn: their line goes
// on, and the busy streams on it haven't had a turn each since they were last quick. Who doesn't
// take one of them, and others, isn't waited for. b.mu is held.
func (b *Backlog) withoutTurns(now time.Time, slow []*course) []*course {
	busy := map[*line]int64{}
	for c, s := range b.streams {
		if s.busy {
			busy[c.line()]++
		}
	}
	return slices.DeleteFunc(slow, func(c *course) bool {
		l := c.line()
		quick := l.quick.Load()
		return quick != nil && now.Sub(*quick) < stalledAfter && l.sent.Load()-b.streams[c].line < turn*busy[l]
	})
}
