package session

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"entry/audit/refusal"
	"entry/session/fastconn"
	"entry/session/group"
)

const (
	// mayHold is what a stream can have in memory whose receiver takes nothing: the window of a
	// channel of x/crypto, which is fixed (2 MiB, channelMaxPacket × 64 in
	// ssh/channel.go), and the piece in hand.
	mayHold = 2<<20 + fastconn.BulkChunk // bytes

	// sampleEvery is how often the streams are looked at, while there are enough of
	// them to hold too much.
	sampleEvery = 100 * time.Millisecond

	// stalledAfter is how long a stream must have moved nothing to be ended for the
	// sake of others.
	stalledAfter = 3 * time.Second

	// letGo is how long an ended stream may still hold what it has: a peer that
	// doesn't even answer a CLOSE loses its session.
	letGo = 5 * time.Second
)

// Backlog bounds what is in memory because somebody doesn't take it: bytes that
// came from a socket and aren't delivered, of all that shares it. x/crypto doesn't
// say what a channel holds, so each stream in the middle of a delivery counts for
// the most that it can. Beyond the bound new channels wait. If it stays so for 3 s,
// streams that have moved nothing for as long end, the one stalled longest first;
// beyond twice the bound the slowest end at once. It is safe for concurrent use; a
// nil Backlog bounds nothing.
type Backlog struct {
	most  int64
	part  *Backlog // of which this is a part, nil for none
	group *group.Group

	mu       sync.Mutex // guards what follows; part's may be taken under it
	streams  map[*course]*sample
	over     bool
	since    time.Time     // over, for how long
	changed  chan struct{} // closed and replaced when it is over no more
	watching bool
}

// sample is what was last seen of a stream.
type sample struct {
	busy  bool // in the middle of a delivery
	sent  int64
	since time.Time // it has moved nothing since
	ended time.Time // zero unless it was ended
}

// NewBacklog makes a backlog of at most that many bytes, as a part of another one
// or nil. Its goroutine is group's, and runs only while there are streams enough.
func NewBacklog(most int64, part *Backlog, group *group.Group) *Backlog {
	return &Backlog{most: most, part: part, group: group, streams: map[*course]*sample{}, changed: make(chan struct{})}
}

// enter counts a stream until leave.
func (b *Backlog) enter(c *course) (leave func()) {
	if b == nil {
		return func() {}
	}
	above := false
	for l := b; l != nil; l = l.part {
		l.mu.Lock()
		l.streams[c] = &sample{since: time.Now()}
		above = above || l.crowded()
		l.mu.Unlock()
	}
	if above {
		b.watch()
	}
	return func() {
		for l := b; l != nil; l = l.part {
			l.mu.Lock()
			delete(l.streams, c)
			l.mu.Unlock()
		}
	}
}

// crowded tells whether the streams could hold too much; mu is mayHold.
func (b *Backlog) crowded() bool { return int64(len(b.streams))*mayHold > b.most }

// watch looks at the streams for as long as they could hold too much.
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
		for {
			select {
			case <-b.group.Context().Done():
			case <-t.C:
			}
			crowded := false
			for l := b; l != nil; l = l.part {
				crowded = l.look(time.Now()) || crowded
			}
			b.mu.Lock()
			if !crowded || b.group.Context().Err() != nil {
				b.watching = false
				b.mu.Unlock()
				return
			}
			b.mu.Unlock()
		}
	})
}

// look samples the streams, ends those that have to, and reports whether it has to
// look again.
func (b *Backlog) look(now time.Time) (again bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var holding []*course
	ending := 0
	for c, s := range b.streams {
		before := s.busy
		s.busy = c.busy.Load()
		if sent := c.dst.sent.Load(); sent != s.sent || !s.busy {
			s.sent, s.since = sent, now
		}
		switch {
		case !s.ended.IsZero():
			ending++
			if now.Sub(s.ended) > letGo {
				c.flow.end(backlogEnd(now.Sub(s.since)))
			}
		case s.busy && before:
			holding = append(holding, c)
		}
	}
	bytes := int64(len(holding)+ending) * mayHold
	switch over := bytes > b.most; {
	case over && !b.over:
		b.over, b.since = true, now
	case !over && b.over:
		b.over = false
		close(b.changed)
		b.changed = make(chan struct{})
	}
	if !b.over {
		return b.crowded()
	}
	much := bytes > 2*b.most
	if !much && now.Sub(b.since) < stalledAfter {
		return true
	}
	slices.SortFunc(holding, func(x, y *course) int { return b.streams[x].since.Compare(b.streams[y].since) })
	excess := int((bytes-b.most+mayHold-1)/mayHold) - ending
	for _, c := range holding[:min(max(0, excess), len(holding))] {
		s := b.streams[c]
		if stalled := now.Sub(s.since); much || stalled >= stalledAfter {
			s.ended = now
			c.lease.end(c.flow.o.Ref(), backlogEnd(stalled), "")
		}
	}
	return true
}

func backlogEnd(stalled time.Duration) *refusal.Error {
	return &refusal.Error{Code: "backlog", Text: fmt.Sprintf("nothing has taken what was sent for %s, and too much waits for you already, so this was ended; take what comes, or open less at a time",
		max(stalled, time.Second).Round(time.Second))}
}

// await waits until a new channel may open. An error says that ctx ends first.
func (b *Backlog) await(ctx context.Context) error {
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
