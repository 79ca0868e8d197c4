package session

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"entry/audit/refusal"
	"entry/session/fastconn"
	"entry/session/group"
)

const (
	// mayHold is what a stream has in memory whose receiver takes nothing, in packets
	// of usual size: a channel's window of x/crypto, which is fixed (2 MiB,
	// channelMaxPacket × 64 in ssh/channel.go), and the piece in hand. How many
	// streams have to end is reckoned by it, never what is held.
	mayHold = 2<<20 + fastconn.BulkChunk // bytes

	// worthLooking is how much a connection may hold, or have come in, before anybody
	// looks at what it holds.
	worthLooking = 256 << 10 // bytes

	// sampleEvery is how often that is looked at from then on.
	sampleEvery = 100 * time.Millisecond

	// sumEvery is how often what intakes hold is counted anew where there is no room.
	sumEvery = 10 * time.Millisecond

	// stalledAfter is how long a stream must have been too slow to be ended for the
	// sake of others.
	stalledAfter = 3 * time.Second

	// leastPace is what a stream has to deliver, on average since it was last as quick
	// or had nothing to deliver, not to be too slow. Who takes a byte now and then
	// holds as much as who takes nothing; the slowest lines of today are five times as
	// quick.
	leastPace = 1 << 10 // bytes a second

	// letGo is how long an ended stream may still hold what it has: a peer that
	// doesn't even answer a CLOSE loses its session.
	letGo = 5 * time.Second
)

// Backlog bounds what is in memory because somebody doesn't take it: bytes that
// came from sockets and aren't delivered, of all connections that share it, as
// their intakes count them, and what decoders hold of what has passed. Near the bound
// connections that hold some aren't read from until there is room. Beyond the
// bound decoders give up what they can do without, and new channels wait. If it stays so for
// 3 s, streams that have delivered less than 1 KiB/s for as long end, the slow one
// for longest first, unless they wait for their turn among others of their connection;
// beyond twice the bound they end at once. Where no stream is
// left to end, the channel ends whose decoder holds most, or the connection if that
// holds more. It is safe for concurrent use; a
// nil Backlog bounds nothing.
type Backlog struct {
	most  int64
	part  *Backlog // of which this is a part, nil for none
	group *group.Group

	mu       sync.Mutex // guards what follows; part's may be taken under it
	intakes  map[*fastconn.Intake]func()
	streams  map[*course]*sample
	easing   map[*course]time.Time // ended, when; what their sources have sent isn't let go yet
	looked   time.Time
	held     int64 // as it was looked at last
	over     bool
	since    time.Time     // over, for how long
	changed  chan struct{} // closed and replaced when it is over no more
	watching bool
	summed   time.Time // when estimate was counted

	estimate atomic.Int64 // of what intakes hold: counted, and what came in since
	line     line         // of the connection, where it is one's
}

// sample is what was last seen of a stream.
type sample struct {
	busy  bool // in the middle of a delivery
	sent  int64
	since time.Time // it has been too slow since
	line  int64     // what its line had taken by then
	ended time.Time // zero unless it was ended
}

// NewBacklog makes a backlog of at most that many bytes, as a part of another one
// or nil. Its goroutine is group's, and runs only while there is enough to look at.
func NewBacklog(most int64, part *Backlog, group *group.Group) *Backlog {
	return &Backlog{most: most, part: part, group: group, intakes: map[*fastconn.Intake]func(){}, streams: map[*course]*sample{}, easing: map[*course]time.Time{}, changed: make(chan struct{})}
}

// Watch counts what i holds until leave. end, which must not wait, ends its
// connection; it may be called more than once.
func (b *Backlog) Watch(i *fastconn.Intake, end func()) (leave func()) {
	if b == nil {
		return func() {}
	}
	for l := b; l != nil; l = l.part {
		l.mu.Lock()
		l.intakes[i] = end
		l.mu.Unlock()
	}
	i.Watch(worthLooking, b.watch)
	i.Gate(b.full)
	return func() {
		i.Watch(worthLooking, nil)
		i.Gate(nil)
		for l := b; l != nil; l = l.part {
			l.mu.Lock()
			delete(l.intakes, i)
			l.mu.Unlock()
			l.look(time.Now(), true) // who waits for it, maybe on another connection, goes on
		}
	}
}

// full tells whether there is no room for more, grown bytes of an intake having come in.
func (b *Backlog) full(grown int64) bool {
	for l := b; l != nil; l = l.part {
		if l.estimate.Add(grown) > l.most && l.sum(time.Now()) > l.most {
			return true
		}
	}
	return false
}

// sum counts what intakes hold, unless it has just been counted.
func (b *Backlog) sum(now time.Time) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now.Sub(b.summed) >= sumEvery {
		b.summed = now
		b.estimate.Store(b.taken())
	}
	return b.estimate.Load()
}

// taken is what intakes hold; mu is held.
func (b *Backlog) taken() (held int64) {
	for i := range b.intakes {
		held += i.Held()
	}
	return held
}

// enter counts a stream until leave.
func (b *Backlog) enter(c *course) (leave func()) {
	if b == nil {
		return func() {}
	}
	for l := b; l != nil; l = l.part {
		l.mu.Lock()
		l.streams[c] = &sample{since: time.Now()}
		l.mu.Unlock()
	}
	return func() {
		for l := b; l != nil; l = l.part {
			l.mu.Lock()
			delete(l.streams, c)
			l.mu.Unlock()
		}
	}
}

// watch looks at what is held for as long as that is worth it.
func (b *Backlog) watch() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.watching {
		return
	}
	b.watching = true
	b.group.Go("watch of what isn't taken", func() {
		t := time.NewTicker(sampleEvery)
		defer t.Stop()
		for b.watches() {
			select {
			case <-b.group.Context().Done():
			case <-t.C:
			}
		}
	})
}

// watches looks once, and tells whether to look again.
func (b *Backlog) watches() bool {
	again := false
	for l := b; l != nil; l = l.part {
		held, over := l.look(time.Now(), false)
		again = again || over || l == b && held > worthLooking
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.watching = again && b.group.Context().Err() == nil
	return b.watching
}

// look counts what is held, samples the streams and ends those that have to. What
// several connections share is looked at no more often than each, unless anew.
func (b *Backlog) look(now time.Time, anew bool) (held int64, over bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !anew && now.Sub(b.looked) < sampleEvery/2 {
		return b.held, b.over
	}
	b.looked, b.held = now, b.taken()
	var slow []*course
	var busy int64
	for c, since := range b.easing {
		if b.streams[c] == nil && now.Sub(since) > letGo {
			delete(b.easing, c)
		}
	}
	for c, s := range b.streams {
		hand := c.hand.Load()
		b.held += hand + c.decoded()
		before := s.busy
		s.busy = hand > 0
		if sent := c.dst.sent.Load(); !s.busy || float64(sent-s.sent) >= leastPace*now.Sub(s.since).Seconds() {
			s.sent, s.since, s.line = sent, now, c.line().sent.Load()
		}
		if s.busy {
			busy++
		}
		switch {
		case !s.ended.IsZero():
			if now.Sub(s.ended) > letGo {
				c.flow.end(backlogEnd(now.Sub(s.since)))
			}
		case s.busy && before:
			slow = append(slow, c)
		}
	}
	b.line.look(now, busy)
	switch over := b.held > b.most; {
	case over && !b.over:
		b.over, b.since = true, now
	case !over && b.over:
		b.over = false
		close(b.changed)
		b.changed = make(chan struct{})
	}
	if b.over {
		for c := range b.streams {
			if c.decoded() > 0 {
				c.hook.spares()
			}
		}
		b.relieve(now, slow)
	}
	return b.held, b.over
}

// relieve ends what has to end; mu is held.
func (b *Backlog) relieve(now time.Time, slow []*course) {
	much, stays := b.held > 2*b.most, now.Sub(b.since)
	if !much && stays < stalledAfter {
		return
	}
	none := len(slow) == 0
	if !much {
		slow = b.withoutTurns(now, slow)
	}
	slices.SortFunc(slow, func(x, y *course) int { return b.streams[x].since.Compare(b.streams[y].since) })
	excess := max(1, int((b.held-b.most+mayHold/2)/mayHold)) - len(b.easing)
	for _, c := range slow[:min(max(0, excess), len(slow))] {
		s := b.streams[c]
		if stalled := now.Sub(s.since); much || stalled >= stalledAfter {
			b.end(c, now, backlogEnd(stalled))
		}
	}
	if none && len(b.easing) == 0 && stays > 3*sampleEvery { // by then every stream has been looked at twice
		b.endMost(now)
	}
}

// end ends c's channel; mu is held. What still comes is taken, since c's receiver may
// take seconds to be gone.
func (b *Backlog) end(c *course, now time.Time, why *refusal.Error) {
	b.streams[c].ended, b.easing[c] = now, now
	c.lease.end(c.flow.o.Ref(), why, "")
	c.flow.group.Go("data that nobody reads", func() {
		defer func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			delete(b.easing, c)
		}()
		fastconn.Drop(c.src)
	})
}

// endMost ends the connection, or the channel with its decoder, that holds most; mu
// is held.
func (b *Backlog) endMost(now time.Time) {
	var most int64
	end := func() {}
	for i, f := range b.intakes {
		if held := i.Held(); held > most {
			most, end = held, f
		}
	}
	for c := range b.streams {
		if held := c.decoded(); held > most {
			most, end = held, func() {
				b.end(c, now, &refusal.Error{Code: "backlog", Text: "too many files and requests were open at once, so this was ended; move fewer at a time"})
			}
		}
	}
	end()
}

func backlogEnd(stalled time.Duration) *refusal.Error {
	return &refusal.Error{Code: "backlog", Text: fmt.Sprintf("what was sent has hardly been taken for %s (less than 1 KiB a second), and too much waits for you already, so this was ended; take what comes, or open less at a time",
		max(stalled, time.Second).Round(time.Second))}
}

// Await waits until a new channel may open. An error says that ctx ends first.
func (b *Backlog) Await(ctx context.Context) error {
	for l := b; l != nil; {
		l.mu.Lock()
		over, changed := l.over, l.changed
		l.mu.Unlock()
		if !over {
			l = l.part
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		l = b // the narrower one may be over again
	}
	return nil
}
