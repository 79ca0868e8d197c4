//go:build linux

package evidence

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"entry/audit"
	"entry/audit/segment"
	"entry/e2e/testkit"
	"entry/session/recording"
)

// reseal seals a recording anew as an auditor does, and has nothing of that anywhere.
func (s *site) reseal(id string) (audit.Event, []byte) {
	s.t.Helper()
	r, key, err := recording.Reseal(s.spool(), id, []age.Identity{s.auditor}, s.to, recording.Rewrap{Set: recording.SetOf([]string{"a"}), Count: 1})
	testkit.Check(s.t, err)
	info := testkit.Must(recording.Stat(s.spool(), id))(s.t)
	return RewrapEvent(info.Header, r), key
}

// segment appends events in a segment of their own.
func (s *site) segment(events ...audit.Event) {
	s.t.Helper()
	log := testkit.Must(audit.Open(s.logDir(), audit.Options{Key: s.signer, Segment: 1}))(s.t)
	for _, e := range events {
		s.append(log, e)
	}
	testkit.Check(s.t, log.Close())
}

// done is the event after the one for sealing anew.
func done(e audit.Event) audit.Event {
	e.Type, e.Rewrap = audit.RewrapDone, nil
	return e
}

// rewrap seals a recording anew, whole.
func (s *site) rewrap(id string) {
	s.t.Helper()
	e, key := s.reseal(id)
	s.segment(e, done(e))
	testkit.WriteFile(s.t, s.file(id, recording.KeyExt), string(key))
}

// What the report says of sealing anew, and that one recording says the same.
func TestRewrapReport(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	says := func(want Report, words string) {
		t.Helper()
		rep, err := Verify(s.logDir(), s.spool())
		if err != nil || rep != want || rep.String() != words {
			t.Errorf("%+v, %q, %v; want %+v, %q", rep, rep, err, want, words)
		}
	}
	e, key := s.reseal(sealed)
	s.segment(e)
	cutOff := "; sealing 1 of them anew was cut off, so they may be open to the auditors of before: entry sessions rewrap --take FILE goes on"
	says(Report{Recordings: 2, Rewrapped: 1, Pending: 1}, "2 recordings consistent with the log; 1 sealed anew since"+cutOff)
	testkit.WriteFile(t, s.file(sealed, recording.KeyExt), string(key))
	says(Report{Recordings: 2, Rewrapped: 1, Pending: 1}, "2 recordings consistent with the log; 1 sealed anew since"+cutOff)
	s.segment(done(e))
	says(Report{Recordings: 2, Rewrapped: 1}, "2 recordings consistent with the log; 1 sealed anew since")
	info := testkit.Must(recording.Stat(s.spool(), sealed))(t)
	if v, err := VerifyOne(s.logDir(), s.spool(), info); err != nil || v.Sealed.Rewraps != 1 || v.Sealed.Pending() || v.Sealed.Last.IsZero() || v.Sealed.Key != e.Recording.Key {
		t.Errorf("%+v, %v", v.Sealed, err)
	}
	s.rewrap(cut)
	s.rewrap(sealed)
	says(Report{Recordings: 2, Rewrapped: 2}, "2 recordings consistent with the log; 2 sealed anew since")

	// Retention goes by what it went by before.
	if n, err := s.expire(keepsFor(t, "tinker", "1d"), s.ended.Add(40*24*time.Hour)); n != 2 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	says(Report{Removed: 2}, "0 recordings consistent with the log; 2 removed after their lab's retention")
}

// Somebody who can write files and the log, and can't open the recording, can't have another
// key pass for its own; nor can an earlier one.
func TestForgedRewraps(t *testing.T) {
	t.Parallel()
	key := func(s *site) string { return s.file(sealed, recording.KeyExt) }
	for name, tt := range map[string]struct {
		do   func(s *site)
		kind Kind
		text string
	}{
		"another key without a word": {func(s *site) {
			_, b := s.reseal(sealed)
			testkit.WriteFile(t, key(s), string(b))
		}, OtherKey, "isn't the one that the audit log knows"},
		"noise, announced": {func(s *site) {
			e, _ := s.reseal(sealed)
			noise := []byte("noise")
			e.Recording.Key, e.Rewrap.Proof = hexSum(noise), ""
			s.segment(e, done(e))
			testkit.WriteFile(t, key(s), string(noise))
		}, BadRewrap, "that isn't signed by somebody who could open the recording"},
		"noise, announced with another's proof": {func(s *site) {
			e, _ := s.reseal(sealed)
			noise := []byte("noise")
			e.Recording.Key = hexSum(noise)
			s.segment(e, done(e))
			testkit.WriteFile(t, key(s), string(noise))
		}, BadRewrap, "that isn't signed"},
		"announced without saying how": {func(s *site) {
			e, b := s.reseal(sealed)
			e.Rewrap = nil
			s.segment(e, done(e))
			testkit.WriteFile(t, key(s), string(b))
		}, BadRewrap, "is of another recording"},
		"only said to be in its place": {func(s *site) {
			e, b := s.reseal(sealed)
			s.segment(done(e))
			testkit.WriteFile(t, key(s), string(b))
		}, BadRewrap, "isn't the last that was made"},
		"of another recording": {func(s *site) {
			e, b := s.reseal(cut)
			e.Recording.ID, e.Session = sealed, sealed
			s.segment(e, done(e))
			testkit.WriteFile(t, key(s), string(b))
		}, BadRewrap, "isn't signed"},
		"the first key put back": {func(s *site) {
			first := testkit.ReadFile(t, key(s))
			s.rewrap(sealed)
			testkit.WriteFile(t, key(s), first)
		}, OtherKey, "is an earlier one, of before"},
		"an earlier key put back": {func(s *site) {
			s.rewrap(sealed)
			earlier := testkit.ReadFile(t, key(s))
			s.rewrap(sealed)
			testkit.WriteFile(t, key(s), earlier)
		}, OtherKey, "is an earlier one, of before"},
		"an earlier key announced again": {func(s *site) {
			e, b := s.reseal(sealed)
			s.segment(e, done(e))
			testkit.WriteFile(t, key(s), string(b))
			s.rewrap(sealed)
			s.segment(e, done(e))
			testkit.WriteFile(t, key(s), string(b))
		}, BadRewrap, "from an earlier key than it had"},
		"the first key, where the newest is announced again": {func(s *site) {
			first := testkit.ReadFile(t, key(s))
			e, _ := s.reseal(sealed)
			s.segment(e, done(e), e)
			testkit.WriteFile(t, key(s), first)
		}, OtherKey, "is an earlier one, of before"},
		"gone": {func(s *site) {
			s.rewrap(sealed)
			testkit.Check(t, os.Remove(key(s)))
		}, MissingKey, "is missing"},
		"started again with it": {func(s *site) {
			_, b := s.reseal(sealed)
			info := testkit.Must(recording.Stat(s.spool(), sealed))(t)
			s.segment(audit.Event{Type: audit.SessionStarted, Session: sealed, Recording: &audit.Recording{ID: sealed, Key: hexSum(b), Header: hex.EncodeToString(info.HeaderHash[:])}})
			testkit.WriteFile(t, key(s), string(b))
		}, OtherKey, "isn't the one that the audit log knows"},
		"in an event of another kind": {func(s *site) {
			_, b := s.reseal(sealed)
			s.segment(audit.Event{Type: audit.RecordingAborted, Session: sealed, Recording: &audit.Recording{ID: sealed, Key: hexSum(b), Head: hex.EncodeToString(s.sealedEnd.Head[:]), Segments: s.sealedEnd.Segments}})
			testkit.WriteFile(t, key(s), string(b))
		}, OtherKey, "isn't the one that the audit log knows"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			tt.do(s)
			_, err := Verify(s.logDir(), s.spool())
			all, others := mismatches(err)
			if len(all) != 1 || len(others) > 0 || all[0].Kind != tt.kind || all[0].ID != sealed || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("%v, want one %s: %s", err, tt.kind, tt.text)
			}
		})
	}
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Of a recording of a version whose headers don't say who may seal it anew, the log's word
// is taken, and that is told; but not for one from another key.
func TestRewrapOfOlderVersions(t *testing.T) {
	t.Parallel()
	const old = "01JCHZ00000000000000000001"
	s := newSite(t)
	from := filepath.Join("..", "..", "session", "recording", "testdata", "v1")
	for _, ext := range []string{recording.Ext, recording.KeyExt} {
		testkit.WriteFile(t, s.file(old, ext), testkit.ReadFile(t, filepath.Join(from, old+ext)))
	}
	info := testkit.Must(recording.Stat(s.spool(), old))(t)
	was := testkit.Must(recording.KeyHash(s.spool(), old))(t)
	s.segment(audit.Event{Type: audit.SessionStarted, Session: old, Recording: &audit.Recording{ID: old, Header: hex.EncodeToString(info.HeaderHash[:]), Key: hex.EncodeToString(was[:])}},
		audit.Event{Type: audit.SessionEnded, Session: old, Recording: &audit.Recording{ID: old, Head: hex.EncodeToString(info.Head[:]), Segments: info.Segments}})
	s.auditor = testkit.Must(age.ParseX25519Identity(strings.TrimSpace(testkit.ReadFile(t, filepath.Join(from, "identity")))))(t)
	s.to = []age.Recipient{s.auditor.Recipient()}
	s.rewrap(old)
	rep, err := Verify(s.logDir(), s.spool())
	if err != nil || rep != (Report{Recordings: 3, Rewrapped: 1, Unproven: 1}) || !strings.HasSuffix(rep.String(), "; 1 sealed anew since (1 of an older version, so that nothing shows that who did it could open them)") {
		t.Errorf("%q, %v", rep, err)
	}
	e, key := s.reseal(old)
	e.Rewrap.From = hexSum([]byte("another"))
	s.segment(e, done(e))
	testkit.WriteFile(t, s.file(old, recording.KeyExt), string(key))
	if _, err := Verify(s.logDir(), s.spool()); err == nil || !strings.Contains(err.Error(), "from another key than it had") {
		t.Errorf("%v", err)
	}
}

// Where the records about sealing anew aren't here, the key that the log doesn't know is a
// failure until somebody accepts that, as any other key is.
func TestRewrapsThatAreNotHere(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		drop int // the first of two segments, of those that are about it
		kind Kind
	}{"the first": {0, BadRewrap}, "the last": {2, OtherKey}} {
		s := newSite(t)
		s.rewrap(sealed)
		s.rewrap(sealed)
		s.segment(audit.Event{Type: audit.ServerStarted}, audit.Event{Type: audit.ServerStarted})
		files := testkit.Must(filepath.Glob(filepath.Join(s.logDir(), "events-*")))(t)
		var gone []segment.Absent
		for i, f := range files {
			from, _ := segment.First(f)
			if text := testkit.ReadFile(t, f); !strings.Contains(text, `"recording.rewrap`) {
				continue
			}
			to := from
			if i+1 < len(files) {
				next, _ := segment.First(files[i+1])
				to = next - 1
			}
			gone = append(gone, segment.Absent{From: from, To: to})
		}
		if len(gone) != 4 {
			t.Fatalf("%d segments: %v", len(gone), files)
		}
		away := segment.Absent{From: gone[tt.drop].From, To: gone[tt.drop+1].To}
		for _, g := range gone[tt.drop : tt.drop+2] {
			testkit.Check(t, os.Remove(filepath.Join(s.logDir(), segment.Name(g.From))))
		}
		_, err := Verify(s.logDir(), s.spool())
		bad, others := mismatches(err)
		if len(bad) != 1 || len(others) > 0 || bad[0].Kind != tt.kind || !slices.Equal(bad[0].Perhaps, []segment.Absent{away}) {
			t.Errorf("%s: %v", name, err)
		}
		if rep, err := Verify(s.logDir(), s.spool(), away); err != nil || rep.Unjudged != 1 || rep.Recordings != 1 {
			t.Errorf("%s, accepted: %+v, %v", name, rep, err)
		}
	}
}
