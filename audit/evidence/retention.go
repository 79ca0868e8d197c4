//go:build linux

package evidence

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"entry/audit"
	"entry/policy"
	"entry/session/recording"
)

// retentionEvery is how often recordings are looked at: retention is in days.
const retentionEvery = 24 * time.Hour

// erasureEvery is how often erasures are looked for that were ordered at another server
// on the database, or that something stood in the way of.
const erasureEvery = time.Hour

// Retention removes recordings that their labs no longer want kept, and those that
// operators ordered to be erased. It goes by what the audit log says: of whose a recording
// is and when it ended, of the holds that stand, of the orders that were given. The database
// can add holds to those, and can take orders away.
type Retention struct {
	Dir      string                                      // of the recordings
	Log      string                                      // the audit log's directory
	Signed   func() audit.Position                       // of that log, as whoever writes it knows it; nil has its checkpoint believed
	Orders   *Orders                                     // of everybody who writes that log
	Policy   func() *policy.Policy                       // the one in force
	Append   func(context.Context, ...audit.Event) error // to the audit log; durable on return
	Holds    func(context.Context) ([]Hold, error)       // those that aren't released, as the database has them
	Lost     func(context.Context, Hold) error           // has the database keep one that it has lost; nil where it needn't
	Erasures func(context.Context) ([]Erasure, error)    // those that stand or wait, as the database has them
	NeedsTwo bool                                        // operators, for an order to stand
	Least    time.Duration                               // that recordings are kept, whatever the policy says
	// Told hears of each look that removed something or failed, and why: after the labs'
	// retention or by an erasure. It must not block.
	Told func(why string, removed int, err error)
}

// Start looks now and every day, and for erasures every hour. The returned function ends
// that and waits for it.
func (r Retention) Start(ctx context.Context) (stop func()) {
	var looked time.Time
	return repeat(ctx, "the removal of recordings", erasureEvery, func(ctx context.Context) {
		erased, err := r.Erase(ctx, time.Now())
		n := 0
		for _, of := range erased {
			n += of
		}
		r.tell(ctx, "by erasure", n, err)
		if time.Since(looked) >= retentionEvery {
			n, err := r.Remove(ctx, time.Now())
			r.tell(ctx, "after their lab's retention", n, err)
			looked = time.Now()
		}
	})
}

func (r Retention) tell(ctx context.Context, why string, n int, err error) {
	if n > 0 || err != nil && ctx.Err() == nil {
		r.Told(why, n, err)
	}
}

// Remove removes the recordings that ended longer ago than the policy says that
// their lab keeps them, and returns how many. Each is in the log first, so that
// Verify knows why it is gone. What the policy keeps no time for stays, and so
// does what a hold keeps, one that comes meanwhile included, what is being written, what
// isn't what the log knows, which is an alarm, and what the log can't take. Where the holds
// aren't known nothing is removed.
func (r Retention) Remove(ctx context.Context, now time.Time) (n int, err error) {
	p := r.Policy()
	err = r.each(ctx, now, true, func(x *examined) error {
		keep := p.Retention(x.Lab)
		if keep <= 0 || now.Sub(x.End) <= keep {
			return nil
		}
		if x.fate != free {
			return x.unheard(now)
		}
		keep = max(keep, r.Least)
		err := x.remove(ctx, audit.Event{Policy: p.Hash(), Reason: "retention",
			Detail: fmt.Sprintf("ended %s; the lab keeps recordings for %d days", x.End.UTC().Format(time.DateOnly), keep/(24*time.Hour))}, keep)
		if err == nil {
			n++
		}
		return err
	})
	return n, err
}

// Erase removes what the erasures that stand are about, and returns how many by the IDs of
// the orders. It is otherwise as Remove.
func (r Retention) Erase(ctx context.Context, now time.Time) (n map[string]int, err error) {
	noted, err := r.Erasures(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the erasures: %w", err)
	}
	if !slices.ContainsFunc(noted, func(e Erasure) bool { return now.Before(e.At.Add(ErasureWaits + ErasureLasts)) }) {
		return nil, nil
	}
	n = map[string]int{}
	err = r.each(ctx, now, true, func(x *examined) error {
		if x.fate != free && x.fate != unsaid {
			return nil
		}
		noted, err := r.Erasures(ctx) // one may have been withdrawn
		if err != nil {
			return fmt.Errorf("read the erasures: %w", err)
		}
		all := r.standing(x.said, noted)
		at := slices.IndexFunc(all, func(e Erasure) bool { return e.Lasts(now) && e.Of(x.Info) })
		if at < 0 {
			return nil
		}
		if x.fate != free {
			return x.unheard(now)
		}
		if err := x.remove(ctx, audit.Event{Reason: audit.ReasonErasure, Ref: all[at].ID, Detail: all[at].Reason}, r.Least); err != nil {
			return err
		}
		n[all[at].ID]++
		return nil
	})
	return n, err
}

// standing are the erasures that the database has, as the log has them: one that this log
// hasn't, or may have withdrawn, is Elsewhere, and carried out by nobody here.
func (r Retention) standing(s *said, noted []Erasure) (all []Erasure) {
	for _, e := range noted {
		x := s.erasure(e.ID)
		if i := slices.IndexFunc(s.unheard, func(u Erasure) bool { return u.ID == e.ID }); x == nil && i >= 0 {
			all = append(all, s.unheard[i])
			continue
		}
		if x == nil {
			e.Elsewhere, e.Second, e.Stands = true, nil, time.Time{}
			all = append(all, e)
			continue
		}
		e = *x
		if r.NeedsTwo && e.Second == nil {
			e.Stands = time.Time{}
		}
		all = append(all, e)
	}
	return all
}

// Ordered are the holds that stand, by the log or by the database, and the erasures that were
// ordered and not withdrawn.
func (r Retention) Ordered(ctx context.Context) (holds []Hold, erasures []Erasure, err error) {
	ids, err := recording.IDs(r.Dir) // what is asked next is about these
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	s, err := r.listen(ids)
	if err != nil {
		return nil, nil, err
	}
	if holds, err = r.holds(ctx, &s); err != nil {
		return nil, nil, err
	}
	noted, err := r.Erasures(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("read the erasures: %w", err)
	}
	return holds, r.standing(&s, noted), nil
}

// listen is what the log says of the recordings with these IDs, and of orders, all proven.
func (r Retention) listen(ids []string) (said, error) {
	return r.Orders.heard.listen(r.Log, func() (audit.Position, error) {
		if r.Signed != nil {
			return r.Signed(), nil
		}
		return audit.Stated(r.Log)
	}, ids)
}

// holds are those of the database and of the log, oldest first.
func (r Retention) holds(ctx context.Context, s *said) ([]Hold, error) {
	all, err := r.Holds(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the holds: %w", err)
	}
	for _, h := range s.ordered.holds() {
		if !slices.ContainsFunc(all, func(o Hold) bool { return o.ID == h.ID }) {
			all = append(all, h)
		}
	}
	slices.SortStableFunc(all, func(a, b Hold) int { return a.At.Compare(b.At) })
	return all, nil
}

// Erasable is what an erasure would find now.
func (r Retention) Erasable(ctx context.Context, now time.Time, e Erasure) (found Erasable, err error) {
	err = r.each(ctx, now, false, func(x *examined) error {
		switch {
		case !e.Of(x.Info):
		case x.fate == held:
			found.Held++
		case x.fate == live:
			found.Live++
		case x.fate == young:
			found.Young++
		case x.fate == damaged:
			found.Damaged++
		case x.fate == unsaid:
			found.Unsaid++
		default:
			found.Recordings++
			if found.First.IsZero() || x.Start.Before(found.First) {
				found.First = x.Start
			}
			if x.Start.After(found.Last) {
				found.Last = x.Start
			}
		}
		return nil
	})
	return found, err
}

// each has f look at each recording. Where it removes, nobody else does meanwhile, no order
// is noted while f has one, and each is judged by the orders that were noted so far.
func (r Retention) each(ctx context.Context, now time.Time, removes bool, f func(*examined) error) error {
	if removes {
		defer r.Orders.begin()()
	}
	ids, err := recording.IDs(r.Dir)
	if err != nil || len(ids) == 0 {
		return err
	}
	s, err := r.listen(ids)
	if err != nil {
		return err
	}
	if removes {
		if err := r.found(ctx, &s); err != nil {
			return err
		}
	}
	holds, err := r.holds(ctx, &s)
	if err != nil {
		return err
	}
	var errs []error
	var waits *Unheard
	n := 0
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			return errors.Join(append(errs, err)...)
		}
		i, err := recording.Stat(r.Dir, id)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return errors.Join(append(errs, err)...)
		case removes:
			err = r.step(ctx, now, i, &s, f)
		default:
			err = f(r.examine(i, &s, holds, now))
		}
		var kept *stays
		var unheard *Unheard
		switch {
		case errors.As(err, &unheard):
			waits = unheard
			n++
		case errors.As(err, &kept):
			errs = append(errs, err)
		case err != nil:
			return errors.Join(append(errs, err)...)
		}
	}
	if waits != nil {
		waits.Recordings = n
		errs = append(errs, waits)
	}
	return errors.Join(errs...)
}

// step has f look at one recording, which may be removed.
func (r Retention) step(ctx context.Context, now time.Time, i recording.Info, s *said, f func(*examined) error) error {
	r.Orders.step.Lock()
	defer r.Orders.step.Unlock()
	for _, e := range r.Orders.since {
		s.take(e)
	}
	holds, err := r.holds(ctx, s)
	if err != nil {
		return err
	}
	x := r.examine(i, s, holds, now)
	if x.why != "" {
		return x.alarm(ctx)
	}
	return f(x)
}

// found has the database keep again the holds that it has lost.
func (r Retention) found(ctx context.Context, s *said) error {
	if r.Lost == nil {
		return nil
	}
	r.Orders.step.Lock()
	defer r.Orders.step.Unlock()
	for _, e := range r.Orders.since {
		s.take(e)
	}
	all, err := r.Holds(ctx)
	if err != nil {
		return fmt.Errorf("read the holds: %w", err)
	}
	for _, h := range s.ordered.holds() {
		if slices.ContainsFunc(all, func(o Hold) bool { return o.ID == h.ID }) {
			continue
		}
		if err := r.append(ctx, audit.Event{Type: audit.AlarmBehind, Ref: h.ID, Detail: "the database had lost what this log says; placed again: the hold " + h.ID + " on " + h.What()}); err != nil {
			return err
		}
		if err := r.Lost(ctx, h); err != nil {
			return err
		}
	}
	return nil
}

func (r Retention) append(ctx context.Context, e audit.Event) error {
	if err := r.Append(ctx, audit.ByActor(ctx, e)); err != nil {
		return fmt.Errorf("append %s: %w", e.Type, err)
	}
	return nil
}
