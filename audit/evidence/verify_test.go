//go:build linux

package evidence

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"entry/audit"
	"entry/e2e/testkit"
	"entry/session/recording"
	"entry/session/recording/spool"
)

func TestConsistent(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	rep, err := Verify(s.logDir(), s.spool())
	if err != nil || rep != (Report{Recordings: 2}) || rep.String() != "2 recordings consistent with the log" {
		t.Errorf("%q, %v", rep, err)
	}
	for _, i := range testkit.Must(recording.List(s.spool()))(t) {
		v, err := VerifyOne(s.logDir(), s.spool(), i)
		if err != nil || v.Against != KnowingLog || v.Info.Segments != i.Segments || v.Info.Head != i.Head || v.Failed != "" {
			t.Errorf("%+v, %v", v, err)
		}
	}
}

func TestReportInWords(t *testing.T) {
	t.Parallel()
	for want, r := range map[string]Report{
		"0 recordings consistent with the log":                                                        {},
		"1 recording consistent with the log":                                                         {Recordings: 1},
		"3 recordings consistent with the log, 2 of them live; 1 removed after their lab's retention": {Recordings: 3, Live: 2, Removed: 1},
	} {
		if r.String() != want {
			t.Errorf("%q, want %q", r, want)
		}
	}
}

// Every kind of mismatch, each made as somebody would who can write the files.
func TestMismatches(t *testing.T) {
	t.Parallel()
	const planted = "01JQ8Z3M6Y0000000000000003"
	rec := func(s *site, id string) string { return s.file(id, recording.Ext) }
	shorten := func(s *site, by int) {
		s.change(rec(s, sealed), func(b []byte) []byte { return b[:len(b)-by] })
	}
	removed := func(s *site, id string, sum spool.Summary) {
		s.log(func(log *audit.Log) {
			s.append(log, audit.Event{Type: audit.RecordingRemoved, Session: id, User: "alice", Lab: "tinker", Reason: "retention", Recording: about(id, sum)})
		})
	}
	for name, tt := range map[string]struct {
		make func(s *site)
		kind Kind
		id   string // "" for a tick
		text string
	}{
		"flipped": {func(s *site) {
			s.change(rec(s, sealed), func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
		}, Broken, sealed, "recording " + sealed + ": "},
		"grown": {func(s *site) {
			s.change(rec(s, sealed), func(b []byte) []byte { return append(b, 0) })
		}, Broken, sealed, "bytes after the final segment"},
		"cut": {func(s *site) { shorten(s, 9) }, Cut, sealed, "cut: the audit log knows 1 segment"},
		"cut, and made to look like a crash": {func(s *site) {
			shorten(s, 9)
			testkit.Must(spool.Recover(s.spool(), nil))(t)
		}, Cut, sealed, "cut: the audit log knows 1 segment"},
		"cut at the last tick, and made to look like a crash": {func(s *site) {
			testkit.Check(t, os.Remove(s.file(cut, recording.AbortedExt)))
			s.change(rec(s, cut), func(b []byte) []byte { return b[:len(b)-9] })
			testkit.Must(spool.Recover(s.spool(), nil))(t)
		}, Cut, cut, "cut: the audit log knows 1 segment"},
		"its key removed": {func(s *site) {
			testkit.Check(t, os.Remove(s.file(sealed, recording.KeyExt)))
		}, MissingKey, sealed, "its sealed key, " + sealed + ".key, is missing"},
		"its key filled with noise": {func(s *site) {
			s.change(s.file(sealed, recording.KeyExt), func(b []byte) []byte { clear(b); return b })
		}, OtherKey, sealed, "isn't the one that the audit log knows"},
		"its key cut": {func(s *site) {
			s.change(s.file(sealed, recording.KeyExt), func(b []byte) []byte { return b[:len(b)-1] })
		}, OtherKey, sealed, "isn't the one that the audit log knows"},
		"another recording's key": {func(s *site) {
			other := testkit.Must(os.ReadFile(s.file(cut, recording.KeyExt)))(t)
			s.change(s.file(sealed, recording.KeyExt), func([]byte) []byte { return other })
		}, OtherKey, sealed, "isn't the one that the audit log knows"},
		"the key of a crash's recording": {func(s *site) {
			testkit.Check(t, os.Remove(s.file(cut, recording.KeyExt)))
		}, MissingKey, cut, "is missing"},
		"another recording's file": {func(s *site) {
			other := testkit.Must(os.ReadFile(rec(s, cut)))(t)
			s.change(rec(s, sealed), func([]byte) []byte { return other })
		}, Swapped, sealed, "it is the header of recording " + cut},
		"another recording under its ID": {func(s *site) {
			forge(s, sealed)
		}, OtherHeader, sealed, "it isn't the header that the audit log knows"},
		"a new chain over changed segments": {func(s *site) {
			rechain(s, sealed)
		}, OtherHead, sealed, "it isn't what the audit log knows"},
		"planted": {func(s *site) {
			forge(s, planted)
		}, Unknown, planted, "the audit log doesn't know it"},
		"gone": {func(s *site) {
			testkit.Check(t, os.Remove(rec(s, sealed)))
		}, Missing, sealed, "recording " + sealed + ": it is missing from the spool"},
		"a changed list": {func(s *site) {
			for _, f := range testkit.Must(filepath.Glob(filepath.Join(s.spool(), recording.ListDir, "*")))(t) {
				s.change(f, func(b []byte) []byte { b[len(b)-2] ^= 1; return b })
			}
		}, OtherTick, "", "event "},
		"lists that are gone": {func(s *site) {
			testkit.Check(t, os.RemoveAll(filepath.Join(s.spool(), recording.ListDir)))
		}, OtherTick, "", "no such file"},
		"removed, but there": {func(s *site) {
			removed(s, sealed, s.sealedEnd)
		}, StillThere, sealed, "it is still there with its key"},
		"removed without ever starting": {func(s *site) {
			removed(s, planted, s.sealedEnd)
		}, RemovedUnknown, planted, "not that it ever started"},
		"another one removed in its place": {func(s *site) {
			other := s.sealedEnd
			other.Head[0] ^= 1
			removed(s, sealed, other)
			testkit.Check(t, spool.Remove(s.spool(), sealed))
		}, RemovedOther, sealed, "isn't what the audit log knows"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			tt.make(s)
			_, err := Verify(s.logDir(), s.spool())
			all, others := mismatches(err)
			if len(all) != 1 || len(others) > 0 || all[0].Kind != tt.kind || all[0].ID != tt.id || (all[0].Seq != 0) != (tt.id == "") || !strings.Contains(err.Error(), tt.text) {
				t.Fatalf("%q: %+v, want one %s of %q: %s", err, all, tt.kind, tt.id, tt.text)
			}
			// The same of the one recording, where it is there.
			info, serr := recording.Stat(s.spool(), tt.id)
			if serr != nil || tt.kind == Unknown {
				return
			}
			_, err = VerifyOne(s.logDir(), s.spool(), info)
			if all, _ := mismatches(err); len(all) != 1 || all[0].Kind != tt.kind {
				t.Errorf("alone: %v", err)
			}
		})
	}
}

// forge writes a recording of its own under id, which the log doesn't know.
func forge(s *site, id string) {
	s.t.Helper()
	for _, ext := range []string{recording.Ext, recording.KeyExt} {
		if err := os.Remove(s.file(id, ext)); err != nil && !errors.Is(err, os.ErrNotExist) {
			s.t.Fatal(err)
		}
	}
	dir := s.t.TempDir()
	open := testkit.Must(spool.Open(spool.Options{Dir: dir, Commit: func(context.Context, recording.Tick) error { return nil }}))(s.t)
	testkit.Must(s.create(open, id, "mallory").Close())(s.t)
	testkit.Check(s.t, open.Close())
	for _, ext := range []string{recording.Ext, recording.KeyExt} {
		testkit.Check(s.t, os.Rename(filepath.Join(dir, id+ext), s.file(id, ext)))
	}
}

// rechain gives a recording a tail of another one's segments that fits its
// header: only the seals and the log know better. Its header stays.
func rechain(s *site, id string) {
	s.t.Helper()
	path := s.file(id, recording.Ext)
	info := testkit.Must(recording.Stat(s.spool(), id))(s.t)
	b := testkit.Must(os.ReadFile(path))(s.t)
	header := bytes.IndexByte(b, '\n') + 1 + 32
	// One segment, final and empty, sealed with whatever key.
	c := testkit.Must(recording.NewCompressor())(s.t)
	h := info.Header
	sealer, _, _, err := recording.NewSealer(h, s.to)
	testkit.Check(s.t, err)
	segment := testkit.Must(sealer.Seal(c, nil, nil, 1, true))(s.t)
	testkit.Check(s.t, c.Close())
	body := segment[:len(segment)-32]
	head := chainHash(info.HeaderHash, body)
	testkit.Check(s.t, os.WriteFile(path, append(append(b[:header:header], body...), head[:]...), 0o600))
}

// A recording that failed may lack its end, but nothing that a tick committed.
func TestFailedRecordings(t *testing.T) {
	t.Parallel()
	const failed = "01JQ8Z3M6Z0000000000000004"
	build := func() *site {
		s := newSite(t)
		s.session(func(log *audit.Log, open *spool.Spool) {
			w := s.begin(log, open, failed, "carol")
			testkit.Check(t, w.Frame(recording.Output, 0, []byte("durable\n")))
			// Its end got lost: what session.ended says was never on the disk.
			s.append(log, audit.Event{Type: audit.RecordingFailed, Session: failed, Detail: "write recording: no space left on device"})
			s.append(log, audit.Event{Type: audit.SessionEnded, Session: failed, Recording: about(failed, spool.Summary{Segments: 9, Head: [32]byte{1}})})
		})
		return s
	}
	s := build()
	info := testkit.Must(recording.Stat(s.spool(), failed))(t)
	if rep, err := Verify(s.logDir(), s.spool()); err != nil || rep.Recordings != 3 {
		t.Errorf("before a restart: %+v, %v", rep, err)
	}
	v, err := VerifyOne(s.logDir(), s.spool(), info)
	if err != nil || v.Failed != "write recording: no space left on device" || v.Against != KnowingLog {
		t.Errorf("%+v, %v", v, err)
	}
	s.restart()
	if rep, err := Verify(s.logDir(), s.spool()); err != nil || rep.Recordings != 3 {
		t.Errorf("after a restart: %+v, %v", rep, err)
	}
	s = build()
	s.change(s.file(failed, recording.Ext), func(b []byte) []byte { return b[:len(b)-1] })
	_, err = Verify(s.logDir(), s.spool())
	if all, _ := mismatches(err); len(all) != 1 || all[0].Kind != Cut || all[0].ID != failed {
		t.Errorf("cut below the last tick: %v", err)
	}
}

// A crash before the header was whole leaves a file that the log calls aborted.
func TestHeadlessRecording(t *testing.T) {
	t.Parallel()
	const headless = "01JQ8Z3M700000000000000005"
	s := newSite(t)
	testkit.WriteFile(t, s.file(headless, recording.Ext), `{"entry_recording":1,"id":"01J`)
	s.restart()
	if rep, err := Verify(s.logDir(), s.spool()); err != nil || rep.Recordings != 3 {
		t.Errorf("%+v, %v", rep, err)
	}
}

// Before a restart a recording without an end is told from one that was cut: all that
// the log knows of it is there.
func TestUnended(t *testing.T) {
	t.Parallel()
	const crashed = "01JQ8Z3M700000000000000006"
	s := newSite(t)
	s.log(func(log *audit.Log) {
		s.append(log, audit.Event{Type: audit.ServerStarted})
		open := testkit.Must(spool.Open(spool.Options{Dir: s.spool(), Now: func() time.Time { return s.ended }, Commit: func(context.Context, recording.Tick) error { return nil }}))(t)
		w := s.begin(log, open, crashed, "carol")
		testkit.Check(t, w.Frame(recording.Output, 0, []byte("x")))
		testkit.Check(t, open.Close()) // and not w, as in a crash
	})
	what := func() (kinds []Kind) {
		_, err := Verify(s.logDir(), s.spool())
		all, others := mismatches(err)
		for _, m := range all {
			kinds = append(kinds, m.Kind)
		}
		if len(others) > 0 {
			t.Error(others)
		}
		return kinds
	}
	if got := what(); len(got) != 1 || got[0] != Unended {
		t.Errorf("before a restart: %v", got)
	}
	s.log(func(log *audit.Log) { s.append(log, audit.Event{Type: audit.ServerStarted}) })
	if got := what(); len(got) != 1 || got[0] != Cut {
		t.Errorf("after a start that said nothing of it: %v", got)
	}
	s.restart()
	if got := what(); len(got) != 0 {
		t.Errorf("after one that did: %v", got)
	}
}

func TestLiveRecordings(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	const live, starting = "01JQ8Z3M700000000000000006", "01JQ8Z3M700000000000000007"
	s.session(func(log *audit.Log, open *spool.Spool) {
		one, two := s.begin(log, open, live, "carol"), s.create(open, starting, "dave")
		testkit.Check(t, one.Frame(recording.Output, 0, []byte("x")))
		rep, err := Verify(s.logDir(), s.spool())
		if err != nil || rep != (Report{Recordings: 3, Live: 1}) {
			t.Errorf("%+v, %v", rep, err)
		}
		for _, w := range []*spool.Writer{one, two} {
			testkit.Must(w.Close())(t)
		}
	})
}

func TestAgainstWhat(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	info := testkit.Must(recording.Stat(s.spool(), sealed))(t)
	other := newSite(t)
	testkit.Check(t, os.WriteFile(filepath.Join(other.logDir(), "events.jsonl"), nil, 0o600))
	damaged := newSite(t)
	damaged.change(filepath.Join(damaged.logDir(), "events.jsonl"), func(b []byte) []byte { b[0] = 'x'; return b })
	for logDir, want := range map[string]Against{"": NoLog, t.TempDir(): BadLog, damaged.logDir(): BadLog, other.logDir(): OtherLog, s.logDir(): KnowingLog} {
		v, err := VerifyOne(logDir, s.spool(), info)
		if err != nil || v.Against != want || v.Against.String() == "" || !reflect.DeepEqual(v.Info, info) {
			t.Errorf("%q: %v %q, %v", logDir, v.Against, v.Against, err)
		}
	}
	if Nothing.String() != "" {
		t.Errorf("nothing is %q", Nothing)
	}
}

func TestUnreadable(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if _, err := Verify(t.TempDir(), s.spool()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a log: %v", err)
	}
	rep, err := Verify(s.logDir(), filepath.Join(s.dir, "nowhere"))
	all, others := mismatches(err)
	kinds := map[Kind]int{}
	for _, m := range all {
		kinds[m.Kind]++
	}
	if rep.Recordings != 0 || kinds[Missing] != 2 || kinds[OtherTick] == 0 || len(others) != 0 {
		t.Errorf("without a spool: %+v, %v", rep, err)
	}
}

// A spool without its lists isn't told of once a second.
func TestManyBadLists(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.log(func(log *audit.Log) {
		for range 10 {
			s.append(log, audit.Event{Type: audit.RecordingTick, Tick: &audit.Tick{Root: strings.Repeat("ab", 32), Changed: 1, List: time.Now().Format(time.DateOnly) + ":9999:10"}})
		}
	})
	_, err := Verify(s.logDir(), s.spool())
	all, others := mismatches(err)
	if len(all) != maxBadLists || len(others) != 1 || others[0].Error() != "and 7 more" {
		t.Errorf("%d and %v", len(all), others)
	}
}

// chainHash is the format's: hash(0x01 || previous || segment).
func chainHash(before [32]byte, segment []byte) [32]byte {
	return sha256.Sum256(slices.Concat([]byte{1}, before[:], segment))
}
