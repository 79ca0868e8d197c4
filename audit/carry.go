//go:build linux

package audit

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"entry/audit/segment"
)

// carried are the legal holds that stand, as the writer knows them. After a start they are in
// the last segment. Where that doesn't carry them, as those of older versions don't, nor those
// of a log that has just begun anew, all that is before it is read beside the writer; until
// then, and where some of that isn't here, no segment carries any.
type carried struct {
	holds Holds
	known bool
	since []Event // what was appended while they aren't known
}

// take takes in what was appended at that time.
func (c *carried) take(batch []*request, now time.Time) {
	for _, r := range batch {
		for _, e := range r.holds {
			e.Time = now
			if c.known {
				c.holds.Take(e)
			} else {
				c.since = append(c.since, e)
			}
		}
	}
}

// hear takes what stood when the log was opened.
func (c *carried) hear(h Holds) {
	c.holds, c.known = h, len(h.Unheard()) == 0
	if !c.known {
		return
	}
	for _, e := range c.since {
		c.holds.Take(e)
	}
	c.since = nil
}

// begin has a batch begin a segment, where that is due, and tells whether it carries holds.
func (l *Log) begin(batch []*request) (_ []*request, holds bool) {
	opening := l.opening()
	if len(opening) == 0 {
		return batch, false
	}
	first := &request{}
	for _, e := range opening {
		first.bodies = append(first.bodies, e.appendBody(nil))
	}
	return append([]*request{first}, batch...), len(opening[0].Holds) > 0
}

// opening are the first events of a segment but the first; none where none are due.
func (l *Log) opening() []Event {
	if l.events.content.Size() > 0 || l.tree.size == 0 {
		return nil
	}
	n := l.tree.size + 1 - l.before
	all := []Event{{Type: LogSegment, Count: int(n), Detail: fmt.Sprintf("follows %s, which has %d records", segment.Name(l.before), n)}}
	if !l.carried.known {
		return all
	}
	holds := l.carried.holds.All()
	standing := len(holds)
	all[0].Standing = &standing
	for page := range slices.Chunk(holds, maxHolds) {
		if all[0].Holds == nil {
			all[0].Holds = page
			continue
		}
		all = append(all, Event{Type: LogHolds, Holds: page})
	}
	return all
}

// holdsSoFar are what stands before record from, with which a segment begins, as far as a
// start knows that: nothing stands where the log begins.
func (l *Log) holdsSoFar(from uint64) (h Holds) {
	if len(Before(l.path)) > 0 {
		h.Gone(segment.Absent{From: 1, To: math.MaxInt64}, false)
	}
	if from > 1 {
		h.Gone(segment.Absent{From: 1, To: from - 1}, true)
	}
	return h
}

// hearHolds reads which holds stood when the log was opened, at c, where its last segment
// doesn't say, on a goroutine that ends with Close. What can't be read leaves them unknown:
// whoever removes recordings says so.
func (l *Log) hearHolds(c Position) {
	if l.carried.known {
		return
	}
	l.onceUsed("reading which legal holds stand", func(ctx context.Context) {
		var h Holds
		take := func(e Event, gone *segment.Absent, own bool) {
			if gone != nil {
				h.Gone(*gone, own)
				return
			}
			h.Take(e)
		}
		before := func(e Event, gone *segment.Absent, _ bool) { take(e, gone, false) } // any of what isn't proven is gone
		if err := HearBefore(l.path, c, func() { h = Holds{} }, before, HoldTypes...); err != nil {
			return
		}
		if err := new(Heard).On(l.path, c, func(e Event, gone *segment.Absent) { take(e, gone, true) }, HoldTypes...); err != nil {
			return
		}
		select {
		case l.heard <- h:
		case <-ctx.Done():
		}
	})
}
