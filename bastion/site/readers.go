//go:build linux

package site

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"go.uber.org/zap"

	"entry/audit"
	"entry/audit/plain"
	"entry/configs"
	"entry/session/recording/auditors"
)

// readers are who may read recordings: the auditors of each lab with a file of its own,
// and, called "", everybody else's.
type readers struct {
	labs map[string][]auditors.Auditor
}

// of are those to whom a lab's recordings are sealed.
func (r *readers) of(lab string) []auditors.Auditor {
	if all, ok := r.labs[lab]; ok {
		return all
	}
	return r.labs[""]
}

// loadReaders reads all files of auditors' public keys. The error has file and line.
func loadReaders(c *configs.Recording) (*readers, error) {
	r := &readers{labs: map[string][]auditors.Auditor{}}
	files := maps.Clone(c.Labs)
	if files == nil {
		files = map[string]string{}
	}
	files[""] = c.Auditors
	var errs []error
	for _, lab := range slices.Sorted(maps.Keys(files)) {
		all, err := auditors.ReadFile(files[lab])
		if err != nil {
			where := "recording.auditors"
			if lab != "" {
				where = "recording.labs." + lab
			}
			errs = append(errs, fmt.Errorf("%s: %w", where, err))
			continue
		}
		r.labs[lab] = all
	}
	return r, errors.Join(errs...)
}

// changes says, a line a lab, whose keys are added and removed.
func (r *readers) changes(now *readers) (lines []string) {
	for _, lab := range slices.Sorted(maps.Keys(now.labs)) {
		added, removed := auditors.Changed(r.labs[lab], now.labs[lab])
		var words []string
		for _, a := range added {
			words = append(words, "added "+a.Short())
		}
		for _, a := range removed {
			words = append(words, "removed "+a.Short())
		}
		if len(words) > 0 {
			lines = append(lines, "auditors of "+cmp.Or(lab, "all other labs")+": "+plain.List(words, 10))
		}
	}
	return lines
}

// reloadReaders reads the auditors' keys anew: sessions that start from now on are sealed
// to them. A file that can't be used leaves all as they are.
func (s *Server) reloadReaders(ctx context.Context) {
	now, err := loadReaders(&s.cfg.Recording)
	if err != nil {
		s.log.Error("AUDITORS' KEYS CAN'T BE READ: recordings are sealed to those of before", zap.Error(err))
		if err := s.state.log.Append(ctx, audit.ByActor(ctx, audit.Event{Type: audit.ConfigRefused, Reason: "auditors", Detail: err.Error()})); err != nil {
			s.log.Error("append event", zap.Error(err))
		}
		return
	}
	s.keys.mu.Lock()
	defer s.keys.mu.Unlock()
	lines := s.keys.readers.changes(now)
	if len(lines) == 0 {
		return
	}
	var events []audit.Event
	for _, line := range lines {
		events = append(events, audit.ByActor(ctx, audit.Event{Type: audit.ConfigReloaded, Reason: "auditors", Detail: line + "; of sessions that start from here on"}))
	}
	if err := s.state.log.Append(ctx, events...); err != nil {
		s.log.Error("append event", zap.Error(err))
		return // what isn't on record isn't done
	}
	s.keys.readers = now
	for _, line := range lines {
		s.log.Info("recordings that start from now on are sealed to other auditors", zap.String("change", line))
	}
}
