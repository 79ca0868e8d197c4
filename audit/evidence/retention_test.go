//go:build linux

package evidence

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"entry/audit"
	"entry/e2e/testkit"
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
		n, err = Retention{Dir: s.spool(), Policy: p, Append: log.Append, Holds: s.holds, Least: s.least}.Remove(s.t.Context(), now)
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

// What a hold keeps stays, and where the holds aren't known everything does.
func TestHolds(t *testing.T) {
	t.Parallel()
	day := 24 * time.Hour
	unknown := errors.New("no such table")
	for name, tt := range map[string]struct {
		holds []Hold
		err   error
		least time.Duration
		left  []string
	}{
		"none":                     {nil, nil, 0, nil},
		"of a session":             {[]Hold{{Session: sealed}}, nil, 0, []string{sealed}},
		"of a user":                {[]Hold{{User: "bob"}}, nil, 0, []string{cut}},
		"of a lab":                 {[]Hold{{Lab: "tinker"}}, nil, 0, []string{sealed, cut}},
		"of others":                {[]Hold{{Lab: "otter"}, {User: "carol"}, {Session: "01JQ8Z3M6Y0000000000000003"}, {}}, nil, 0, nil},
		"two":                      {[]Hold{{User: "alice"}, {Session: cut}}, nil, 0, []string{sealed, cut}},
		"not known":                {nil, unknown, 0, []string{sealed, cut}},
		"kept at least for longer": {nil, nil, 100 * day, []string{sealed, cut}},
		"kept at least for less":   {nil, nil, 10 * day, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.held, s.heldErr, s.least = tt.holds, tt.err, tt.least
			if n, err := s.expire(keeps(t, "tinker", "30d"), s.ended.Add(50*day)); n != 2-len(tt.left) || !errors.Is(err, tt.err) {
				t.Errorf("%d removed, %v", n, err)
			}
			if left := testkit.Must(recording.IDs(s.spool()))(t); !slices.Equal(left, tt.left) {
				t.Errorf("left: %q", left)
			}
			if rep, err := Verify(s.logDir(), s.spool()); err != nil || rep.Recordings != len(tt.left) {
				t.Errorf("%+v, %v", rep, err)
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
	n, err := Retention{Dir: s.spool(), Policy: keeps(t, "tinker", "1d"), Append: func(context.Context, ...audit.Event) error { return full }, Holds: s.holds}.
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
			Holds: s.holds,
			Dir:   s.spool(), Policy: p.Load,
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
