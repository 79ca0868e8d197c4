//go:build linux

package evidence

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"entry/audit"
	"entry/policy"
	"entry/policy/strict"
	"entry/session/recording"
)

// keeps is a policy under which lab keeps recordings for so many days; "" says
// nothing about it.
func keeps(t *testing.T, lab, retention string) func() *policy.Policy {
	t.Helper()
	text := "labs:\n  " + lab + ":\n    members: [alice]\n"
	if retention != "" {
		text += "    retention: " + retention + "\n"
	}
	p, err := policy.Parse(strict.File{Name: "lab.yaml", Data: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	return func() *policy.Policy { return p }
}

// expire runs the daily job as it would run at now.
func (s *site) expire(p func() *policy.Policy, now time.Time) (n int, err error) {
	s.t.Helper()
	s.log(func(log *audit.Log) {
		n, err = Retention{Dir: s.spool(), Policy: p, Append: log.Append}.Remove(s.t.Context(), now)
	})
	return n, err
}

func TestRetention(t *testing.T) {
	t.Parallel()
	day := 24 * time.Hour
	for name, tt := range map[string]struct {
		lab, retention string
		after          time.Duration
		removed        int
	}{
		"not configured": {"tinker", "", 40_000 * day, 0},
		"another lab's":  {"other", "1d", 40_000 * day, 0},
		"not over yet":   {"tinker", "30d", 30*day - time.Hour, 0},
		"over":           {"tinker", "30d", 30*day + time.Hour, 2},
		"a clock before": {"tinker", "1d", -100 * day, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			p, now := keeps(t, tt.lab, tt.retention), s.ended.Add(tt.after)
			if n, err := s.expire(p, now); n != tt.removed || err != nil {
				t.Fatalf("%d removed, %v", n, err)
			}
			left, err := recording.List(s.spool())
			if err != nil || len(left) != 2-tt.removed {
				t.Errorf("%d left, %v", len(left), err)
			}
			for _, id := range []string{sealed, cut} {
				for _, ext := range []string{recording.Ext, recording.KeyExt, recording.AbortedExt} {
					if tt.removed > 0 && exists(s.file(id, ext)) {
						t.Errorf("%s%s is still there", id, ext)
					}
				}
			}
			// The log knows, and verifying agrees.
			rep, err := Verify(s.logDir(), s.spool())
			if err != nil || rep.Recordings != 2-tt.removed || rep.Removed != tt.removed {
				t.Errorf("%+v, %v", rep, err)
			}
			if n, err := s.expire(p, now); n != 0 || err != nil {
				t.Errorf("again: %d, %v", n, err)
			}
		})
	}
}

// A recording that is gone without a word is still missing.
func TestRetentionExcusesOnlyWhatItRemoved(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if err := os.Remove(s.file(sealed, recording.Ext)); err != nil {
		t.Fatal(err)
	}
	if n, err := s.expire(keeps(t, "tinker", "1d"), time.Now().Add(50*time.Hour)); n != 1 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	rep, err := Verify(s.logDir(), s.spool())
	if all, _ := mismatches(err); len(all) != 1 || all[0].Kind != Missing || all[0].ID != sealed || rep.Removed != 1 {
		t.Errorf("%+v, %v", rep, err)
	}
}

// A removal that a crash stops half-way has taken the key, and goes on later.
func TestRetentionHalfWay(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.log(func(log *audit.Log) {
		s.append(log, audit.Event{Type: audit.RecordingRemoved, Session: sealed, Recording: about(sealed, s.sealedEnd)})
	})
	if err := os.Remove(s.file(sealed, recording.KeyExt)); err != nil {
		t.Fatal(err)
	}
	if rep, err := Verify(s.logDir(), s.spool()); err != nil || rep.Recordings != 2 || rep.Removed != 0 {
		t.Errorf("half-way: %+v, %v", rep, err)
	}
	if n, err := s.expire(keeps(t, "tinker", "1d"), time.Now().Add(50*time.Hour)); n != 2 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	if rep, err := Verify(s.logDir(), s.spool()); err != nil || rep.Removed != 2 {
		t.Errorf("afterwards: %+v, %v", rep, err)
	}
}

// Without the log nothing is removed.
func TestRetentionWithoutALog(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	full := errors.New("no space left on device")
	n, err := Retention{Dir: s.spool(), Policy: keeps(t, "tinker", "1d"), Append: func(context.Context, ...audit.Event) error { return full }}.
		Remove(t.Context(), time.Now().Add(50*time.Hour))
	if n != 0 || !errors.Is(err, full) {
		t.Errorf("%d, %v", n, err)
	}
	if rep, err := Verify(s.logDir(), s.spool()); err != nil || rep.Recordings != 2 {
		t.Errorf("%+v, %v", rep, err)
	}
}

// It looks when it starts, and then every day, under the policy of the day.
func TestRetentionLooksEveryDay(t *testing.T) {
	s := newSite(t)
	never, always := keeps(t, "tinker", ""), keeps(t, "tinker", "1d")
	synctest.Test(t, func(t *testing.T) {
		// The bubble's clock starts in 2000, before the recordings ended.
		time.Sleep(time.Until(s.ended.Add(30 * 24 * time.Hour)))
		var p atomic.Pointer[policy.Policy]
		p.Store(never())
		told := make(chan int, 10)
		stop := Retention{
			Dir: s.spool(), Policy: p.Load,
			Append: func(context.Context, ...audit.Event) error { return nil },
			Told:   func(n int, err error) { told <- n },
		}.Start(t.Context())
		synctest.Wait()
		if len(told) != 0 {
			t.Error("something was removed that no lab wants removed")
		}
		p.Store(always())
		start := time.Now()
		if n := <-told; n != 2 || time.Since(start) != retentionEvery {
			t.Errorf("%d removed after %s", n, time.Since(start))
		}
		stop()
	})
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
