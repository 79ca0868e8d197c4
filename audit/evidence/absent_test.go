//go:build linux

package evidence

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"entry/audit"
	"entry/audit/segment"
	"entry/e2e/testkit"
	"entry/session/recording"
	"entry/session/recording/spool"
)

// TestRecordsThatAreNotHere: where the segment of the log that knows recordings was moved
// away, they can't be held against it, and nothing is said against them; what they are
// wrong in by themselves, and what those records can't excuse, is named as ever.
func TestRecordsThatAreNotHere(t *testing.T) {
	s := newSite(t)
	log := testkit.Must(audit.Open(s.logDir(), audit.Options{Key: s.signer, Segment: 1}))(t)
	s.append(log, audit.Event{Type: audit.ServerStarted}) // the first one of the next segment
	testkit.Check(t, log.Close())
	old := filepath.Join(s.logDir(), segment.Name(1))
	testkit.Check(t, os.Rename(old, filepath.Join(s.dir, "away")))

	rep, err := Verify(s.logDir(), s.spool())
	if err != nil || rep.Unjudged != 2 || rep.Recordings != 0 {
		t.Errorf("%+v, %v", rep, err)
	}
	info := testkit.Must(recording.Stat(s.spool(), sealed))(t)
	if v, err := VerifyOne(s.logDir(), s.spool(), info); err != nil || v.Against != AbsentLog || v.Against.String() == "" {
		t.Errorf("%v, %v", v.Against, err)
	}
	notes := testkit.Must(ReadNotes(s.logDir()))(t)
	if lacks := notes.Lacks([]recording.Info{info}); len(lacks) != 1 || lacks[0].From != 1 {
		t.Errorf("it lacks %v", lacks)
	}
	if notes.LacksOf(sealed) == nil || notes.LacksOf("no ID") != nil {
		t.Errorf("of one session %v", notes.LacksOf(sealed))
	}
	if _, n := notes.Of(info); n.Coverage != "" {
		t.Errorf("what nobody knows of it is %q", n.Coverage)
	}
	coverage := 0
	for _, err := range Coverage(s.logDir(), time.Time{}) {
		if audit.Told(err) {
			coverage++
		}
	}
	if coverage != 1 {
		t.Errorf("coverage says %d times what isn't here", coverage)
	}

	// One that says that it is younger than those records is in none of them.
	s.ended = time.Now().Add(time.Hour)
	later := info.ID[:len(info.ID)-1] + "9"
	open := testkit.Must(spool.Open(spool.Options{Dir: s.spool(), Now: func() time.Time { return s.ended }, Commit: func(context.Context, recording.Tick) error { return nil }}))(t)
	testkit.Must(s.create(open, later, "mallory").Close())(t)
	testkit.Check(t, open.Close())
	s.change(s.file(sealed, ".rec"), func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
	rep, err = Verify(s.logDir(), s.spool())
	bad, others := mismatches(err)
	kinds := map[string]Kind{}
	for _, m := range bad {
		kinds[m.ID] = m.Kind
	}
	if len(others) > 0 || len(bad) != 2 || kinds[later] != Unknown || kinds[sealed] != Broken || rep.Unjudged != 1 {
		t.Errorf("%+v, %v", rep, err)
	}

	// Put back, it is as if nothing had been.
	testkit.Check(t, os.Rename(filepath.Join(s.dir, "away"), old))
	if rep, err := Verify(s.logDir(), s.spool()); rep.Recordings != 1 || rep.Unjudged != 0 || err == nil {
		t.Errorf("put back: %+v, %v", rep, err)
	}
}

// TestLaterSegmentsExcuseNothing: that a later segment isn't here is no reason for a
// recording to be missing, or to have another key, unless whoever verifies says so.
func TestLaterSegmentsExcuseNothing(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(s *site)
		kind Kind
	}{
		"deleted": {func(s *site) {
			testkit.Check(s.t, os.Remove(s.file(sealed, recording.Ext)))
			testkit.Check(s.t, os.Remove(s.file(sealed, recording.KeyExt)))
		}, Missing},
		"without its key": {func(s *site) { testkit.Check(s.t, os.Remove(s.file(sealed, recording.KeyExt))) }, MissingKey},
		"with another's key": {func(s *site) {
			other := testkit.Must(os.ReadFile(s.file(cut, recording.KeyExt)))(s.t)
			s.change(s.file(sealed, recording.KeyExt), func([]byte) []byte { return other })
		}, OtherKey},
	} {
		s := newSite(t)
		for range 3 {
			log := testkit.Must(audit.Open(s.logDir(), audit.Options{Key: s.signer, Segment: 1}))(t)
			s.append(log, audit.Event{Type: audit.ServerStarted})
			testkit.Check(t, log.Close())
		}
		files := testkit.Must(filepath.Glob(filepath.Join(s.logDir(), "events-*")))(t)
		from, _ := segment.First(files[1])
		end, _ := segment.First(files[2])
		testkit.Check(t, os.Remove(files[1]))
		if rep, err := Verify(s.logDir(), s.spool()); err != nil || rep.Recordings != 2 {
			t.Errorf("%s, before: %+v, %v", name, rep, err)
		}
		c.do(s)
		away := segment.Absent{From: from, To: end - 1}
		for _, accepted := range [][]segment.Absent{nil, {{From: from + 1, To: 1 << 40}}} {
			_, err := Verify(s.logDir(), s.spool(), accepted...)
			bad, others := mismatches(err)
			if len(bad) != 1 || len(others) > 0 || bad[0].Kind != c.kind || !slices.Equal(bad[0].Perhaps, []segment.Absent{away}) || !strings.HasSuffix(err.Error(), "; "+away.Error()+", and may say why") {
				t.Errorf("%s, accepted %v: %v", name, accepted, err)
			}
		}
		if rep, err := Verify(s.logDir(), s.spool(), away); err != nil || rep.Recordings != 1 || rep.Unjudged != 1 {
			t.Errorf("%s, accepted: %+v, %v", name, rep, err)
		}
	}
}

// TestEndThatIsNotHere: where a session's end was moved away, its recording may have been
// cut since: nothing says where it has to end.
func TestEndThatIsNotHere(t *testing.T) {
	s := newSite(t)
	const third = "01JQ8Z3M6Y0000000000000003"
	next := func() *audit.Log {
		return testkit.Must(audit.Open(s.logDir(), audit.Options{Key: s.signer, Segment: 1}))(t)
	}
	open := testkit.Must(spool.Open(spool.Options{Dir: s.spool(), Now: func() time.Time { return s.ended }, Commit: func(context.Context, recording.Tick) error { return nil }}))(t)
	log := next()
	w := s.begin(log, open, third, "carol")
	sum := testkit.Must(w.Close())(t)
	testkit.Check(t, log.Close())
	testkit.Check(t, open.Close())
	log = next()
	s.append(log, audit.Event{Type: audit.SessionEnded, Session: third, Recording: about(third, sum)})
	testkit.Check(t, log.Close())
	log = next()
	s.append(log, audit.Event{Type: audit.ServerStarted})
	testkit.Check(t, log.Close())
	if rep, err := Verify(s.logDir(), s.spool()); err != nil || rep.Recordings != 3 {
		t.Errorf("%+v, %v", rep, err)
	}
	files := testkit.Must(filepath.Glob(filepath.Join(s.logDir(), "events-*")))(t)
	testkit.Check(t, os.Remove(files[len(files)-1]))
	if rep, err := Verify(s.logDir(), s.spool()); err != nil || rep.Recordings != 2 || rep.Unjudged != 1 {
		t.Errorf("its end away: %+v, %v", rep, err)
	}
}

// That a recording was removed while a hold stood, or by no order, is no less so because some
// segment isn't here: only one in which the hold may have been released, or the order given,
// could say why, and that has to be accepted. The segment behind it says whether a hold stands.
func TestSegmentsElsewhereExcuseNoRemoval(t *testing.T) {
	hold := Hold{Order{ID: "f2lmpazu", User: "alice"}}.Event(audit.HoldPlaced)
	for name, tt := range map[string]struct {
		before []audit.Event // each in a segment of its own, behind the site's own first
		away   int           // which segment
		reason string
		kind   Kind // unless accepted
		why    bool
	}{
		"before the hold":             {[]audit.Event{hold}, 0, "retention", RemovedHeld, false},
		"behind the hold":             {[]audit.Event{hold, {Type: audit.ServerStarted}}, 2, "retention", RemovedHeld, false},
		"without the order":           {[]audit.Event{{Type: audit.ServerStarted}}, 2, audit.ReasonErasure, RemovedUnordered, true},
		"long before any order of it": {[]audit.Event{{Type: audit.ServerStarted}}, 0, audit.ReasonErasure, RemovedUnordered, false},
	} {
		s := newSite(t)
		s.now = s.ended.Add(40 * day)
		log := testkit.Must(audit.Open(s.logDir(), audit.Options{Key: s.signer, Now: s.clock, Segment: 1}))(t)
		for _, e := range append(tt.before, audit.Event{Type: audit.SessionReviewed, Session: sealed},
			audit.Event{Type: audit.RecordingRemoved, Session: sealed, User: "alice", Lab: "tinker", Reason: tt.reason, Ref: "zzzz9999", Recording: about(sealed, s.sealedEnd)}, audit.Event{Type: audit.ServerStarted}) {
			s.append(log, e)
			s.now = s.now.Add(40 * day)
		}
		testkit.Check(t, log.Close())
		testkit.Check(t, spool.Remove(s.spool(), sealed))
		files := testkit.Must(filepath.Glob(filepath.Join(s.logDir(), "events-*")))(t)
		from, _ := segment.First(files[tt.away])
		end, _ := segment.First(files[tt.away+1])
		testkit.Check(t, os.Remove(files[tt.away]))
		_, err := Verify(s.logDir(), s.spool())
		bad, others := mismatches(err)
		var kinds []Kind
		for _, m := range bad {
			kinds = append(kinds, m.Kind)
			if m.Kind == tt.kind && (len(m.Perhaps) > 0) != tt.why {
				t.Errorf("%s: perhaps %v", name, m.Perhaps)
			}
		}
		if !slices.Contains(kinds, tt.kind) || len(others) > 0 {
			t.Errorf("%s: %v", name, err)
		}
		_, err = Verify(s.logDir(), s.spool(), segment.Absent{From: from, To: end - 1})
		bad, _ = mismatches(err)
		if tt.why && len(bad) > 0 {
			t.Errorf("%s, accepted: %v", name, err)
		}
	}
}

// A recording from a time whose records were dropped is named: the log would have kept them
// for it.
func TestRecordingsFromDroppedTimes(t *testing.T) {
	s := newSite(t)
	s.now = s.ended.Add(100 * day)
	log := testkit.Must(audit.Open(s.logDir(), audit.Options{Key: s.signer, Now: s.clock, Segment: 1}))(t)
	s.append(log, audit.Event{Type: audit.ServerStarted})
	next := log.Position().Size
	s.append(log, audit.Event{Type: audit.ServerStarted})
	first := filepath.Join(s.logDir(), segment.Name(1))
	second, _ := segment.First(testkit.Must(filepath.Glob(filepath.Join(s.logDir(), "events-*")))(t)[1])
	testkit.Check(t, os.Remove(first))
	if rep, err := Verify(s.logDir(), s.spool()); err != nil || rep.Unjudged != 2 || next < second {
		t.Fatalf("moved away: %+v, %v", rep, err)
	}
	s.append(log, audit.Event{Type: audit.LogDropped, Count: int(second - 1)})
	testkit.Check(t, log.Close())
	_, err := Verify(s.logDir(), s.spool())
	bad, others := mismatches(err)
	if len(bad) != 2 || len(others) != 0 || bad[0].Kind != Unknown || !strings.Contains(err.Error(), "dropped too early, or it was put back since") {
		t.Errorf("%v", err)
	}
	for _, id := range []string{sealed, cut} {
		testkit.Check(t, spool.Remove(s.spool(), id))
	}
	if rep, err := Verify(s.logDir(), s.spool()); err != nil || rep.Recordings != 0 {
		t.Errorf("without them: %+v, %v", rep, err)
	}
}
