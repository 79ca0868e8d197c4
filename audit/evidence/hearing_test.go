//go:build linux

package evidence

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

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

// A hold stands also where the segment isn't here that placed it, and the database lost it:
// the segments since carry it. One whose release isn't here doesn't.
func TestSegmentsCarryHolds(t *testing.T) {
	t.Parallel()
	for name, placed := range map[string]int{"one": 1, "more than a record has": 27} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.now = s.ended.Add(3 * day)
			more := func(log *audit.Log) {
				s.append(log, Hold{Order{ID: "f2lmpazu", User: "alice", Reason: "case 7"}}.Event(audit.HoldPlaced))
				s.append(log, Hold{Order{ID: "g2lmpazu", User: "bob"}}.Event(audit.HoldPlaced))
				for i := range placed - 1 {
					s.append(log, Hold{Order{ID: fmt.Sprintf("h%07d", i), Lab: "other"}}.Event(audit.HoldPlaced))
				}
			}
			log := s.rolled(more, func(log *audit.Log) {
				s.append(log, Hold{Order{ID: "g2lmpazu", User: "bob"}}.Event(audit.HoldReleased))
			},
				func(log *audit.Log) { s.append(log, audit.Event{Type: audit.ServerStarted}) })
			testkit.Check(t, log.Close())
			var away []string
			for _, of := range []string{`"ref":"f2lmpazu"`, `"hold.released"`} {
				path := s.segmentOf(of)
				away = append(away, path)
				testkit.Check(t, os.Rename(path, filepath.Join(s.dir, filepath.Base(path))))
			}
			again := s.rolled()
			s.held = nil
			r := s.removes(again.Append)
			r.Signed, r.Policy = again.Position, keepsFor(t, "tinker", "2d")
			if holds, _, err := r.Ordered(t.Context()); err != nil || len(holds) != placed || holds[0].ID != "f2lmpazu" || holds[0].Reason != "case 7" || holds[0].At.IsZero() {
				t.Errorf("holds %+v, %v", holds, err)
			}
			if n, err := s.removing(again, s.now); n != 1 || err != nil {
				t.Errorf("%d removed, %v", n, err)
			}
			if !exists(s.file(sealed, recording.KeyExt)) {
				t.Error("what is held was removed")
			}
			if rep, err := Verify(s.logDir(), s.spool()); err != nil || rep.Removed != 1 {
				t.Errorf("%+v, %v", rep, err)
			}
			for _, path := range away {
				testkit.Check(t, os.Rename(filepath.Join(s.dir, filepath.Base(path)), path))
			}
			if rep, err := Verify(s.logDir(), s.spool()); err != nil || rep.Removed != 1 {
				t.Errorf("put back: %+v, %v", rep, err)
			}
		})
	}
}

// older makes of the log what an older version would have written: no segment carries holds.
func (s *site) older() { s.resigned(func(e *audit.Event) { e.Standing, e.Holds = nil, nil }) }

// resigned changes the log's events, as only who has its key can.
func (s *site) resigned(change func(*audit.Event)) {
	s.t.Helper()
	var files []string
	for _, first := range testkit.Must(segment.Sealed(s.logDir()))(s.t) {
		files = append(files, segment.Name(first))
	}
	var leaves []tlog.Hash
	for _, name := range append(files, segment.Current) {
		path := filepath.Join(s.logDir(), name)
		var out []byte
		for line := range bytes.Lines(testkit.Must(os.ReadFile(path))(s.t)) {
			e := testkit.Must(audit.ParseEvent(bytes.TrimSpace(line)))(s.t)
			change(&e)
			text := e.AppendJSON(nil)
			leaves = append(leaves, tlog.RecordHash(text))
			out = append(append(out, text...), '\n')
		}
		testkit.Check(s.t, os.WriteFile(path, out, 0o600))
	}
	var stored []tlog.Hash
	read := tlog.HashReaderFunc(func(at []int64) (all []tlog.Hash, err error) {
		for _, i := range at {
			all = append(all, stored[i])
		}
		return all, nil
	})
	for i, leaf := range leaves {
		stored = append(stored, testkit.Must(tlog.StoredHashesForRecordHash(int64(i), leaf, read))(s.t)...)
	}
	root := testkit.Must(tlog.TreeHash(int64(len(leaves)), read))(s.t)
	text := fmt.Sprintf("entry.test\n%d\n%s\n", len(leaves), base64.StdEncoding.EncodeToString(root[:]))
	signed := testkit.Must(note.Sign(&note.Note{Text: text}, testkit.Must(note.NewSigner(s.signer))(s.t)))(s.t)
	testkit.Check(s.t, os.WriteFile(filepath.Join(s.logDir(), "checkpoint"), signed, 0o600))
	testkit.Check(s.t, os.Remove(filepath.Join(s.logDir(), "hashes")))
	s.log(func(*audit.Log) {}) // which makes the hashes anew
}

// A segment that begins with other holds than the log left is named.
func TestSegmentsCarryOtherHolds(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	testkit.Check(t, s.rolled(func(log *audit.Log) {
		s.append(log, Hold{Order{ID: "f2lmpazu", User: "alice"}}.Event(audit.HoldPlaced))
	}, func(log *audit.Log) { s.append(log, audit.Event{Type: audit.ServerStarted}) }).Close())
	if _, err := Verify(s.logDir(), s.spool()); err != nil {
		t.Fatal(err)
	}
	s.resigned(func(e *audit.Event) {
		if len(e.Holds) > 0 {
			e.Standing, e.Holds = new(int), nil
		}
	})
	_, err := Verify(s.logDir(), s.spool())
	if bad, others := mismatches(err); len(bad) != 1 || len(others) != 0 || bad[0].Kind != CarriedOther {
		t.Errorf("%v", err)
	}
}

// In the log of an older version no segment carries holds: where a segment isn't here, nothing
// is removed, and one line says so. With all there it goes as before, and from then on
// segments carry them, also where they may go.
func TestOlderSegmentsCarryNoHolds(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.now = s.ended.Add(3 * day)
	hold := func(log *audit.Log) {
		s.append(log, Hold{Order{ID: "f2lmpazu", User: "alice"}}.Event(audit.HoldPlaced))
	}
	testkit.Check(t, s.rolled(hold, func(log *audit.Log) { s.append(log, audit.Event{Type: audit.ServerStarted}) }).Close())
	s.older()
	path := s.segmentOf(`"hold.placed"`)
	away := filepath.Join(s.dir, "away")
	testkit.Check(t, os.Rename(path, away))
	log := s.rolled()
	n, err := s.removing(log, s.now)
	var unheard *Unheard
	if n != 0 || !errors.As(err, &unheard) || unheard.Recordings != 2 || strings.Contains(err.Error(), "\n") {
		t.Fatalf("%d removed, %v", n, err)
	}
	r := s.removes(log.Append)
	r.Signed = log.Position
	if _, err := (LogEnd{Keep: day, Of: r, Drop: func(context.Context, time.Time) (uint64, error) { t.Error("dropped"); return 0, nil }}).Look(t.Context(), s.now); !errors.As(err, &unheard) {
		t.Errorf("the log's end: %v", err)
	}
	testkit.Check(t, log.Close())
	testkit.Check(t, os.Rename(away, path))
	log = s.rolled()
	if n, err := s.removing(log, s.now); n != 1 || err != nil {
		t.Fatalf("put back: %d removed, %v", n, err)
	}
	testkit.Eventually(t, "a segment that carries holds", func() bool { // they are read beside the writer
		s.append(log, audit.Event{Type: audit.ServerStarted})
		return bytes.Contains(testkit.Must(os.ReadFile(filepath.Join(s.logDir(), segment.Current)))(t), []byte(`"standing":1,"holds":[{"id":"f2lmpazu","user":"alice"`))
	})
	testkit.Check(t, log.Close())
	testkit.Check(t, os.Rename(path, away))
	log = s.rolled()
	s.now = s.now.Add(day)
	if n, err := s.removing(log, s.now); n != 0 || err != nil || !exists(s.file(sealed, recording.KeyExt)) {
		t.Errorf("carried: %d removed, %v", n, err)
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

// What a log before says is proven, too, by the first record of the one after it: where it was
// changed it removes nothing, and what was recorded then stays; what it held stays held.
func TestALogBeforeIsProven(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		after    time.Duration
		of       string
		from, to string
		removed  int
	}{
		"as it was":         {3 * day, `"session.ended"`, "", "", 1}, // bob's
		"when it ended":     {time.Hour, `"recording.aborted"`, `"time":"20`, `"time":"19`, 0},
		"whom a hold is on": {3 * day, `"hold.placed"`, `"user":"alice"`, `"user":"alicf"`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.log(func(log *audit.Log) {
				s.append(log, Hold{Order{ID: "f2lmpazu", User: "alice"}}.Event(audit.HoldPlaced))
			})
			auditor, _, err := audit.GenerateKey("auditor")
			testkit.Check(t, err)
			key, public := filepath.Join(s.dir, "audit.key"), filepath.Join(s.dir, "audit.pub")
			testkit.WriteFile(t, public, testkit.Must(audit.PublicOf(s.signer))(t))
			testkit.Check(t, audit.BeginAnew(audit.Anew{Dir: s.logDir(), Key: key, PublicKey: public, Auditor: auditor, Reason: "a disk was lost"}))
			s.signer = strings.TrimSpace(testkit.ReadFile(t, key))
			s.now = s.ended.Add(max(tt.after, 2*time.Hour))
			log := s.rolled()
			path := filepath.Join(s.logDir(), "before", segment.Current)
			var out []byte
			for line := range bytes.Lines([]byte(testkit.ReadFile(t, path))) {
				if tt.from != "" && bytes.Contains(line, []byte(tt.of)) {
					line = bytes.Replace(line, []byte(tt.from), []byte(tt.to), 1)
				}
				out = append(out, line...)
			}
			if tt.from != "" { // else the log is reading it, to carry its holds
				testkit.Check(t, os.WriteFile(path, out, 0o600))
			}
			n, err := s.removing(log, s.now)
			if waits := new(Unheard); n != tt.removed || errors.As(err, &waits) != (tt.to != "" && tt.after > day) || err != nil && waits.Recordings == 0 {
				t.Errorf("%d removed, %v", n, err)
			}
			if !exists(s.file(sealed, recording.KeyExt)) {
				t.Error("what is held was removed")
			}
			if tt.removed == 0 {
				return
			}
			testkit.Eventually(t, "a segment that carries the hold of the log before", func() bool {
				s.append(log, audit.Event{Type: audit.ServerStarted})
				return strings.Contains(testkit.ReadFile(t, filepath.Join(s.logDir(), segment.Current)), `"standing":1,"holds":[{"id":"f2lmpazu","user":"alice"`)
			})
		})
	}
}

// An order whose withdrawal may be in records that aren't here is carried out by nobody, though
// the database has it: its row may have been put back. Whoever orders it anew has it stand, and
// the records that come back say whether it did.
func TestErasureMayHaveBeenWithdrawn(t *testing.T) {
	t.Parallel()
	for name, withdrawn := range map[string]bool{"it was": true, "it wasn't": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.now = s.ended.Add(3 * day)
			order := Erasure{Order: Order{ID: "k7q2mxab", Session: sealed, At: s.now}, Stands: s.now}
			started := func(log *audit.Log) { s.append(log, audit.Event{Type: audit.ServerStarted}) }
			testkit.Check(t, s.rolled(func(log *audit.Log) { s.append(log, order.Event(audit.ErasureOrdered)) }, func(log *audit.Log) {
				all := []audit.Event{{Type: audit.ServerStarted, Detail: "between"}}
				if withdrawn {
					all = append(all, order.Event(audit.ErasureWithdrawn))
				}
				testkit.Check(t, log.Append(t.Context(), all...))
			}, started).Close())
			path, away := s.segmentOf(`"between"`), filepath.Join(s.dir, "away")
			testkit.Check(t, os.Rename(path, away))
			log := s.rolled()
			if n, err := s.removing(log, s.now, order); n != 0 || err != nil {
				t.Fatalf("%d removed, %v", n, err)
			}
			r := s.removes(log.Append, order)
			r.Signed = log.Position
			if _, all, err := r.Ordered(t.Context()); err != nil || len(all) != 1 || !all[0].Unheard || !all[0].Elsewhere || all[0].Lasts(s.now) || all[0].Session != sealed {
				t.Errorf("%+v, %v", all, err)
			}
			testkit.Check(t, os.Rename(away, path))
			want := 1
			if withdrawn {
				want = 0
			}
			if n, err := s.removing(log, s.now, order); n != want || err != nil {
				t.Errorf("put back: %d removed, %v", n, err)
			}
			if !withdrawn {
				return
			}
			testkit.Check(t, os.Rename(path, away))
			testkit.Check(t, log.Close())
			log = s.rolled()
			s.append(log, order.Event(audit.ErasureOrdered))
			if n, err := s.removing(log, s.now, order); n != 1 || err != nil {
				t.Errorf("ordered anew: %d removed, %v", n, err)
			}
			if rep, err := Verify(s.logDir(), s.spool()); err != nil || rep.Erased != 1 {
				t.Errorf("%+v, %v", rep, err)
			}
		})
	}
}
