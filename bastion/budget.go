package bastion

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"entry/audit"
	"entry/policy"
	"entry/session"
)

// Usage keeps how many bytes were moved on a day (UTC), over restarts and all
// servers on one database. *store.Store implements it.
type Usage interface {
	// Reserve adds up to want bytes to owner's, so that they don't exceed
	// limit, and returns how many and their sum with what was there.
	Reserve(ctx context.Context, day time.Time, owner string, want, limit int64) (granted, total int64, err error)
	// Release takes back bytes that were reserved and not moved.
	Release(ctx context.Context, day time.Time, owner string, n int64) error
}

const (
	// A day's bytes are reserved in blocks, so that the database isn't asked
	// for each chunk: a sixteenth of what the limit is, between these. A crash
	// counts a block that was reserved as moved.
	leastReserve = 1 << 20  // bytes
	mostReserve  = 64 << 20 // bytes

	budgetWarns = 80 // percent of a limit
)

// budget is a session's brake in one direction: its own limit, its user's on
// the target that day, and the lab's. It is a brake, not data-loss prevention:
// what is seen can be typed off. It implements session.Budget.
type budget struct {
	s     *Server
	event func(audit.Type) audit.Event
	what  string // "from home.tinker", for the user

	mu     sync.Mutex // one Take or Return at a time; held across the store's transaction
	limit  int64      // of the session; 0 is none
	moved  int64
	warned bool
	spent  bool
	days   []*dayBudget
}

// dayBudget is one limit of a day, and what this session has reserved of it.
type dayBudget struct {
	owner string
	limit int64
	words string // whose limit, for the user
	day   time.Time
	left  int64
}

// newBudgets are the brakes of a session under g, nil where it has none.
func (s *Server) newBudgets(g policy.Grant, event func(audit.Type) audit.Event) (down, up *budget) {
	l, t, user := g.Limits(), g.Target(), g.User()
	direction := func(what, owner string, own, day int64) *budget {
		b := &budget{s: s, event: event, what: what + " " + t.FullName(), limit: own}
		if day > 0 {
			b.days = append(b.days, &dayBudget{owner: owner + " " + user + " " + t.FullName(), limit: day, words: "your limit for today"})
		}
		return b
	}
	down, up = direction("from", "down", l.SessionDown, l.DayDown), direction("to", "up", l.SessionUp, l.DayUp)
	if lab := g.Egress(); lab > 0 {
		down.days = append(down.days, &dayBudget{owner: "lab " + user + " " + t.Lab, limit: lab, words: "your lab's limit for today"})
	}
	if down.limit == 0 && len(down.days) == 0 {
		down = nil
	}
	if up.limit == 0 && len(up.days) == 0 {
		up = nil
	}
	return down, up
}

// Take takes up to want bytes; the error is an *session.End that says which
// limit is reached and when it starts anew.
func (b *budget) Take(ctx context.Context, want int64) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := want
	if b.limit > 0 {
		if n = min(n, b.limit-b.moved); n <= 0 {
			return 0, b.end("the limit of one session", b.limit, "connect again")
		}
	}
	today := b.s.now().UTC().Truncate(24 * time.Hour)
	for _, d := range b.days {
		if !d.day.Equal(today) {
			b.release(d)
			d.day = today
		}
		if d.left < n {
			block := min(max(d.limit/16, leastReserve), mostReserve)
			got, total, err := b.s.o.Usage.Reserve(ctx, today, d.owner, max(block, n-d.left), d.limit)
			if err != nil {
				b.s.log.Error("reserve bytes", zap.Error(err))
				return 0, &session.End{Text: "entry can't count what is moved right now, so nothing more is", Reason: session.ReasonBudget}
			}
			d.left += got
			if mark := d.limit / 100 * budgetWarns; total >= mark && total-got < mark {
				b.warn(d.words, d.limit)
			}
		}
		if n = min(n, d.left); n <= 0 {
			return 0, b.end(d.words, d.limit, "it starts anew at 00:00 UTC")
		}
	}
	for _, d := range b.days {
		d.left -= n
	}
	b.moved += n
	if b.limit > 0 && !b.warned && b.moved >= b.limit/100*budgetWarns {
		b.warned = true
		b.warn("the limit of one session", b.limit)
	}
	return n, nil
}

// Return gives back bytes that were taken and not moved.
func (b *budget) Return(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.moved -= n
	for _, d := range b.days {
		d.left += n
	}
}

// meter spends what a tcp forward moves, chunk by chunk; b may be nil.
func (b *budget) meter(ctx context.Context, touched func()) func(int) error {
	return func(n int) error {
		touched()
		for b != nil && n > 0 {
			got, err := b.Take(ctx, int64(n))
			if err != nil {
				return err
			}
			n -= int(got)
		}
		return nil
	}
}

// close gives back what was reserved and not moved.
func (b *budget) close() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, d := range b.days {
		b.release(d)
	}
}

// release gives a day's reservation back. What can't be given back counts as
// moved: the user has less, never more. The caller holds b.mu.
func (b *budget) release(d *dayBudget) {
	if d.left > 0 {
		if err := b.s.o.Usage.Release(context.Background(), d.day, d.owner, d.left); err != nil {
			b.s.log.Error("release bytes", zap.Error(err))
		}
	}
	d.left = 0
}

func (b *budget) warn(whose string, limit int64) {
	e := b.event(audit.BudgetWarning)
	e.Reason, e.Detail = "80-percent", fmt.Sprintf("%s %s: %s", whose, b.what, bytesText(limit))
	b.s.append(e)
}

// end is what the user reads when a limit is reached; the event comes once.
func (b *budget) end(whose string, limit int64, then string) error {
	if !b.spent {
		b.spent = true
		e := b.event(audit.BudgetSpent)
		e.Reason, e.Detail = session.ReasonBudget, fmt.Sprintf("%s %s: %s", whose, b.what, bytesText(limit))
		b.s.append(e)
	}
	return &session.End{Text: fmt.Sprintf("%s %s, %s, is reached; %s", whose, b.what, bytesText(limit), then), Reason: session.ReasonBudget}
}

// bytesText is a size in words.
func bytesText(n int64) string {
	for _, u := range []struct {
		size int64
		name string
	}{{1 << 40, "TiB"}, {1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= u.size {
			return fmt.Sprintf("%.4g %s", float64(n)/float64(u.size), u.name)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}
