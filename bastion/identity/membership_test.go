package identity_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"entry/bastion/identity"
)

// byKey logs in by the remembered key.
func (w *world) byKey(at identity.Attempt) identity.Identity {
	w.t.Helper()
	id, ok, err := w.a.Remembered(w.t.Context(), at, nil)
	if err != nil || !ok {
		w.t.Fatalf("remembered: %v %v", ok, err)
	}
	return id
}

// wantGroups checks what a login knows of its user's groups: n of them, or why none.
func wantGroups(t *testing.T, id identity.Identity, n int, unknown string) {
	t.Helper()
	groups, fetched := id.Groups()
	if why := id.GroupsUnknown(); len(groups) != n || fetched.IsZero() != (unknown != "") || (why == "") != (unknown == "") || !strings.Contains(why, unknown) {
		t.Errorf("groups %q of %v, unknown because %q; wanted %d, %q", groups, fetched, why, n, unknown)
	}
}

const noAnswer = "the directory duo, which tells your groups, doesn't answer"

// Who logs in by a remembered key has the groups that the directory told of lately, at a
// poll or to another login, or else of those that it tells now.
func TestRememberedKeyBringsGroupsAlong(t *testing.T) {
	w, s, _, at, _ := watched(t)
	asked := func(n int, what string) {
		t.Helper()
		if len(s.looked) != n {
			t.Errorf("%s: asked %d times, not %d", what, len(s.looked), n)
		}
	}
	w.clock.Advance(time.Hour)
	wantGroups(t, w.byKey(at), 2, "")
	asked(1, "nothing known")
	wantGroups(t, w.byKey(at), 2, "")
	asked(1, "known")
	w.clock.Advance(5*time.Minute + 59*time.Second)
	wantGroups(t, w.byKey(at), 2, "")
	asked(1, "the poll is late")
	w.clock.Advance(time.Second)
	s.directory.groups = s.directory.groups[:1]
	wantGroups(t, w.byKey(at), 1, "")
	asked(2, "too old")

	w.clock.Advance(time.Hour)
	if _, err := w.lookUp(); err != nil {
		t.Fatal(err)
	}
	asked(3, "a poll")
	wantGroups(t, w.byKey(at), 1, "")
	asked(3, "known by a poll")

	// What a clock that went back knows is of another time.
	w.clock.Advance(-time.Minute)
	wantGroups(t, w.byKey(at), 1, "")
	asked(4, "of another time")
}

// A directory that gives no answer keeps nobody out, and gives nobody a group.
func TestGroupsWhileTheDirectoryDoesntAnswer(t *testing.T) {
	w, s, _, at, _ := watched(t)
	w.clock.Advance(time.Hour)
	s.errs["alice"] = errors.New("connection refused")
	wantGroups(t, w.byKey(at), 0, noAnswer)
	wantGroups(t, w.byKey(at), 0, noAnswer)
	clear(s.errs)
	wantGroups(t, w.byKey(at), 2, "")
	s.errs["alice"] = errors.New("connection refused")
	wantGroups(t, w.byKey(at), 2, "")
	w.clock.Advance(6 * time.Minute)
	wantGroups(t, w.byKey(at), 0, noAnswer)

	// Without search nobody can ask.
	s.blind = true
	wantGroups(t, w.byKey(at), 0, "connect again without a key")
}

// Whom the directory lets nowhere isn't let in by a key, though no poll has come since;
// only a poll, which believes no directory that has lost everybody, takes anything away.
func TestRememberedKeyOfSomebodyWhoLeft(t *testing.T) {
	w, s, _, at, id := watched(t)
	s.entries["alice"] = "entryUUID:1"
	w.clock.Advance(10 * time.Minute)
	w.byKey(at) // which notes the entry
	for _, bar := range []string{"gone", "locked", "groups unreadable", "another entry"} {
		w.clock.Advance(10 * time.Minute)
		s.bars["alice"], s.entries["alice"] = bar, "entryUUID:1"
		if bar == "another entry" {
			s.bars["alice"], s.entries["alice"] = "", "entryUUID:2"
		}
		mark := w.log.Mark()
		if w.remembers(at) {
			t.Errorf("%s, and in by a key", bar)
		}
		w.wantLog(mark, "login.failed barred-by-directory")
		if _, err := w.a.Standing(t.Context(), id); err != nil {
			t.Errorf("%s: %v", bar, err)
		}
	}
	clear(s.bars)
	s.entries["alice"] = "entryUUID:1"
	wantGroups(t, w.byKey(at), 2, "")

	// A directory that has lost everybody tells nothing of anybody.
	many := []string{"alice"}
	for _, c := range "abcdefghijk" {
		many = append(many, string(c))
	}
	for _, name := range many {
		s.bars[name] = "gone"
	}
	if _, err := w.lookUp(many...); err == nil {
		t.Fatal("it is believed that all are gone")
	}
	w.clock.Advance(10 * time.Minute)
	wantGroups(t, w.byKey(at), 0, noAnswer)
	s.bars["alice"] = "locked" // which isn't lost
	if w.remembers(at) {
		t.Error("locked, and in by a key")
	}
	s.bars = map[string]string{}
	if _, err := w.lookUp(many...); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(10 * time.Minute)
	s.bars["alice"] = "gone"
	if w.remembers(at) {
		t.Error("gone from a directory that is believed, and in by a key")
	}
}

// A temporary passphrase stands for the directory's, which is asked for the rest: groups,
// and whether it lets its user in.
func TestTemporaryPassphraseBringsGroupsAlong(t *testing.T) {
	w, s, u, _, _ := watched(t)
	for _, bar := range []string{"", "locked"} {
		w.clock.Advance(time.Hour)
		temp, err := w.a.Reset(t.Context(), "alice")
		if err != nil {
			t.Fatal(err)
		}
		s.bars["alice"] = bar
		rounds := append([]round{{askPass, temp}}, u.enrol()...)
		if bar != "" {
			rounds = append(rounds, round{"Right, but the directory duo doesn't let your account in (locked): ask your lab's administrator. " + askPass, ""})
		}
		id, err := w.login(attempt("alice"), rounds...)
		if bar != "" {
			wantErr(t, err, identity.ErrAbandoned)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		wantGroups(t, id, 2, "")
		if !slices.Equal(s.looked, []string{"alice"}) {
			t.Errorf("asked for %q", s.looked)
		}
	}
}

// A poll leaves the directory time between its questions.
func TestPollsArePaced(t *testing.T) {
	w, _, _, _, _ := watched(t)
	began := time.Now()
	if _, err := w.lookUp("bob", "carol", "dave"); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 4*50*time.Millisecond {
		t.Errorf("four questions in %v", took)
	}
}
