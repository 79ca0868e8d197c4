//go:build linux

package evidence

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"entry/e2e/testkit"
	"entry/session/recording"
)

// The log is kept for its time, and for longer where a hold stands, or a recording is left
// that began before.
func TestLogEnd(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	day := 24 * time.Hour
	now := s.ended.Add(400 * day)
	list := testkit.Must(recording.List(s.spool()))(t)
	oldest := s.ended // as the log says it
	var before []time.Time
	look := func(keep time.Duration) (uint64, error) {
		before = nil
		return LogEnd{Keep: keep, Of: s.removes(nil), Drop: func(_ context.Context, at time.Time) (uint64, error) {
			before = append(before, at)
			return 7, nil
		}}.Look(t.Context(), now)
	}
	if n, err := look(500 * day); n != 7 || err != nil || !before[0].Equal(now.Add(-500*day)) {
		t.Errorf("%d, %v: %v", n, err, before)
	}
	if _, err := look(100 * day); err != nil || !before[0].Equal(oldest.Add(-slack)) {
		t.Errorf("with old recordings: %v, %v", err, before)
	}
	s.held = []Hold{{Order: Order{User: "carol"}}}
	if n, err := look(500 * day); n != 0 || err != nil || len(before) != 0 {
		t.Errorf("held: %d, %v", n, err)
	}
	s.held, s.heldErr = nil, errors.New("no such table")
	if n, err := look(500 * day); n != 0 || !errors.Is(err, s.heldErr) || len(before) != 0 {
		t.Errorf("holds unknown: %d, %v", n, err)
	}
	s.heldErr = nil
	for _, i := range list {
		testkit.Check(t, os.Remove(s.file(i.ID, recording.Ext)))
	}
	if _, err := look(100 * day); err != nil || !before[0].Equal(now.Add(-100*day)) {
		t.Errorf("without recordings: %v, %v", err, before)
	}
	testkit.WriteFile(t, s.file(sealed, recording.Ext), "not a recording")
	if n, err := look(100 * day); n != 7 || err != nil || !before[0].Equal(oldest.Add(-slack)) {
		t.Errorf("beside what can't be read, and the log knows: %d, %v: %v", n, err, before)
	}
	testkit.WriteFile(t, s.file("01JQ8Z3M6Y0000000000000003", recording.Ext), "not a recording")
	if n, err := look(100 * day); n != 0 || err != nil || len(before) != 0 {
		t.Errorf("beside what the log doesn't know: %d, %v", n, err)
	}
}
