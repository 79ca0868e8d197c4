//go:build linux

package evidence

import (
	"context"
	"time"

	"entry/session/group"
	"entry/session/recording"
)

// LogEnd ends the audit log at its beginning, where it isn't to be kept for ever.
type LogEnd struct {
	Keep time.Duration // how long records are kept; 0 is for ever
	Of   Retention     // of the log's recordings: by what is held, and what is left, it goes
	// Drop removes the log's records that are older than a time; *audit.Log's.
	Drop func(ctx context.Context, before time.Time) (through uint64, err error)
	// Told hears of each look that removed something or failed. It must not block.
	Told func(through uint64, err error)
}

// Start looks now and every day. The returned function ends that and waits for it.
func (l LogEnd) Start(ctx context.Context) (stop func()) {
	if l.Keep <= 0 {
		return func() {}
	}
	return repeat(ctx, "the end of the audit log", retentionEvery, func(ctx context.Context) {
		if n, err := l.Look(ctx, time.Now()); n > 0 || err != nil && ctx.Err() == nil {
			l.Told(n, err)
		}
	})
}

// repeat has look called now and every so often. The returned function ends that, cancels the
// look that is under way, and waits for it.
func repeat(ctx context.Context, name string, every time.Duration, look func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := group.Vital(name, func() {
		t := time.NewTicker(every)
		defer t.Stop()
		for {
			look(ctx)
			select {
			case <-ctx.Done():
				return
			case <-t.C:
			}
		}
	})
	return func() { cancel(); <-done }
}

// Look drops what is older than the log is kept, and returns the number of the last record
// that went; 0 if none did. Nothing is dropped while a hold stands, for what was held may be
// asked for with all that the log says of it, and nothing since the oldest recording that is
// here began, as the log says it, so that each can be held against the log. Where there is one
// of which the log doesn't say that, nothing is.
func (l LogEnd) Look(ctx context.Context, now time.Time) (through uint64, err error) {
	ids, err := recording.IDs(l.Of.Dir)
	if err != nil {
		return 0, err
	}
	s, err := l.Of.listen(ids)
	if err != nil {
		return 0, err
	}
	if away := s.standing.Unheard(); len(away) > 0 {
		return 0, &Unheard{Records: away}
	}
	if holds, err := l.Of.holds(ctx, &s); err != nil || len(holds) > 0 {
		return 0, err
	}
	before := now.Add(-l.Keep)
	for _, id := range ids {
		f := s.of[id]
		if !f.known() {
			return 0, nil
		}
		if began := f.start.Add(-slack); began.Before(before) {
			before = began
		}
	}
	return l.Drop(ctx, before)
}
