//go:build linux

package site

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"filippo.io/age"
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
	keys map[string][]age.Recipient
}

// of are the keys that a lab's recordings are sealed to.
func (r *readers) of(lab string) []age.Recipient {
	if keys, ok := r.keys[lab]; ok {
		return keys
	}
	return r.keys[""]
}

// loadReaders reads all files of auditors' public keys. The error has file and line.
func loadReaders(c *configs.Recording) (*readers, error) {
	r := &readers{labs: map[string][]auditors.Auditor{}, keys: map[string][]age.Recipient{}}
	files := maps.Clone(c.Labs)
	if files == nil {
		files = map[string]string{}
	}
	files[""] = c.Auditors
	var errs []error
	for _, lab := range slices.Sorted(maps.Keys(files)) {
		all, err := readAuditors(files[lab])
		if err != nil {
			where := "recording.auditors"
			if lab != "" {
				where = "recording.labs." + lab
			}
			errs = append(errs, fmt.Errorf("%s: %w", where, err))
			continue
		}
		r.labs[lab], r.keys[lab] = all, auditors.Recipients(all)
	}
	return r, errors.Join(errs...)
}

func readAuditors(file string) ([]auditors.Auditor, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all, err := auditors.Parse(f)
	var bad *auditors.BadAuditors
	switch {
	case errors.As(err, &bad) && bad.Line > 0:
		return nil, fmt.Errorf("%s:%d: %w", file, bad.Line, err)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return all, nil
}

// changes says, a line a lab, whose keys are added and removed.
func (r *readers) changes(now *readers) (lines []string) {
	for _, lab := range slices.Sorted(maps.Keys(now.labs)) {
		added, removed := auditors.Changed(r.labs[lab], now.labs[lab])
		var words []string
		for _, a := range added {
			words = append(words, "added "+shortKey(a))
		}
		for _, a := range removed {
			words = append(words, "removed "+shortKey(a))
		}
		if len(words) > 0 {
			lines = append(lines, "auditors of "+cmp.Or(lab, "all other labs")+": "+plain.List(words, 10))
		}
	}
	return lines
}

// shortKey is enough of a key for a person to know it by: all of it, but of a hybrid one,
// which has some 2,000 characters.
func shortKey(a auditors.Auditor) string {
	if len(a.Text) > 80 {
		return a.Text[:40] + "…"
	}
	return a.Text
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
