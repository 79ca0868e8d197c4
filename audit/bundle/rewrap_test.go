//go:build linux

package bundle

import (
	"encoding/hex"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"entry/audit"
	"entry/audit/evidence"
	"entry/e2e/testkit"
	"entry/session/recording"
)

// A recording whose key was sealed to other auditors is proven with the new key, and with
// the one before until the new one is in its place; by nobody's word but that of who could
// open it. Both implementations say the same.
func TestRewrapped(t *testing.T) {
	t.Parallel()
	key := func(s *site) string { return filepath.Join(s.Recordings, whole+recording.KeyExt) }
	reseal := func(s *site) (recording.Rewrap, string) {
		other := testkit.Must(age.GenerateX25519Identity())(t)
		r, sealed, err := recording.Reseal(s.Recordings, whole, []age.Identity{s.auditor}, []age.Recipient{other.Recipient(), s.auditor.Recipient()},
			recording.Rewrap{Set: recording.SetOf([]string{"a", "b"}), Count: 2, In: []string{strings.Repeat("ab", 16)}})
		testkit.Check(t, err)
		return r, string(sealed)
	}
	announce := func(s *site, r recording.Rewrap) {
		info := testkit.Must(recording.Stat(s.Recordings, whole))(t)
		s.append(evidence.RewrapEvent(info.Header, r))
	}
	done := func(s *site, r recording.Rewrap) {
		s.append(audit.Event{Type: audit.RewrapDone, Session: whole, Recording: &audit.Recording{ID: whole, Key: r.To}})
	}
	place := func(s *site, sealed string) { testkit.WriteFile(t, key(s), sealed) }
	// strayed has it sealed anew from its first key though it had been before, and returns
	// the key that it should have been made from.
	strayed := func(s *site) (second string) {
		first := testkit.ReadFile(t, key(s))
		for n, from := range []string{first, first} {
			place(s, from)
			r, sealed := reseal(s)
			announce(s, r)
			place(s, sealed)
			done(s, r)
			if n == 0 {
				second = sealed
			}
		}
		return second
	}
	for name, tt := range map[string]struct {
		do func(*site)
		ok bool
	}{
		"sealed anew": {func(s *site) {
			r, sealed := reseal(s)
			announce(s, r)
			place(s, sealed)
			done(s, r)
		}, true},
		"twice": {func(s *site) {
			for range 2 {
				r, sealed := reseal(s)
				announce(s, r)
				place(s, sealed)
				done(s, r)
			}
		}, true},
		"announced, and a crash before it was placed": {func(s *site) {
			r, _ := reseal(s)
			announce(s, r)
		}, true},
		"a crash before it was noted that it is placed, and again": {func(s *site) {
			r, sealed := reseal(s)
			announce(s, r)
			place(s, sealed)
			announce(s, r)
			done(s, r)
		}, true},
		"announced, a crash, and another one made of the key that is there": {func(s *site) {
			r, _ := reseal(s)
			announce(s, r)
			r, sealed := reseal(s)
			announce(s, r)
			place(s, sealed)
			done(s, r)
		}, true},
		"the key of before put back": {func(s *site) {
			r, _ := reseal(s)
			announce(s, r)
			done(s, r)
		}, false},
		"replaced without a word": {func(s *site) {
			_, sealed := reseal(s)
			place(s, sealed)
		}, false},
		"announced by who couldn't open it": {func(s *site) {
			r, sealed := reseal(s)
			r.Out = []string{strings.Repeat("cd", 16)}
			announce(s, r)
			place(s, sealed)
			done(s, r)
		}, false},
		"announced without a proof": {func(s *site) {
			r, sealed := reseal(s)
			r.Proof = ""
			announce(s, r)
			place(s, sealed)
			done(s, r)
		}, false},
		"an earlier one announced again": {func(s *site) {
			old, earlier := reseal(s)
			announce(s, old)
			place(s, earlier)
			done(s, old)
			r, sealed := reseal(s)
			announce(s, r)
			place(s, sealed)
			done(s, r)
			announce(s, old)
			place(s, earlier)
			done(s, old)
		}, false},
		"from an earlier key than it had": {func(s *site) { strayed(s) }, false},
		"from an earlier key, and then from the one that was there": {func(s *site) {
			strayed(s)
			r, sealed := reseal(s)
			announce(s, r)
			place(s, sealed)
			done(s, r)
		}, true},
		"from an earlier key, and then from the one that should have been there": {func(s *site) {
			place(s, strayed(s))
			r, sealed := reseal(s)
			announce(s, r)
			place(s, sealed)
			done(s, r)
		}, true},
		"from an earlier key twice": {func(s *site) {
			first := testkit.ReadFile(t, key(s))
			strayed(s)
			place(s, first)
			r, sealed := reseal(s)
			announce(s, r)
			place(s, sealed)
			done(s, r)
		}, false},
		"from an earlier key twice, the first cut off": {func(s *site) {
			first := testkit.ReadFile(t, key(s))
			one, _ := reseal(s)
			two, sealed := reseal(s)
			r, second := reseal(s)
			announce(s, r)
			place(s, second)
			done(s, r)
			announce(s, one)
			place(s, first)
			announce(s, two)
			place(s, sealed)
			done(s, two)
		}, false},
		"started again with it": {func(s *site) {
			r, sealed := reseal(s)
			info := testkit.Must(recording.Stat(s.Recordings, whole))(t)
			s.append(audit.Event{Type: audit.SessionStarted, Session: whole, Recording: &audit.Recording{ID: whole, Key: r.To, Header: hex.EncodeToString(info.HeaderHash[:])}})
			place(s, sealed)
		}, false},
		"said to be in its place, and never made": {func(s *site) {
			r, sealed := reseal(s)
			place(s, sealed)
			done(s, r)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			tt.do(s)
			testkit.Check(t, s.pusher.Round(t.Context()))
			info := testkit.Must(recording.Stat(s.Recordings, whole))(t)
			if _, err := evidence.VerifyOne(s.Log, s.Recordings, info); (err == nil) != tt.ok {
				t.Errorf("against the log: %v", err)
			}
			from := s.Source
			from.Recordings = ""
			var b strings.Builder
			testkit.Must(from.Write(&b, whole))(t)
			all := unpack(t, []byte(b.String()))
			for _, ext := range []string{recording.Ext, recording.KeyExt} { // Write itself refuses what doesn't hold
				all = append(all, file{recordingName(whole, ext), []byte(testkit.ReadFile(t, filepath.Join(s.Recordings, whole+ext)))})
			}
			made := pack(t, all)
			rep, err := verify(t, made, Trust{Key: s.Key, Witnesses: s.Witnesses})
			if (err == nil) != tt.ok {
				t.Errorf("in a bundle: %v", err)
			}
			code, out := python(t, made, "--log-key", s.Key)
			if (code == 0) != tt.ok || code > 1 {
				t.Errorf("by the script: %d, %s", code, out)
			}
			want := "; its sealed key too; "
			if rep.Sealed.Pending() {
				want = "; its sealed key is one of two, since sealing it anew wasn't finished there; "
			}
			if tt.ok && (rep.Sealed.Key == "" || !strings.Contains(out, want)) {
				t.Errorf("%+v, by the script: %s", rep.Sealed, out)
			}
		})
	}
}

// A bundle that is made before witnesses have cosigned that the recording was sealed anew
// goes up to a tree head that has it: against an older one the key that is there would pass
// for one that somebody has swapped.
func TestBundleOfWhatWasJustRewrapped(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	info := testkit.Must(recording.Stat(s.Recordings, whole))(t)
	other := testkit.Must(age.GenerateX25519Identity())(t)
	r, sealed, err := recording.Reseal(s.Recordings, whole, []age.Identity{s.auditor}, []age.Recipient{other.Recipient()},
		recording.Rewrap{Set: recording.SetOf([]string{"a"}), Count: 1, In: []string{strings.Repeat("ab", 16)}})
	testkit.Check(t, err)
	s.append(evidence.RewrapEvent(info.Header, r))
	testkit.WriteFile(t, filepath.Join(s.Recordings, whole+recording.KeyExt), string(sealed))
	s.append(audit.Event{Type: audit.RewrapDone, Session: whole, Recording: &audit.Recording{ID: whole, Key: r.To}})
	for _, cosigned := range []int{0, 1} {
		var b strings.Builder
		sum := testkit.Must(s.Write(&b, whole))(t)
		rep, err := verify(t, []byte(b.String()), Trust{Key: s.Key})
		if err != nil || rep.Sealed.Key != r.To || len(rep.Cosigned) != cosigned || len(sum.Cosigned) != cosigned || sum.Awaits != (cosigned == 0) {
			t.Errorf("%+v, %+v, %v", sum, rep, err)
		}
		if code, out := python(t, []byte(b.String()), "--log-key", s.Key); code != 0 {
			t.Errorf("by the script: %d, %s", code, out)
		}
		testkit.Check(t, s.pusher.Round(t.Context()))
	}
}

// Of a key whose digest no record has, nothing is said.
func TestKeyThatNoRecordKnows(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	var all []file
	for _, f := range unpack(t, s.made(cut)) {
		if strings.HasPrefix(f.name, "records/") && testkit.Must(testkit.Must(ParseRecord(f.data))(t).Event())(t).Type != audit.RecordingAborted {
			continue
		}
		if f.name == recordingName(cut, recording.KeyExt) {
			f.data = []byte("noise")
		}
		all = append(all, f)
	}
	rep, err := verify(t, pack(t, all), Trust{Key: s.Key, Witnesses: s.Witnesses})
	if err != nil || rep.Recording == nil || rep.Sealed.Key != "" {
		t.Errorf("%+v, %v", rep, err)
	}
	if code, out := python(t, pack(t, all), "--log-key", s.Key); code != 0 || !strings.Contains(out, "; they say nothing of its sealed key; ") {
		t.Errorf("by the script: %d, %s", code, out)
	}
}
