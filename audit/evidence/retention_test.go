//go:build linux

package evidence

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"entry/audit"
	"entry/e2e/testkit"
	"entry/policy"
	"entry/policy/strict"
	"entry/session/recording"
	"entry/session/recording/spool"
)

// keepsFor is a policy under which lab keeps recordings for so many days; "" says
// nothing about it.
func keepsFor(t *testing.T, lab, retention string) func() *policy.Policy {
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

// at has f append to the log at that time, unless that is before what it has.
func (s *site) at(now time.Time, f func(*audit.Log)) {
	s.t.Helper()
	if now.After(s.ended) {
		s.now = now
		defer func() { s.now = time.Time{} }()
	}
	s.log(f)
}

// expire runs the daily job as it would run at now.
func (s *site) expire(p func() *policy.Policy, now time.Time) (n int, err error) {
	s.t.Helper()
	s.at(now, func(log *audit.Log) {
		r := s.removes(log.Append)
		r.Policy = p
		n, err = r.Remove(s.t.Context(), now)
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
			p, now := keepsFor(t, tt.lab, tt.retention), s.ended.Add(tt.after)
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
		"of a session":             {[]Hold{{Order: Order{Session: sealed}}}, nil, 0, []string{sealed}},
		"of a user":                {[]Hold{{Order: Order{User: "bob"}}}, nil, 0, []string{cut}},
		"of a lab":                 {[]Hold{{Order: Order{Lab: "tinker"}}}, nil, 0, []string{sealed, cut}},
		"of others":                {[]Hold{{Order: Order{Lab: "otter"}}, {Order: Order{User: "carol"}}, {Order: Order{Session: "01JQ8Z3M6Y0000000000000003"}}, {}}, nil, 0, nil},
		"two":                      {[]Hold{{Order: Order{User: "alice"}}, {Order: Order{Session: cut}}}, nil, 0, []string{sealed, cut}},
		"not known":                {nil, unknown, 0, []string{sealed, cut}},
		"kept at least for longer": {nil, nil, 100 * day, []string{sealed, cut}},
		"kept at least for less":   {nil, nil, 10 * day, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.held, s.heldErr, s.least = tt.holds, tt.err, tt.least
			if n, err := s.expire(keepsFor(t, "tinker", "30d"), s.ended.Add(50*day)); n != 2-len(tt.left) || !errors.Is(err, tt.err) {
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
	if n, err := s.expire(keepsFor(t, "tinker", "1d"), time.Now().Add(50*time.Hour)); n != 1 || err != nil {
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
		s.append(log, audit.Event{Type: audit.RecordingRemoved, Session: sealed, User: "alice", Lab: "tinker", Recording: about(sealed, s.sealedEnd)})
	})
	if err := os.Remove(s.file(sealed, recording.KeyExt)); err != nil {
		t.Fatal(err)
	}
	if rep, err := Verify(s.logDir(), s.spool()); err != nil || rep.Recordings != 1 || rep.Removed != 1 || rep.Leftover != 1 || !strings.Contains(rep.String(), "1 removed after their lab's retention; of 1 of those files are left without a key") {
		t.Errorf("half-way: %+v, %v", rep, err)
	}
	if n, err := s.expire(keepsFor(t, "tinker", "1d"), time.Now().Add(50*time.Hour)); n != 2 || err != nil {
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
	n, err := Retention{Dir: s.spool(), Log: s.logDir(), Orders: &s.orders, Policy: keepsFor(t, "tinker", "1d"), Append: func(context.Context, ...audit.Event) error { return full }, Holds: s.holds}.
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
	never, always := keepsFor(t, "tinker", ""), keepsFor(t, "tinker", "1d")
	synctest.Test(t, func(t *testing.T) {
		// The bubble's clock starts in 2000, before the recordings ended.
		time.Sleep(time.Until(s.ended.Add(30 * 24 * time.Hour)))
		var p atomic.Pointer[policy.Policy]
		p.Store(never())
		told := make(chan int, 10)
		stop := Retention{
			Holds: s.holds, Log: s.logDir(), Orders: &s.orders,
			Dir: s.spool(), Policy: p.Load,
			Erasures: func(context.Context) ([]Erasure, error) { return nil, nil },
			Append:   func(context.Context, ...audit.Event) error { return nil },
			Told:     func(_ string, n int, err error) { told <- n },
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

// erase carries out orders as they would be at now.
func (s *site) erase(now time.Time, orders ...Erasure) (n int, err error) {
	s.t.Helper()
	s.at(now, func(log *audit.Log) { n, err = s.erases(log, now, orders...) })
	return n, err
}

func (s *site) erases(log *audit.Log, now time.Time, orders ...Erasure) (n int, err error) {
	all, err := s.removes(log.Append, orders...).Erase(s.t.Context(), now)
	for _, of := range all {
		n += of
	}
	return n, err
}

// ordered has the log say what an order says, at its time.
func (s *site) ordered(e Erasure) {
	s.t.Helper()
	s.at(e.At, func(log *audit.Log) {
		x := e.Event(audit.ErasureOrdered)
		if e.Stands.IsZero() {
			x.Reason = audit.ReasonWaits
		}
		if e.At.Before(s.ended) {
			x.Until = &e.At
		}
		s.append(log, x)
	})
}

func (s *site) removes(to func(context.Context, ...audit.Event) error, orders ...Erasure) Retention {
	return Retention{Dir: s.spool(), Log: s.logDir(), Orders: &s.orders, Append: to, Holds: s.holds, Least: s.least,
		Erasures: func(context.Context) ([]Erasure, error) { return orders, nil }}
}

// An order removes what it is about, once it stands and as long as it lasts, and leaves
// what may not be removed. The log knows why each is gone.
func TestErase(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	const day = 24 * time.Hour
	now := s.ended.Add(2 * day)
	stands := func(e Erasure) Erasure {
		e.ID, e.Reason, e.At, e.Stands = "k7q2mxab", "request 44", now, now
		return e
	}
	older := stands(Erasure{Order: Order{User: "alice"}})
	older.At = s.ended.Add(-10 * day)
	waits := stands(Erasure{Order: Order{Lab: "tinker"}})
	waits.Stands = time.Time{}
	for name, tt := range map[string]struct {
		order Erasure
		after time.Duration
		holds []Hold
		least time.Duration
		left  []string
		found Erasable
	}{
		"a session":              {order: stands(Erasure{Order: Order{Session: sealed}}), left: []string{cut}, found: Erasable{Recordings: 1}},
		"a user":                 {order: stands(Erasure{Order: Order{User: "bob"}}), left: []string{sealed}, found: Erasable{Recordings: 1}},
		"a lab":                  {order: stands(Erasure{Order: Order{Lab: "tinker"}}), found: Erasable{Recordings: 2}},
		"nobody":                 {order: stands(Erasure{}), left: []string{sealed, cut}},
		"another":                {order: stands(Erasure{Order: Order{User: "carol"}}), left: []string{sealed, cut}},
		"what began later":       {order: older, left: []string{sealed, cut}},
		"waits":                  {order: waits, left: []string{sealed, cut}, found: Erasable{Recordings: 2}},
		"over":                   {order: stands(Erasure{Order: Order{Lab: "tinker"}}), after: ErasureLasts, left: []string{sealed, cut}, found: Erasable{Recordings: 2}},
		"on its last day":        {order: stands(Erasure{Order: Order{Lab: "tinker"}}), after: ErasureLasts - time.Hour, found: Erasable{Recordings: 2}},
		"held":                   {order: stands(Erasure{Order: Order{Lab: "tinker"}}), holds: []Hold{{Order: Order{User: "alice"}}}, left: []string{sealed}, found: Erasable{Recordings: 1, Held: 1}},
		"younger than the least": {order: stands(Erasure{Order: Order{Lab: "tinker"}}), least: 3 * day, left: []string{sealed, cut}, found: Erasable{Young: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.held, s.least = tt.holds, tt.least
			s.ordered(tt.order)
			found, err := s.removes(nil).Erasable(t.Context(), now.Add(tt.after), tt.order)
			found.First, found.Last = time.Time{}, time.Time{}
			if err != nil || found != tt.found {
				t.Errorf("found %+v, %v", found, err)
			}
			if n, err := s.erase(now.Add(tt.after), tt.order); n != 2-len(tt.left) || err != nil {
				t.Errorf("%d removed, %v", n, err)
			}
			if left := testkit.Must(recording.IDs(s.spool()))(t); !slices.Equal(left, tt.left) {
				t.Errorf("left: %q", left)
			}
			if n, err := s.erase(now.Add(tt.after), tt.order); n != 0 || err != nil {
				t.Errorf("once more: %d, %v", n, err)
			}
			if rep, err := Verify(s.logDir(), s.spool()); err != nil || rep.Recordings != len(tt.left) || rep.Erased != 2-len(tt.left) || rep.Removed != 0 {
				t.Errorf("%+v, %v", rep, err)
			}
		})
	}
}

// One that a crash stops half-way has taken the key; it goes on later, and its copy that
// is put back is named.
func TestEraseHalfWay(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	key := testkit.Must(os.ReadFile(s.file(sealed, recording.KeyExt)))(t)
	data := testkit.Must(os.ReadFile(s.file(sealed, recording.Ext)))(t)
	now := time.Now().Add(time.Hour)
	order := Erasure{Order: Order{ID: "k7q2mxab", User: "alice", At: now}, Stands: now}
	s.ordered(order)
	s.at(now, func(log *audit.Log) {
		s.append(log, audit.Event{Type: audit.RecordingRemoved, Session: sealed, User: "alice", Lab: "tinker", Ref: order.ID, Reason: audit.ReasonErasure, Recording: about(sealed, s.sealedEnd)})
	})
	testkit.Check(t, os.Remove(s.file(sealed, recording.KeyExt)))
	if n, err := s.erase(now, order); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if rep, err := Verify(s.logDir(), s.spool()); err != nil || rep.Recordings != 1 || rep.Erased != 1 {
		t.Errorf("%+v, %v", rep, err)
	}
	testkit.Check(t, os.WriteFile(s.file(sealed, recording.KeyExt), key, 0o600))
	_, err := Verify(s.logDir(), s.spool())
	if all, _ := mismatches(err); len(all) != 1 || all[0].Kind != StillThere || !strings.Contains(err.Error(), "but its key is there") {
		t.Errorf("its key alone put back: %v", err)
	}
	testkit.Check(t, os.WriteFile(s.file(sealed, recording.Ext), data, 0o600))
	_, err = Verify(s.logDir(), s.spool())
	if all, _ := mismatches(err); len(all) != 1 || all[0].Kind != StillThere || all[0].ID != sealed {
		t.Errorf("put back: %v", err)
	}
}

// What still runs stays, and is removed once it has ended.
func TestEraseLeavesWhatRuns(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	const id = "01JQ8Z3M6Y0000000000000003"
	s.session(func(log *audit.Log, open *spool.Spool) {
		w := s.begin(log, open, id, "alice")
		testkit.Check(t, w.Frame(recording.Output, 0, []byte("still here\n")))
		now := time.Now().Add(time.Hour)
		order := Erasure{Order: Order{ID: "k7q2mxab", User: "alice", At: now}, Stands: now}
		s.append(log, order.Event(audit.ErasureOrdered))
		r := s.removes(log.Append, order)
		if found, err := r.Erasable(t.Context(), now, order); err != nil || found.Live != 1 || found.Recordings != 1 {
			t.Errorf("%+v, %v", found, err)
		}
		if n, err := s.erases(log, now, order); n != 1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		sum := testkit.Must(w.Close())(t)
		s.append(log, audit.Event{Type: audit.SessionEnded, Session: id, Recording: about(id, sum)})
		if n, err := s.erases(log, now, order); n != 1 || err != nil {
			t.Errorf("after its end: %d, %v", n, err)
		}
	})
	if left := testkit.Must(recording.IDs(s.spool()))(t); !slices.Equal(left, []string{cut}) {
		t.Errorf("left: %q", left)
	}
}
