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
