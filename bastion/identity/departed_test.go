package identity_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"entry/bastion/identity"
)

// seen is a directory that can be looked at.
type seen struct {
	*directory
	mu      sync.Mutex
	blind   bool
	every   time.Duration     // 0 is 5 min
	bars    map[string]string // by user
	entries map[string]string
	errs    map[string]error
	looked  []string
}

func (s *seen) Watches() bool { return !s.blind }

func (s *seen) Poll() time.Duration { return cmp.Or(s.every, 5*time.Minute) }

func (s *seen) Look(_ context.Context, user string) (string, []string, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looked = append(s.looked, user)
	return s.bars[user], s.groups, s.entries[user], s.errs[user]
}

// watched is inRealm with a directory that can be looked at, and a key of alice's
// that is remembered.
func watched(t *testing.T) (*world, *seen, *user, identity.Attempt, identity.Identity) {
	t.Helper()
	var s *seen
	w, dir, u := inRealm(t, func(o *identity.Options) {
		s = &seen{directory: o.Realms["duo"].(*directory), blind: true, bars: map[string]string{}, entries: map[string]string{}, errs: map[string]error{}}
		o.Realms = map[string]identity.FirstFactor{"duo": s}
	})
	s.directory, s.blind = dir, false
	at, _ := u.withKey()
	w.clock.Advance(30 * time.Second)
	id, err := w.login(at, round{askPass, kept}, round{askCode, u.code()})
	if err != nil {
		t.Fatal(err)
	}
	if !w.remembers(at) {
		t.Fatal("the key isn't remembered")
	}
	s.looked = nil
	return w, s, u, at, id
}

// lookUp asks and returns whom the directory still has.
func (w *world) lookUp(live ...string) (there []string, err error) {
	w.t.Helper()
	err = w.a.LookUp(w.t.Context(), "duo", live, func(user string, groups []string) { there = append(there, fmt.Sprint(user, len(groups))) })
	return there, err
}

// Who has left the directory loses remembered keys and what is open, whether or
// not they are logged in, once; the directory judges the next login itself.
func TestWhoLeftTheDirectory(t *testing.T) {
	for _, bar := range []string{"gone", "locked"} {
		t.Run(bar, func(t *testing.T) {
			w, s, u, at, id := watched(t)
			if there, err := w.lookUp(); err != nil || !slices.Equal(there, []string{"alice2"}) {
				t.Fatalf("still there: %q %v", there, err)
			}
			if _, err := w.a.Standing(t.Context(), id); err != nil {
				t.Fatal(err)
			}
			mark := w.log.Mark()
			s.bars["alice"] = bar
			if there, err := w.lookUp("alice"); err != nil || len(there) != 0 {
				t.Errorf("%q %v", there, err)
			}
			_, err := w.a.Standing(t.Context(), id)
			wantErr(t, err, identity.ErrRevoked)
			if w.remembers(at) {
				t.Error("the key is still remembered")
			}
			w.wantLog(mark, "user.departed "+bar)
			s.looked = nil
			if _, err := w.lookUp(); err != nil || len(s.looked) != 0 {
				t.Errorf("nothing is left to take: %q %v", s.looked, err)
			}
			s.bars = nil
			w.clock.Advance(30 * time.Second)
			if _, err := w.login(attempt("alice"), round{askPass, kept}, round{askCode, u.code()}); err != nil {
				t.Errorf("back in the directory: %v", err)
			}
		})
	}
}

// A directory that gives no answer takes nothing away, nor one that has lost all.
func TestDirectoryThatCantTell(t *testing.T) {
	w, s, _, _, id := watched(t)
	var many []string
	for i := range 300 {
		many = append(many, fmt.Sprintf("u%03d", i))
	}
	stands := func(what string) {
		t.Helper()
		if _, err := w.a.Standing(t.Context(), id); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	s.errs["alice"] = errors.New("connection refused")
	if there, err := w.lookUp("alice"); err == nil || there != nil {
		t.Errorf("%q %v", there, err)
	}
	stands("no answer")

	down := errors.New("connection refused")
	for _, name := range many {
		s.errs[name] = down
	}
	s.looked = nil
	if _, err := w.lookUp(many...); !errors.Is(err, down) || len(s.looked) != 3 {
		t.Errorf("asked %d times though nobody answers: %v", len(s.looked), err)
	}
	clear(s.errs)
	s.bars["alice"] = "gone"
	for _, name := range many {
		s.bars[name] = "gone"
	}
	if _, err := w.lookUp(many[:20]...); err == nil {
		t.Error("it is believed that all are gone")
	}
	stands("all are gone")

	clear(s.bars)
	s.blind, s.bars["alice"] = true, "gone"
	if _, err := w.lookUp("alice"); err != nil {
		t.Error(err)
	}
	stands("it can't be looked at")
}

// One poll asks about all users, once each, and takes from whoever is gone, wherever they
// stand among them; a directory that has lost all of some hundred takes from none of those.
func TestOnePollAsksAboutAll(t *testing.T) {
	w, s, _, _, id := watched(t)
	s.every = time.Second
	var many []string
	for i := range 250 {
		many = append(many, fmt.Sprintf("a%03d", i), fmt.Sprintf("z%03d", i))
	}
	for _, name := range many[:400] {
		s.bars[name] = "gone"
	}
	if there, err := w.lookUp(many...); err == nil || len(there) != 101 {
		t.Errorf("%d are there, %v", len(there), err)
	}
	slices.Sort(s.looked)
	if all := slices.Compact(slices.Clone(s.looked)); len(all) != 501 || len(s.looked) != 501 {
		t.Errorf("%d of 501 were asked about, %d times", len(all), len(s.looked))
	}
	if _, err := w.a.Standing(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	clear(s.bars)
	s.bars["alice"] = "gone" // the 251st
	if _, err := w.lookUp(many...); err != nil {
		t.Error(err)
	}
	_, err := w.a.Standing(t.Context(), id)
	wantErr(t, err, identity.ErrRevoked)
}

// What a directory can't tell of some users keeps nobody else's access: not of few
// among others, nor of many at once, behind whom the next poll goes on.
func TestDirectoryThatCantTellOfSome(t *testing.T) {
	w, s, _, _, id := watched(t)
	unclear := errors.New("the user is in more than 1000 groups")
	first := []string{"aaa", "aab", "aac", "aad"}
	for _, name := range first {
		s.errs[name] = unclear
	}
	s.bars["alice"] = "gone"
	if _, err := w.lookUp(append(first, "alice")...); !errors.Is(err, unclear) {
		t.Error(err)
	}
	if _, err := w.a.Standing(t.Context(), id); err != nil {
		t.Errorf("alice wasn't asked about: %v", err)
	}
	if _, err := w.lookUp(append(first, "alice")...); !errors.Is(err, unclear) {
		t.Error(err)
	}
	_, err := w.a.Standing(t.Context(), id)
	wantErr(t, err, identity.ErrRevoked)

	// Some here and there, before and behind.
	w, s, _, _, id = watched(t)
	s.bars["alice"] = "locked"
	for _, name := range []string{"aaa", "aac", "zza", "zzb", "zzc"} {
		s.errs[name] = unclear
	}
	if there, err := w.lookUp("aaa", "aab", "aac", "alice", "zza", "zzb", "zzc"); !errors.Is(err, unclear) || !slices.Contains(there, "aab2") {
		t.Errorf("%q %v", there, err)
	}
	_, err = w.a.Standing(t.Context(), id)
	wantErr(t, err, identity.ErrRevoked)
}

// Who has another entry under the same name is another person, at a poll or a login:
// what was proven for the one before is gone, with every factor but the directory's.
func TestAnotherEntryOfThatName(t *testing.T) {
	const first, second = "entryUUID:1 nsUniqueId:a", "entryUUID:2"
	for _, way := range []string{"a poll", "a login"} {
		t.Run(way, func(t *testing.T) {
			w, s, u, at, id := watched(t)
			s.entry = first
			s.entries["alice"] = first
			if way == "a poll" {
				if there, err := w.lookUp("alice"); err != nil || len(there) != 1 {
					t.Fatalf("%q %v", there, err)
				}
			} else {
				w.clock.Advance(30 * time.Second)
				var err error
				if id, err = w.login(attempt("alice"), round{askPass, kept}, round{askCode, u.code()}); err != nil {
					t.Fatal(err)
				}
			}
			// What it doesn't say now, and more of the same, is no other entry.
			for _, entry := range []string{"", "nsUniqueId:a", "entryUUID:1 objectGUID:ff"} {
				s.entries["alice"] = entry
				if there, err := w.lookUp("alice"); err != nil || len(there) != 1 {
					t.Fatalf("%q: %q %v", entry, there, err)
				}
			}
			if _, err := w.a.Standing(t.Context(), id); err != nil {
				t.Fatal(err)
			}
			s.entry, s.entries["alice"] = second, second
			mark := w.log.Mark()
			if way == "a poll" {
				if there, err := w.lookUp("alice"); err != nil || len(there) != 0 {
					t.Errorf("%q %v", there, err)
				}
				w.wantLog(mark, "user.departed another-entry")
			} else {
				w.clock.Advance(30 * time.Second)
				_, err := w.login(attempt("alice"), round{askPass, kept}, round{askCode, u.code()}, round{"The directory duo has a new account under your name, so everything begins anew here: ask your lab's administrator. " + askPass, ""})
				wantErr(t, err, identity.ErrAbandoned)
			}
			_, err := w.a.Standing(t.Context(), id)
			wantErr(t, err, identity.ErrRevoked)
			if w.remembers(at) {
				t.Error("the key is still remembered")
			}
			info, err := w.a.User(t.Context(), "alice")
			if err != nil || len(info.Authenticators) != 0 || len(info.Keys) != 0 {
				t.Errorf("still there: %+v %v", info, err)
			}
			// The new person begins with a reset, and is known from then on.
			temp, err := w.a.Reset(t.Context(), "alice")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.login(attempt("alice"), append([]round{{askPass, temp}}, u.enrol()...)...); err != nil {
				t.Fatal(err)
			}
			w.clock.Advance(time.Minute)
			if _, err := w.login(attempt("alice"), round{askPass, kept}, round{askCode, u.code()}); err != nil {
				t.Fatal(err)
			}
			if there, err := w.lookUp("alice"); err != nil || len(there) != 1 {
				t.Errorf("%q %v", there, err)
			}
		})
	}
}

// A directory in which everybody has another entry is another directory.
func TestAnotherDirectory(t *testing.T) {
	w, s, _, _, id := watched(t)
	var all []string
	for i := range 12 {
		name := fmt.Sprintf("u%02d", i)
		all = append(all, name)
		s.entries[name] = "objectGUID:" + name
		if _, err := w.a.AddUser(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		if err := w.a.SetRealm(t.Context(), name, "duo"); err != nil {
			t.Fatal(err)
		}
	}
	s.entries["alice"] = "objectGUID:alice"
	if there, err := w.lookUp(all...); err != nil || len(there) != 13 {
		t.Fatalf("%q %v", there, err)
	}
	for name := range s.entries {
		s.entries[name] += "2"
	}
	if there, err := w.lookUp(all...); err == nil || len(there) != 0 {
		t.Errorf("it is believed that all are others: %q", there)
	}
	if _, err := w.a.Standing(t.Context(), id); err != nil {
		t.Error(err)
	}
	// An operator says so of one.
	if err := w.a.SetRealm(t.Context(), "alice", "duo"); err != nil {
		t.Fatal(err)
	}
	if there, err := w.lookUp("alice"); err != nil || len(there) != 1 {
		t.Errorf("%q %v", there, err)
	}
	if _, err := w.a.Standing(t.Context(), id); err != nil {
		t.Error(err)
	}
}
