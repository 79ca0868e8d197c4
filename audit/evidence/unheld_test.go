//go:build linux

package evidence

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"entry/audit"
	"entry/audit/segment"
	"entry/e2e/testkit"
	"entry/session/recording"
)

// aside moves the segments away that say something of sealing anew, and says which records
// they have; back brings them again.
func (s *site) aside() (gone segment.Absent, back func()) {
	s.t.Helper()
	files := testkit.Must(filepath.Glob(filepath.Join(s.logDir(), "events-*")))(s.t)
	away := s.t.TempDir()
	var moved []string
	for i, f := range files {
		if !strings.Contains(testkit.ReadFile(s.t, f), `"recording.rewrap`) {
			continue
		}
		from, _ := segment.First(f)
		next, _ := segment.First(files[i+1])
		if gone.From == 0 {
			gone.From = from
		}
		gone.To = next - 1
		testkit.Check(s.t, os.Rename(f, filepath.Join(away, filepath.Base(f))))
		moved = append(moved, f)
	}
	if len(moved) == 0 {
		s.t.Fatalf("none of %q says anything of it", files)
	}
	return gone, func() {
		for _, f := range moved {
			testkit.Check(s.t, os.Rename(filepath.Join(away, filepath.Base(f)), f))
		}
	}
}

// keys is what the log says of keys, and of is how a recording is sealed by it.
func (s *site) of(id string, accepted ...segment.Absent) (Sealing, error) {
	s.t.Helper()
	keys := testkit.Must(ReadKeys(s.logDir(), accepted...))(s.t)
	return keys.Of(s.spool(), testkit.Must(recording.Stat(s.spool(), id))(s.t).Header)
}

// An earlier key that is put back passes where the records aren't here that say that it is
// one; but whoever verifies is told so, by everything that could take it for the last, and
// it isn't sealed anew from.
func TestEarlierKeyWhereRecordsAreNotHere(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	first := testkit.ReadFile(t, s.file(sealed, recording.KeyExt))
	s.rewrap(sealed)
	s.segment(audit.Event{Type: audit.ServerStarted}, audit.Event{Type: audit.ServerStarted})
	if rep, err := Verify(s.logDir(), s.spool()); err != nil || rep.Unheld != 0 {
		t.Fatalf("all is here: %+v, %v", rep, err)
	}
	gone, back := s.aside()
	testkit.WriteFile(t, s.file(sealed, recording.KeyExt), first)

	rep, err := Verify(s.logDir(), s.spool())
	if err != nil || rep.Recordings != 2 || rep.Unheld != 2 || !strings.Contains(rep.String(), "; 2 of them may have been sealed anew in records that aren't here, so that an earlier key would pass") {
		t.Errorf("%+v, %v: %s", rep, err, rep)
	}
	v, err := VerifyOne(s.logDir(), s.spool(), testkit.Must(recording.Stat(s.spool(), sealed))(t))
	if err != nil || !slices.Equal(v.Sealed.Unheld, []string{gone.Error()}) {
		t.Errorf("%q, %v", v.Sealed.Unheld, err)
	}
	var u *Unheld
	if _, err := s.of(sealed); !errors.As(err, &u) || !strings.Contains(err.Error(), gone.Error()) || !strings.Contains(u.Hint(), "--absent") {
		t.Errorf("sealed anew all the same: %v", err)
	}

	// Whoever knows better says so. What comes after is held against all that it could be.
	if rep, err := Verify(s.logDir(), s.spool(), gone); err != nil || rep.Unheld != 0 {
		t.Errorf("accepted: %+v, %v", rep, err)
	}
	if _, err := s.of(sealed, gone); err != nil {
		t.Errorf("accepted: %v", err)
	}
	back()
	if _, err := Verify(s.logDir(), s.spool()); err == nil || !strings.Contains(err.Error(), "is an earlier one, of before") {
		t.Errorf("put back: %v", err)
	}
}

// Absences before the last word about a key leave nothing open: neither those before its
// start or its end, nor those before it was sealed anew.
func TestAbsencesBeforeTheLastWord(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.rewrap(cut)
	s.segment(audit.Event{Type: audit.ServerStarted}, audit.Event{Type: audit.ServerStarted})
	_, _ = s.aside()
	e, key := s.reseal(sealed)
	s.segment(e, done(e))
	testkit.WriteFile(t, s.file(sealed, recording.KeyExt), string(key))
	if got, err := s.of(sealed); err != nil || got.Rewraps != 1 || len(got.Unheld) > 0 {
		t.Errorf("%+v, %v", got, err)
	}
	rep, err := Verify(s.logDir(), s.spool())
	bad, _ := mismatches(err)
	if len(bad) != 1 || bad[0].ID != cut || rep.Unheld != 0 {
		t.Errorf("%+v, %v", rep, err)
	}
}

// A recording that was sealed anew from an earlier key, while the records about that weren't
// here, is named until it is sealed anew from the key that it has, or should have had; not
// from the earlier one once more, and by nobody who can't open it.
func TestSealedAnewFromAnEarlierKey(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		mend func(s *site, first, second, third string)
		ok   bool
	}{
		"from the key that it has":         {func(s *site, _, _, _ string) { s.rewrap(sealed) }, true},
		"from the one that it should have": {func(s *site, _, second, _ string) { s.from(second); s.rewrap(sealed) }, true},
		"from the earlier one once more":   {func(s *site, first, _, _ string) { s.from(first); s.rewrap(sealed) }, false},
		"with the one that it should have": {func(s *site, _, second, _ string) { s.from(second) }, false},
		"not at all":                       {func(*site, string, string, string) {}, false},
		"by a word that nobody signed": {func(s *site, _, _, _ string) {
			e, key := s.reseal(sealed)
			e.Rewrap.Proof = ""
			s.segment(e, done(e))
			s.from(string(key))
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			first := testkit.ReadFile(t, s.file(sealed, recording.KeyExt))
			s.rewrap(sealed)
			second := testkit.ReadFile(t, s.file(sealed, recording.KeyExt))
			s.from(first)
			s.rewrap(sealed) // as with the records away
			third := testkit.ReadFile(t, s.file(sealed, recording.KeyExt))
			_, err := Verify(s.logDir(), s.spool())
			if all, _ := mismatches(err); len(all) != 1 || all[0].Kind != BadRewrap || !all[0].Mendable() || !strings.Contains(err.Error(), "but from an earlier key than it had") {
				t.Errorf("before: %v", err)
			}
			var m *Mismatch
			if got, err := s.of(sealed); !errors.As(err, &m) || !m.Mendable() || !got.Takes(hexSum([]byte(third))) || !got.Takes(hexSum([]byte(second))) || got.Takes(hexSum([]byte(first))) {
				t.Errorf("before: %+v, %v", got, err)
			}
			tt.mend(s, first, second, third)
			_, err = Verify(s.logDir(), s.spool())
			if (err == nil) != tt.ok {
				t.Errorf("after: %v", err)
			}
			if _, err := s.of(sealed); (err == nil) != tt.ok {
				t.Errorf("after: %v", err)
			}
			if !tt.ok {
				return
			}
			for _, old := range []string{first, second, third} { // none of which passes any more
				now := testkit.ReadFile(t, s.file(sealed, recording.KeyExt))
				s.from(old)
				if _, err := Verify(s.logDir(), s.spool()); err == nil || !strings.Contains(err.Error(), "is an earlier one, of before") {
					t.Errorf("an earlier key put back: %v", err)
				}
				s.from(now)
			}
		})
	}
}

// from puts a key in a recording's place.
func (s *site) from(key string) {
	s.t.Helper()
	testkit.WriteFile(s.t, s.file(sealed, recording.KeyExt), key)
}

// Two that were made from one earlier key, as files that nobody handed in then, don't excuse
// each other, though the first of them was cut off.
func TestTwiceFromAnEarlierKey(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	first := testkit.ReadFile(t, s.file(sealed, recording.KeyExt))
	one, _ := s.reseal(sealed)
	two, key := s.reseal(sealed)
	s.rewrap(sealed)
	s.segment(one)
	s.from(first)
	s.segment(two, done(two))
	s.from(string(key))
	if _, err := Verify(s.logDir(), s.spool()); err == nil || !strings.Contains(err.Error(), "from an earlier key than it had") {
		t.Errorf("%v", err)
	}
}
