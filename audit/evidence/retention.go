//go:build linux

package evidence

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"entry/audit"
	"entry/policy"
	"entry/session/group"
	"entry/session/recording"
	"entry/session/recording/spool"
)

// retentionEvery is how often recordings are looked at: retention is in days.
const retentionEvery = 24 * time.Hour

// Retention removes recordings that their labs no longer want kept.
type Retention struct {
	Dir    string                                      // of the recordings
	Policy func() *policy.Policy                       // the one in force
	Append func(context.Context, ...audit.Event) error // to the audit log; durable on return
	Holds  func(context.Context) ([]Hold, error)       // those that aren't released
	Least  time.Duration                               // that recordings are kept, whatever the policy says
	// Told hears of each look that removed something or failed. It must not
	// block.
	Told func(removed int, err error)
}

// Start looks now and every day. The returned function ends that and waits for
// it.
func (r Retention) Start(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := group.Vital("the removal of recordings after their retention", func() {
		t := time.NewTicker(retentionEvery)
		defer t.Stop()
		for {
			n, err := r.Remove(ctx, time.Now())
			if n > 0 || err != nil && ctx.Err() == nil {
				r.Told(n, err)
			}
			select {
			case <-ctx.Done():
				return
			case <-t.C:
			}
		}
	})
	return func() { cancel(); <-done }
}

// Remove removes the recordings that ended longer ago than the policy says that
// their lab keeps them, and returns how many. Each is in the log first, so that
// Verify knows why it is gone. What the policy keeps no time for stays, and so
// does what a hold keeps, what is being written, what can't be read, and what the log
// can't take. Where the holds aren't known nothing is removed.
func (r Retention) Remove(ctx context.Context, now time.Time) (n int, err error) {
	all, err := recording.List(r.Dir)
	if err != nil {
		return 0, err
	}
	p := r.Policy()
	holds, err := r.Holds(ctx)
	if err != nil {
		return 0, fmt.Errorf("read the holds: %w", err)
	}
	var errs []error
	for _, i := range all {
		if err := ctx.Err(); err != nil {
			return n, errors.Join(append(errs, err)...)
		}
		keep := p.Retention(i.Lab)
		if keep > 0 {
			keep = max(keep, r.Least)
		}
		if keep <= 0 || slices.ContainsFunc(holds, func(h Hold) bool { return h.Holds(i) }) || i.State != recording.Complete && i.State != recording.StateAborted || i.End.IsZero() || now.Sub(i.End) <= keep {
			continue
		}
		e := audit.Event{Type: audit.RecordingRemoved, Session: i.ID, User: i.User, Lab: i.Lab, Target: i.Target, Policy: p.Hash(), Reason: "retention",
			Detail:    fmt.Sprintf("ended %s; the lab keeps recordings for %d days", i.End.UTC().Format(time.DateOnly), keep/(24*time.Hour)),
			Recording: &audit.Recording{ID: i.ID, Head: hex.EncodeToString(i.Head[:]), Segments: i.Segments}}
		if err := r.Append(ctx, e); err != nil {
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
