package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"entry/audit"
	"entry/policy"
	"entry/session/recording"
	"entry/session/recording/spool"
)

// retentionEvery is how often recordings are looked at: retention is in days.
const retentionEvery = 24 * time.Hour

// keepRetention removes, now and every day, the recordings that their labs no
// longer want kept. The returned function ends that and waits for it.
func (s *server) keepRetention(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(self(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		t := time.NewTicker(retentionEvery)
		defer t.Stop()
		for {
			n, err := removeExpired(ctx, s.cfg.Recording.Directory, s.bastion.Access().Policy(), time.Now(), s.state.log.Append)
			if n > 0 {
				s.log.Info("recordings removed after their lab's retention", zap.Int("recordings", n))
			}
			if err != nil && ctx.Err() == nil {
				s.log.Error("remove recordings after their lab's retention", zap.Error(err))
			}
			select {
			case <-ctx.Done():
				return
			case <-t.C:
			}
		}
	}()
	return func() { cancel(); <-done }
}

// removeExpired removes the recordings in dir that ended longer ago than p
// says that their lab keeps them, and returns how many. Each is in the log
// first, so that audit verify knows why it is gone. What p keeps no time for
// stays, and so does what is being written, what can't be read, and what the
// log can't take.
func removeExpired(ctx context.Context, dir string, p *policy.Policy, now time.Time, note func(context.Context, ...audit.Event) error) (n int, err error) {
	all, err := recording.List(dir)
	if err != nil {
		return 0, err
	}
	var errs []error
	for _, i := range all {
		if err := ctx.Err(); err != nil {
			return n, errors.Join(append(errs, err)...)
		}
		keep := p.Retention(i.Lab)
		if keep <= 0 || i.State != recording.Complete && i.State != recording.StateAborted || i.End.IsZero() || now.Sub(i.End) <= keep {
			continue
		}
		e := audit.Event{Type: audit.RecordingRemoved, Session: i.ID, User: i.User, Lab: i.Lab, Target: i.Target, Policy: p.Hash(), Reason: "retention",
			Detail:    fmt.Sprintf("ended %s; the lab keeps recordings for %d days", i.End.UTC().Format(time.DateOnly), keep/(24*time.Hour)),
			Recording: &audit.Recording{ID: i.ID, Head: hex.EncodeToString(i.Head[:]), Segments: i.Segments}}
		if err := note(ctx, e); err != nil {
			return n, errors.Join(append(errs, fmt.Errorf("append %s: %w", e.Type, err))...)
		}
		if err := spool.Remove(dir, i.ID); err != nil {
			errs = append(errs, err)
			continue
		}
		n++
	}
	return n, errors.Join(errs...)
}
