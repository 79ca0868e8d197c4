package access

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"entry/audit"
	"entry/audit/plain"
	"entry/audit/refusal"
	"entry/policy"
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
	// for each chunk: a sixty-fourth of what the limit is, between these. A
	// crash counts a block that was reserved as moved.
	leastReserve = 64 << 10 // bytes; less is never asked for
	mostReserve  = 64 << 20 // bytes

	budgetWarns = 80 // percent of a limit
)

// budgets are the brakes of one session, or of one connection to a tcp target.
type budgets struct{ down, up *Budget }

// newBudgets are the brakes under grant. event makes the events about them.
func newBudgets(g *Gate, grant policy.Grant, event func(audit.Type) audit.Event) *budgets {
	full := grant.Target().FullName()
	b := &budgets{down: &Budget{gate: g, event: event, what: "from " + full}, up: &Budget{gate: g, event: event, what: "to " + full}}
	b.adapt(grant)
	return b
}

// DayOwners are whose budgets of a day count bytes that user moves from and to the
// target, by its full name, and, of both, those that leave the lab.
func DayOwners(user, lab, target string) (down, up, egress string) {
	return "down " + user + " " + target, "up " + user + " " + target, "lab " + user + " " + lab
}

// adapt puts the limits of g in force for what is moved from now on. What was
// moved before counts for the limit of the session.
func (b *budgets) adapt(g policy.Grant) {
	l, t, user := g.Limits(), g.Target(), g.User()
	down, up, egress := DayOwners(user, t.Lab, t.FullName())
	lab := dayBudget{owner: egress, limit: g.Egress(), words: "your lab's limit for today"}
	b.down.adapt(l.SessionDown, dayBudget{owner: down, limit: l.DayDown, words: "your limit for today"}, lab)
	b.up.adapt(l.SessionUp, dayBudget{owner: up, limit: l.DayUp, words: "your limit for today"})
}

// close gives back what was reserved and not moved.
func (b *budgets) close() {
	b.down.close()
	b.up.close()
}

// Budget is a session's brake in one direction: its own limit, its user's on
// the target that day, and the lab's. It is a brake, not data-loss prevention:
// what is seen can be typed off. It is safe for concurrent use.
type Budget struct {
	gate  *Gate
	event func(audit.Type) audit.Event
	what  string // "from home.tinker", for the user

	mu     sync.Mutex // one Take or Return at a time; held across the store's transaction
	limit  int64      // of the session; 0 is none
	moved  int64      // or taken to be
	warned bool
	spent  bool // and said so
	days   []*dayBudget
}

// dayBudget is one limit of a day, and what this session has of it.
type dayBudget struct {
	owner string
	limit int64
	words string // whose limit, for the user

	day  time.Time
	left int64 // reserved, not taken
	out  int64 // taken that day
}

// adapt puts other limits in force; those of days that are 0 are none.
func (b *Budget) adapt(session int64, days ...dayBudget) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if session != b.limit {
		b.limit, b.warned, b.spent = session, false, false
	}
	var kept []*dayBudget
	for _, d := range days {
		i := slices.IndexFunc(b.days, func(o *dayBudget) bool { return o.owner == d.owner })
		switch {
		case d.limit <= 0:
			continue
		case i >= 0:
			if b.days[i].limit != d.limit {
				b.days[i].limit, b.spent = d.limit, false
				b.release(b.days[i]) // a block of the new size is next
			}
			kept = append(kept, b.days[i])
		default:
			kept = append(kept, &d)
		}
	}
	for _, d := range b.days {
		if !slices.Contains(kept, d) {
			b.release(d)
		}
	}
	b.days = kept
}

// Take takes up to want bytes; the error is an *refusal.Error that says which
// limit is reached and when it starts anew.
func (b *Budget) Take(ctx context.Context, want int64) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := want
	if b.limit > 0 {
		if n = min(n, b.limit-b.moved); n <= 0 {
			return 0, b.end("the limit of one session", b.limit, "connect again")
		}
	}
	today := b.gate.now().UTC().Truncate(24 * time.Hour)
	for _, d := range b.days {
		if !d.day.Equal(today) {
			b.release(d)
			d.day, d.out, b.spent = today, 0, false
		}
		if d.left < n {
			block := min(max(d.limit/64, leastReserve), mostReserve)
			got, total, err := b.gate.o.Usage.Reserve(ctx, today, d.owner, max(block, n-d.left), d.limit)
			if err != nil {
				b.gate.o.Trouble("reserve bytes", err)
				return 0, &refusal.Error{Text: "entry can't count what is moved right now, so nothing more is", Code: refusal.Budget}
			}
			d.left += got
			// Only one session sees the sum pass the mark.
			if mark := percent(d.limit); total >= mark && total-got < mark {
				b.warn(d.words, d.limit)
			}
		}
		if n = min(n, d.left); n <= 0 {
			return 0, b.end(d.words, d.limit, "it starts anew at 00:00 UTC")
		}
	}
	for _, d := range b.days {
		d.left -= n
		d.out += n
	}
	b.moved += n
	if b.limit > 0 && !b.warned && b.moved >= percent(b.limit) {
		b.warned = true
		b.warn("the limit of one session", b.limit)
	}
	return n, nil
}

// percent is where users' operators are warned of a limit.
func percent(limit int64) int64 { return limit/100*budgetWarns + limit%100*budgetWarns/100 }

// Return gives back bytes that were taken and not moved, and what is reserved
// beside them: nothing moves right now, and others may need it.
func (b *Budget) Return(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.moved -= n
	for _, d := range b.days {
		back := min(n, d.out) // no more than was taken that day
		d.out -= back
		d.left += back
		b.release(d)
	}
}

func (b *Budget) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, d := range b.days {
		b.release(d)
	}
}

// release gives a day's reservation back. What can't be given back counts as
// moved: the user has less, never more. The caller holds b.mu.
func (b *Budget) release(d *dayBudget) {
	if d.left > 0 {
		if err := b.gate.o.Usage.Release(context.Background(), d.day, d.owner, d.left); err != nil {
			b.gate.o.Trouble("release bytes", err)
		}
	}
	d.left = 0
}

func (b *Budget) warn(whose string, limit int64) {
	e := b.event(audit.BudgetWarning)
	e.Reason, e.Detail = "80-percent", fmt.Sprintf("%s %s: %s", whose, b.what, plain.Limit(limit))
	b.gate.append(e)
}

// end is what the user reads when a limit is reached; the event comes once.
func (b *Budget) end(whose string, limit int64, then string) error {
	if !b.spent {
		b.spent = true
		e := b.event(audit.BudgetSpent)
		e.Reason, e.Detail = refusal.Budget.String(), fmt.Sprintf("%s %s: %s", whose, b.what, plain.Limit(limit))
		b.gate.append(e)
	}
	return &refusal.Error{Text: fmt.Sprintf("%s %s, %s, is reached; %s", whose, b.what, plain.Limit(limit), then), Code: refusal.Budget}
}
