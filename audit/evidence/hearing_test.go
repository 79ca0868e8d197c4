//go:build linux

package evidence

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"entry/audit"
	"entry/audit/segment"
	"entry/e2e/testkit"
	"entry/session/recording"
	"entry/session/recording/spool"
)

// rolled has each of f append to a segment of its own, the last of which is the written one,
// and returns the log. What newSite wrote is in the first.
func (s *site) rolled(f ...func(*audit.Log)) *audit.Log {
	s.t.Helper()
	log := testkit.Must(audit.Open(s.logDir(), audit.Options{Key: s.signer, Now: s.clock, Segment: 1}))(s.t)
	s.t.Cleanup(func() { testkit.Check(s.t, log.Close()) })
	for _, f := range f {
		f(log)
	}
	s.append(log, audit.Event{Type: audit.ServerStarted})
	return log
}

// segmentOf is the file of the sealed segment that has those bytes.
func (s *site) segmentOf(text string) string {
	s.t.Helper()
	for _, path := range testkit.Must(filepath.Glob(filepath.Join(s.logDir(), "events-*")))(s.t) {
		if bytes.Contains(testkit.Must(os.ReadFile(path))(s.t), []byte(text)) {
			return path
		}
	}
	s.t.Fatalf("no sealed segment has %s", text)
	return ""
}

// removing removes what the order, or without one retention after two days, lets it, at a time.
func (s *site) removing(log *audit.Log, now time.Time, orders ...Erasure) (n int, err error) {
	s.t.Helper()
	r := s.removes(log.Append, orders...)
	r.Signed, r.Policy = log.Position, keepsFor(s.t, "tinker", "2d")
	if len(orders) == 0 {
		return r.Remove(s.t.Context(), now)
	}
	all, err := r.Erase(s.t.Context(), now)
	for _, of := range all {
		n += of
	}
	return n, err
}

// A sealed file that is changed for a moment, and put back before anybody verifies, decides
// nothing: not on a hold, not on when a session ended.
func TestAChangeForAMomentDecidesNothing(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		of, from, to string
		after        time.Duration
		erased       bool
	}{
		"whom a hold is on": {`"hold.placed"`, `"user":"alice"`, `"user":"alicf"`, 3 * day, true},
		"when it ended":     {`"session.ended"`, `"time":"20`, `"time":"19`, time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			now := s.ended.Add(tt.after)
			s.now = now
			order := Erasure{Order: Order{ID: "k7q2mxab", Session: sealed, At: now}, Stands: now}
			var orders []Erasure
			log := s.rolled(func(log *audit.Log) {
				if tt.erased {
					s.append(log, Hold{Order{ID: "f2lmpazu", User: "alice"}}.Event(audit.HoldPlaced))
					s.append(log, order.Event(audit.ErasureOrdered))
					orders = append(orders, order)
				}
			})
			path := s.segmentOf(tt.of)
			was := testkit.Must(os.ReadFile(path))(t)
			lines := bytes.SplitAfter(was, []byte("\n"))
			for i, l := range lines {
				if bytes.Contains(l, []byte(tt.of)) {
					lines[i] = bytes.Replace(l, []byte(tt.from), []byte(tt.to), 1)
				}
			}
			testkit.Check(t, os.WriteFile(path, bytes.Join(lines, nil), 0o600))
			if n, err := s.removing(log, now, orders...); n != 0 || !errors.Is(err, audit.ErrUnproven) {
				t.Errorf("%d removed, %v", n, err)
			}
			testkit.Check(t, os.WriteFile(path, was, 0o600))
			if n, err := s.removing(log, now, orders...); n != 0 || err != nil {
				t.Errorf("put back: %d removed, %v", n, err)
			}
			if !exists(s.file(sealed, recording.Ext)) || !exists(s.file(sealed, recording.KeyExt)) {
				t.Error("it was removed")
			}
		})
	}
}

// Each record is read once: what was heard stands, whatever becomes of the files. What comes
// later is heard as well.
func TestHearingGoesOn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	h := Hold{Order{ID: "f2lmpazu", User: "alice"}}
	s.now = s.ended.Add(3 * day)
	log := s.rolled(func(log *audit.Log) { s.append(log, h.Event(audit.HoldPlaced)) })
	if n, err := s.removing(log, s.now); n != 1 || err != nil {
		t.Fatalf("bob's: %d removed, %v", n, err)
	}
	for _, path := range testkit.Must(filepath.Glob(filepath.Join(s.logDir(), "events-*")))(t) {
		testkit.Check(t, os.Rename(path, filepath.Join(s.dir, filepath.Base(path))))
	}
	if n, err := s.removing(log, s.now); n != 0 || err != nil {
		t.Fatalf("with the hold's segment away: %d removed, %v", n, err)
	}
	s.append(log, h.Event(audit.HoldReleased))
	if n, err := s.removing(log, s.now); n != 1 || err != nil {
		t.Errorf("released: %d removed, %v", n, err)
	}
}

// A recording whose start is in records that aren't here stays, since nothing shows that its
// header is true; once they are back it goes.
func TestWithoutItsStartItStays(t *testing.T) {
	t.Parallel()
	for _, user := range []string{"alice", ""} { // as the end says
		withoutItsStart(t, user)
	}
}

func withoutItsStart(t *testing.T, user string) {
	s := newSite(t)
	const id = "01JQ8Z3M6Y0000000000000003"
	s.session(func(log *audit.Log, open *spool.Spool) {
		w := s.begin(log, open, id, "alice")
		sum := testkit.Must(w.Close())(t)
		s.sealedEnd = sum
	})
	s.now = s.ended.Add(time.Hour)
	log := s.rolled(func(log *audit.Log) {
		s.append(log, audit.Event{Type: audit.SessionEnded, Session: id, User: user, Recording: about(id, s.sealedEnd)})
	})
	s.reheader(id, `"user":"alice"`, `"user":"malice"`)
	first := filepath.Join(s.logDir(), segment.Name(1))
	testkit.Check(t, os.Rename(first, filepath.Join(s.dir, "away")))
	s.held = []Hold{{Order: Order{User: "alice"}}}
	s.now = s.ended.Add(4 * day)
	if n, err := s.removing(log, s.now); n != 0 || err != nil {
		t.Errorf("held: %d removed, %v", n, err)
	}
	s.held = nil
	if n, err := s.removing(log, s.now); n != 0 || err != nil {
		t.Errorf("%d removed, %v", n, err)
	}
	s.reheader(id, `"user":"malice"`, `"user":"alice"`)
	testkit.Check(t, os.Rename(filepath.Join(s.dir, "away"), first))
	if n, err := s.removing(log, s.now); n != 3 || err != nil {
		t.Errorf("put back: %d removed, %v", n, err)
	}
}

// A hold that only records say which aren't here doesn't count where the database lost it: a
// removal has how many weren't, and verifying says so. What the log dropped isn't meant.
func TestARemovalSaysWhatItDidntHear(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.now = s.ended.Add(3 * day)
	log := s.rolled(func(log *audit.Log) {
		s.append(log, Hold{Order{ID: "f2lmpazu", User: "alice"}}.Event(audit.HoldPlaced))
	})
	path := s.segmentOf(`"hold.placed"`)
	first, _ := segment.First(filepath.Base(path))
	missing := int(log.Position().Size - first - 1) // and two in the segment that is written
	testkit.Check(t, os.Rename(path, filepath.Join(s.dir, "away")))
	if n, err := s.removing(log, s.now); n != 2 || err != nil {
		t.Fatalf("%d removed, %v", n, err)
	}
	rep, err := Verify(s.logDir(), s.spool())
	if err != nil || rep.Unheard != 2 || !strings.Contains(rep.String(), "; 2 of those while records of the log weren't here") {
		t.Errorf("%v, %v", rep, err)
	}
	testkit.Check(t, os.Rename(filepath.Join(s.dir, "away"), path))
	_, err = Verify(s.logDir(), s.spool())
	if bad, _ := mismatches(err); len(bad) != 1 || bad[0].Kind != RemovedHeld {
		t.Errorf("put back: %v", err)
	}
	if all := s.events(audit.RecordingRemoved); len(all) != 2 || all[0].Count != missing || all[1].Count != missing {
		t.Errorf("%d missing: %+v", missing, all)
	}

	var a absences
	a.event(audit.Event{}, &segment.Absent{From: 1, To: 7})
	a.event(audit.Event{}, &segment.Absent{From: 9, To: 12})
	if a.drop(7); a.missing() != 4 {
		t.Errorf("%d", a.missing())
	}
}

// A recording that comes back into the spool is asked about.
func TestARecordingThatComesBack(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	away := filepath.Join(s.dir, "away")
	testkit.Check(t, os.Rename(s.file(sealed, recording.Ext), away))
	s.now = s.ended.Add(time.Hour)
	log := s.rolled()
	if _, err := s.removing(log, s.now); err != nil {
		t.Fatal(err)
	}
	testkit.Check(t, os.Rename(away, s.file(sealed, recording.Ext)))
	s.now = s.ended.Add(3 * day)
	if n, err := s.removing(log, s.now); n != 2 || err != nil || len(s.events(audit.AlarmRecording)) != 0 {
		t.Errorf("%d removed, %v, alarms %+v", n, err, s.events(audit.AlarmRecording))
	}
}

// BenchmarkLooks is each look at a log of many records, but for the first.
func BenchmarkLooks(b *testing.B) {
	dir := b.TempDir()
	signer, _, err := audit.GenerateKey("entry.test")
	testkit.Check(b, err)
	log := testkit.Must(audit.Open(dir, audit.Options{Key: signer}))(b)
	defer func() { testkit.Check(b, log.Close()) }()
	const events = 1_000_000
	some := make([]audit.Event, 1000)
	for i := range some {
		some[i] = audit.Event{Type: audit.ChannelClosed, Session: sealed, User: "alice", Source: "192.0.2.7:49152", Target: "home.tinker", Lab: "tinker", Coverage: "recorded", BytesDown: int64(i)}
	}
	for range events / len(some) {
		testkit.Check(b, log.Append(context.Background(), some...))
	}
	signed := func() (audit.Position, error) { return log.Position(), nil }
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			testkit.Must(new(hearing).listen(dir, signed, []string{sealed}))(b)
		}
	})
	b.Run("later", func(b *testing.B) {
		var h hearing
		testkit.Must(h.listen(dir, signed, []string{sealed}))(b)
		for b.Loop() {
			testkit.Check(b, log.Append(context.Background(), some[0]))
			testkit.Must(h.listen(dir, signed, []string{sealed}))(b)
		}
	})
}
