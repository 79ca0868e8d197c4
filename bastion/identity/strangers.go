package identity

import (
	"context"
	"sync"
	"time"

	"entry/audit"
)

const (
	// strangersAtOnce and strangersPerSecond are how many failed dialogues are noted one
	// by one of those that nothing is known of: no network with a login before, no key.
	// What comes beyond is counted, so that a network of a million addresses doesn't
	// fill the log's disk, and with it the way in for everybody.
	strangersAtOnce    = 1000
	strangersPerSecond = 2
)

// strangers is the pace of those. It is safe for concurrent use.
type strangers struct {
	mu   sync.Mutex // guards left and at
	left float64
	at   time.Time
	more audit.Repeats
}

// take tells whether one more may be noted by itself.
func (s *strangers) take(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at.IsZero() {
		s.left = strangersAtOnce
	} else if past := now.Sub(s.at).Seconds(); past > 0 {
		s.left = min(strangersAtOnce, s.left+past*strangersPerSecond)
	}
	s.at = now
	if s.left < 1 {
		return false
	}
	s.left--
	return true
}

// sums are the events for those that were only counted, a minute after the first.
func (s *strangers) sums(now time.Time, all bool) []audit.Event {
	return named(s.more.Sums(now, all))
}

func named(sums []audit.Event) []audit.Event {
	for i := range sums {
		sums[i].Detail = "only counted, for too many at once: of addresses without a login before"
	}
	return sums
}

// reportFailure is report for e, which a dialogue came to nothing by, and what follows
// from it. What somebody has proven stands there in any case.
func (d *dialogue) reportFailure(ctx context.Context, proven bool, e audit.Event, more ...audit.Event) error {
	s, now := d.a.strangers, d.a.now()
	if proven || d.key != "" || d.trusted || d.serving || s.take(now) {
		return d.a.report(ctx, append(append(s.sums(now, false), e), more...)...)
	}
	_, sums := s.more.Count(e, now)
	if more = append(named(sums), more...); len(more) == 0 {
		return nil
	}
	return d.a.report(ctx, more...)
}
