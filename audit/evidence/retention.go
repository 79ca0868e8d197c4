//go:build linux

package evidence

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"entry/audit"
	"entry/policy"
	"entry/session/recording"
	"entry/session/recording/spool"
)

// retentionEvery is how often recordings are looked at: retention is in days.
const retentionEvery = 24 * time.Hour

// erasureEvery is how often erasures are looked for that were ordered at another server
// on the database, or that something stood in the way of.
const erasureEvery = time.Hour

// removing is held while a recording is judged and removed, so that each has one event of
// that.
var removing sync.Mutex

// Retention removes recordings that their labs no longer want kept, and those that
// operators ordered to be erased.
type Retention struct {
	Dir      string                                      // of the recordings
	Policy   func() *policy.Policy                       // the one in force
	Append   func(context.Context, ...audit.Event) error // to the audit log; durable on return
	Holds    func(context.Context) ([]Hold, error)       // those that aren't released
	Erasures func(context.Context) ([]Erasure, error)    // those that stand or wait
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
		n, err := r.Erase(ctx, time.Now())
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
// does what a hold keeps, what is being written, what can't be read, and what the log
// can't take. Where the holds aren't known nothing is removed.
func (r Retention) Remove(ctx context.Context, now time.Time) (n int, err error) {
	p := r.Policy()
	return r.each(ctx, now, func(i recording.Info, may fate) (audit.Event, bool) {
		keep := p.Retention(i.Lab)
		return audit.Event{Policy: p.Hash(), Reason: "retention",
			Detail: fmt.Sprintf("ended %s; the lab keeps recordings for %d days", i.End.UTC().Format(time.DateOnly), max(keep, r.Least)/(24*time.Hour)),
		}, may == free && keep > 0 && now.Sub(i.End) > keep
	})
}

// Erase removes what the erasures that stand are about, and returns how many. It is
// otherwise as Remove.
func (r Retention) Erase(ctx context.Context, now time.Time) (n int, err error) {
	all, err := r.Erasures(ctx)
	if err != nil {
		return 0, fmt.Errorf("read the erasures: %w", err)
	}
	all = slices.DeleteFunc(all, func(e Erasure) bool { return !e.Lasts(now) })
	if len(all) == 0 {
		return 0, nil
	}
	return r.each(ctx, now, func(i recording.Info, may fate) (audit.Event, bool) {
		at := slices.IndexFunc(all, func(e Erasure) bool { return e.Of(i) })
		if at < 0 || may != free {
			return audit.Event{}, false
		}
		return audit.Event{Reason: audit.ReasonErasure, Ref: all[at].ID, Detail: all[at].Reason}, true
	})
}

// Erasable is what an erasure would find now.
func (r Retention) Erasable(ctx context.Context, now time.Time, e Erasure) (found Erasable, err error) {
	_, err = r.each(ctx, now, func(i recording.Info, may fate) (audit.Event, bool) {
		switch {
		case !e.Of(i):
		case may == held:
			found.Held++
		case may == live:
			found.Live++
		case may == young:
			found.Young++
		case may == damaged:
			found.Damaged++
		default:
			found.Recordings++
			if found.First.IsZero() || i.Start.Before(found.First) {
				found.First = i.Start
			}
			if i.Start.After(found.Last) {
				found.Last = i.Start
			}
		}
		return audit.Event{}, false
	})
	return found, err
}

// fate is whether a recording may be removed at all.
type fate int

const (
	free    fate = iota
	held         // by a hold
	live         // or without an end so far
	young        // than every recording is kept at least
	damaged      // so that nobody knows what would be removed
)

func (r Retention) fate(i recording.Info, holds []Hold, now time.Time) fate {
	switch {
	case slices.ContainsFunc(holds, func(h Hold) bool { return h.About(i) }):
		return held
	case i.State == recording.Damaged:
		return damaged
	case i.State != recording.Complete && i.State != recording.StateAborted || i.End.IsZero():
		return live
	case now.Sub(i.End) <= r.Least:
		return young
	}
	return free
}

// each asks of each recording whether it is to go, with what its event says of why, and
// removes it then.
func (r Retention) each(ctx context.Context, now time.Time, goes func(recording.Info, fate) (audit.Event, bool)) (n int, err error) {
	removing.Lock()
	defer removing.Unlock()
	all, err := recording.List(r.Dir)
	if err != nil {
		return 0, err
	}
	holds, err := r.Holds(ctx)
	if err != nil {
		return 0, fmt.Errorf("read the holds: %w", err)
	}
	var errs []error
	for _, i := range all {
		if err := ctx.Err(); err != nil {
			return n, errors.Join(append(errs, err)...)
		}
		e, ok := goes(i, r.fate(i, holds, now))
		if !ok {
			continue
		}
		e.Type, e.Session, e.User, e.Lab, e.Target = audit.RecordingRemoved, i.ID, i.User, i.Lab, i.Target
		e.Recording = &audit.Recording{ID: i.ID, Head: hex.EncodeToString(i.Head[:]), Segments: i.Segments}
		if err := r.Append(ctx, audit.ByActor(ctx, e)); err != nil {
			return n, errors.Join(append(errs, fmt.Errorf("append %s: %w", e.Type, err))...)
		}
		if err := spool.Remove(r.Dir, i.ID); err != nil {
			errs = append(errs, err)
			continue
		}
		n++
	}
	return n, errors.Join(errs...)
}
