//go:build linux

package evidence

import (
	"bytes"
	"context"
	"crypto/sha256"
	"slices"
	"strings"
	"testing"
	"time"

	"entry/audit"
	"entry/e2e/testkit"
	"entry/session/recording"
	"entry/session/recording/spool"
)

const day = 24 * time.Hour

// alarms are the events of a type in the log.
func (s *site) events(of audit.Type) (all []audit.Event) {
	s.t.Helper()
	for e, err := range audit.ScanWhole(s.logDir(), of) {
		testkit.Check(s.t, err)
		all = append(all, e)
	}
	return all
}

// reheader rewrites a recording's clear header as anybody can who writes the spool: the
// line, and the hash in front of the first segment, which isn't one that the log has.
func (s *site) reheader(id string, from, to string) {
	s.t.Helper()
	s.change(s.file(id, recording.Ext), func(b []byte) []byte {
		end := bytes.IndexByte(b, '\n') + 1
		hash := sha256.Sum256(b[:end])
		if !bytes.Equal(hash[:], b[end:end+32]) || !bytes.Contains(b[:end], []byte(from)) {
			s.t.Fatalf("no header, or without %s: %q", from, b[:end])
		}
		line := bytes.Replace(b[:end], []byte(from), []byte(to), 1)
		now := sha256.Sum256(line)
		return slices.Concat(line, now[:], b[end+32:])
	})
}

// Whose a recording is, and how old, the log says: a header that says otherwise, with its hash
// and all, gets it past no hold, no least time and no retention, nor into or out of an order. It
// is an alarm, once, and verifying names it.
func TestAHeaderDecidesNothing(t *testing.T) {
	t.Parallel()
	start := `"start":"20`
	for name, tt := range map[string]struct {
		from, to string
		order    Order
		left     bool // by the order
	}{
		"an older start":   {start, `"start":"10`, Order{Session: cut}, true},
		"another user":     {`"user":"alice"`, `"user":"malice"`, Order{User: "malice"}, true},
		"out of the order": {`"user":"alice"`, `"user":"malice"`, Order{User: "alice"}, true},
		"another lab":      {`"lab":"tinker"`, `"lab":"tailor"`, Order{Lab: "tailor"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.reheader(sealed, tt.from, tt.to)
			lab := "tinker"
			if strings.Contains(tt.to, "tailor") {
				lab = "tailor"
			}
			order := Erasure{Order: tt.order}
			order.ID, order.At, order.Stands = "k7q2mxab", s.ended.Add(time.Hour), s.ended.Add(time.Hour)
			s.ordered(order)
			found, err := s.removes(nil).Erasable(t.Context(), order.At, order)
			if want := tt.order.User == "alice"; err != nil || want != (found.Damaged == 1) {
				t.Errorf("found %+v, %v", found, err)
			}
			for range 2 {
				if _, err := s.erase(order.At, order); err != nil {
					t.Error(err)
				}
			}
			s.held = []Hold{{Order: Order{Session: cut}}}
			for range 2 {
				if _, err := s.expire(keepsFor(t, lab, "2d"), s.ended.Add(3*day)); err != nil {
					t.Error(err)
				}
			}
			if !exists(s.file(sealed, recording.Ext)) || !exists(s.file(sealed, recording.KeyExt)) {
				t.Fatal("it was removed")
			}
			if all := s.events(audit.AlarmRecording); len(all) != 1 || all[0].Session != sealed || all[0].User != "alice" || !strings.Contains(all[0].Detail, "header") {
				t.Errorf("alarms: %+v", all)
			}
			_, err = Verify(s.logDir(), s.spool())
			if all, _ := mismatches(err); len(all) != 1 || all[0].Kind != OtherHeader || all[0].ID != sealed {
				t.Errorf("verify: %v", err)
			}
		})
	}
}

// One that ends elsewhere than the log says, or that the log doesn't know, stays as well.
func TestRetentionKeepsWhatTheLogDoesntKnow(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.change(s.file(sealed, recording.Ext), func(b []byte) []byte { b[len(b)-1] ^= 1; return b })
	s.session(func(_ *audit.Log, open *spool.Spool) {
		testkit.Must(s.create(open, "01JQ8Z3M6Y0000000000000003", "alice").Close())(t)
	})
	if n, err := s.expire(keepsFor(t, "tinker", "1d"), s.ended.Add(40*day)); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if left := testkit.Must(recording.IDs(s.spool()))(t); len(left) != 2 || len(s.events(audit.AlarmRecording)) != 2 {
		t.Errorf("left: %q, %+v", left, s.events(audit.AlarmRecording))
	}
}

// A hold that the log has stands, whatever the database has lost; that is an alarm, and the
// database has it again.
func TestAHoldIsTheLogs(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	h := Hold{Order{ID: "f2lmpazu", User: "alice", Reason: "case 17"}}
	s.at(s.ended.Add(time.Hour), func(log *audit.Log) { s.append(log, h.Event(audit.HoldPlaced)) })
	var again []Hold
	look := func() (n int) {
		s.at(s.ended.Add(40*day), func(log *audit.Log) {
			r := s.removes(log.Append)
			r.Policy = keepsFor(t, "tinker", "1d")
			r.Lost = func(_ context.Context, h Hold) error { again = append(again, h); return nil }
			var err error
			if n, err = r.Remove(t.Context(), s.ended.Add(40*day)); err != nil {
				t.Error(err)
			}
		})
		return n
	}
	if n := look(); n != 1 || !exists(s.file(sealed, recording.Ext)) || len(again) != 1 || again[0].ID != h.ID || again[0].User != "alice" {
		t.Errorf("%d removed; placed again: %+v", n, again)
	}
	if all := s.events(audit.AlarmBehind); len(all) != 1 || all[0].Ref != h.ID {
		t.Errorf("%+v", all)
	}
	s.at(s.ended.Add(40*day), func(log *audit.Log) { s.append(log, h.Event(audit.HoldReleased)) })
	if n := look(); n != 1 || exists(s.file(sealed, recording.Ext)) {
		t.Errorf("released: %d removed", n)
	}
}

// What the database alone says was ordered isn't carried out; nor what no second operator has
// confirmed, by the log, where that is needed.
func TestAnErasureIsTheLogs(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	now := s.ended.Add(time.Hour)
	e := Erasure{Order: Order{ID: "zzzz9999", User: "alice", At: now}, Stands: now, Second: &audit.Actor{UID: 1002, LoginUID: 1002}}
	erase := func(two bool) (n int) {
		s.at(now, func(log *audit.Log) {
			r := s.removes(log.Append, e)
			r.NeedsTwo = two
			all, err := r.Erase(t.Context(), now)
			if n = all[e.ID]; err != nil {
				t.Error(err)
			}
		})
		return n
	}
	if n := erase(false); n != 0 {
		t.Errorf("without an order: %d removed", n)
	}
	waiting := e
	waiting.Stands = time.Time{}
	s.ordered(waiting)
	if n := erase(true) + erase(false); n != 0 {
		t.Errorf("without a second operator: %d removed", n)
	}
	s.at(now, func(log *audit.Log) {
		x := e.Event(audit.ErasureConfirmed)
		x.Actor = e.Second
		s.append(log, x)
	})
	if n := erase(true); n != 1 || exists(s.file(sealed, recording.Ext)) {
		t.Errorf("confirmed: %d removed", n)
	}
	if rep, err := Verify(s.logDir(), s.spool()); err != nil || rep.Erased != 1 {
		t.Errorf("%+v, %v", rep, err)
	}
}

// An order that is noted while recordings are removed counts from the next recording on.
func TestOrdersCountAtOnce(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]audit.Type{"a hold": audit.HoldPlaced, "a withdrawal": audit.ErasureWithdrawn} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			now := s.ended.Add(time.Hour)
			e := Erasure{Order: Order{ID: "k7q2mxab", Lab: "tinker", At: now}, Stands: now}
			s.ordered(e)
			s.at(now, func(log *audit.Log) {
				r := s.removes(log.Append, e)
				r.Append = func(ctx context.Context, all ...audit.Event) error {
					if err := log.Append(ctx, all...); err != nil || all[0].Type != audit.RecordingRemoved {
						return err
					}
					// As Note does once it has the lock, which the one that is being removed holds.
					noted := e.Event(of)
					s.append(log, noted)
					s.orders.since = append(s.orders.since, noted)
					return nil
				}
				if all, err := r.Erase(t.Context(), now); all[e.ID] != 1 || err != nil {
					t.Errorf("%v, %v", all, err)
				}
			})
			if left := testkit.Must(recording.IDs(s.spool()))(t); !slices.Equal(left, []string{cut}) {
				t.Errorf("left: %q", left)
			}
			if rep, err := Verify(s.logDir(), s.spool()); err != nil || rep.Erased != 1 {
				t.Errorf("%+v, %v", rep, err)
			}
		})
	}
}

// While one notes an order, in the log and in the database, no recording is removed.
func TestNotingWaits(t *testing.T) {
	t.Parallel()
	var o Orders
	free := func() bool {
		if o.step.TryLock() {
			o.step.Unlock()
			return true
		}
		return false
	}
	put, kept := false, false
	testkit.Check(t, o.Note(t.Context(), func(context.Context, ...audit.Event) error { put = !free(); return nil },
		audit.Event{Type: audit.HoldPlaced}, func() error { kept = !free(); return nil }))
	if !put || !kept || !free() || len(o.since) != 1 {
		t.Errorf("%v %v %+v", put, kept, o.since)
	}
}

// A removal that the log contradicts is named, with the recording gone and all.
func TestRemovalsContradicted(t *testing.T) {
	t.Parallel()
	s0 := newSite(t)
	later := s0.ended.Add(10 * day)
	for name, tt := range map[string]struct {
		before []audit.Event
		change func(*audit.Event)
		kind   Kind
		text   string
	}{
		"as another user's": {nil, func(e *audit.Event) { e.User = "malice" }, RemovedOther, "as one of user malice in lab tinker, but it was of user alice in lab tinker"},
		"as another lab's":  {nil, func(e *audit.Event) { e.Lab = "tailor" }, RemovedOther, "in lab tailor"},
		"another header":    {nil, func(e *audit.Event) { e.Recording.Header = strings.Repeat("ab", 32) }, RemovedOther, "with another header"},
		"too early":         {nil, func(e *audit.Event) { at := later.Add(time.Hour); e.Until = &at }, RemovedEarly, "had to be kept until"},
		"by another end":    {nil, func(e *audit.Event) { at := s0.ended.Add(-90 * day); e.Until = &at }, RemovedEarly, "before its session ended"},
		"held":              {[]audit.Event{Hold{Order{ID: "f2lmpazu", User: "alice"}}.Event(audit.HoldPlaced)}, func(*audit.Event) {}, RemovedHeld, "hold f2lmpazu on all of user alice kept it"},
		"by no order":       {nil, func(e *audit.Event) { e.Reason, e.Ref = audit.ReasonErasure, "zzzz9999" }, RemovedUnordered, "the log has no such order"},
		"unconfirmed": {[]audit.Event{{Type: audit.ErasureOrdered, Ref: "zzzz9999", User: "alice", Reason: audit.ReasonWaits}},
			func(e *audit.Event) { e.Reason, e.Ref = audit.ReasonErasure, "zzzz9999" }, RemovedUnordered, "no second operator had confirmed"},
		"of somebody else": {[]audit.Event{{Type: audit.ErasureOrdered, Ref: "zzzz9999", User: "bob"}},
			func(e *audit.Event) { e.Reason, e.Ref = audit.ReasonErasure, "zzzz9999" }, RemovedUnordered, "isn't about it"},
		"as it should be": {[]audit.Event{{Type: audit.ErasureOrdered, Ref: "zzzz9999", User: "alice"}}, func(e *audit.Event) {
			at := s0.ended.Add(5 * day)
			e.Reason, e.Ref, e.Until = audit.ReasonErasure, "zzzz9999", &at
		}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			e := audit.Event{Type: audit.RecordingRemoved, Session: sealed, User: "alice", Lab: "tinker", Reason: "retention", Recording: about(sealed, s.sealedEnd)}
			tt.change(&e)
			s.at(later, func(log *audit.Log) {
				for _, b := range append(tt.before, e) {
					s.append(log, b)
				}
			})
			testkit.Check(t, spool.Remove(s.spool(), sealed))
			_, err := Verify(s.logDir(), s.spool())
			all, others := mismatches(err)
			if tt.kind == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if len(all) != 1 || len(others) != 0 || all[0].Kind != tt.kind || all[0].ID != sealed || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("%v", err)
			}
		})
	}
}

// What the log drops while a hold stands, and says so, is named.
func TestDroppedWhileHeld(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	h := Hold{Order{ID: "f2lmpazu", User: "carol"}}
	s.log(func(log *audit.Log) {
		s.append(log, audit.Event{Type: audit.LogDropped, Count: 1})
		s.append(log, h.Event(audit.HoldPlaced))
		s.append(log, audit.Event{Type: audit.LogDropped, Count: 2})
		s.append(log, h.Event(audit.HoldReleased))
		s.append(log, audit.Event{Type: audit.LogDropped, Count: 3})
	})
	rep, err := Verify(s.logDir(), s.spool())
	if all, others := mismatches(err); len(all) != 1 || len(others) != 0 || all[0].Kind != DroppedHeld || !strings.Contains(err.Error(), "hold f2lmpazu on all of user carol stood") || rep.Recordings != 2 {
		t.Errorf("%+v, %v", rep, err)
	}
}
