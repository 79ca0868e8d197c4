package identity_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"entry/bastion/identity"
)

// TestAddAll: everybody or nobody, whoever is there already is left alone, and what
// was made opens the first login.
func TestAddAll(t *testing.T) {
	w := newWorld(t)
	w.enrolled("alice")
	ctx := t.Context()
	for text, p := range map[string]identity.Person{
		"a user name is": {Name: "Not One"}, "the form +46": {Name: "bob", Phone: "070"}, "no such realm": {Name: "bob", Realm: "duo"},
		"is in the past": {Name: "bob", Ends: w.clock.Now()},
	} {
		var refused *identity.Refusal
		if _, err := w.a.AddAll(ctx, []identity.Person{{Name: "carol"}, p}, false); !errors.As(err, &refused) || !strings.Contains(refused.Text, text) {
			t.Errorf("%+v: %v", p, err)
		}
	}
	if _, err := w.a.User(ctx, "carol"); !errors.Is(err, identity.ErrNoAccount) {
		t.Errorf("carol is there: %v", err)
	}
	mark := w.log.Mark()
	ends := w.clock.Now().Add(time.Hour)
	people := []identity.Person{{Name: "alice", Renew: true}, {Name: "bob", Ends: ends}, {Name: "carol", Phone: "+46701234567"}}
	want := func(people []identity.Person, outcomes ...identity.Outcome) []identity.Made {
		t.Helper()
		made, err := w.a.AddAll(ctx, people, true)
		if err != nil || len(made) != len(outcomes) {
			t.Fatalf("%+v %v", made, err)
		}
		for i, m := range made {
			if m.Name != people[i].Name || m.Outcome != outcomes[i] || (m.Temporary != "") != (m.Outcome == identity.Added || m.Outcome == identity.Renewed) {
				t.Errorf("%+v, want %s", m, outcomes[i])
			}
		}
		return made
	}
	first := want(people, identity.InUse, identity.Added, identity.Added)
	w.wantLog(mark, "user.invited", "user.invited")
	if info, err := w.a.User(ctx, "bob"); err != nil || !info.Ends.Equal(ends) {
		t.Errorf("%+v %v", info, err)
	}
	if info, err := w.a.User(ctx, "carol"); err != nil || info.Phone != "+46701234567" || info.CodeBySMS {
		t.Errorf("there is no gateway: %+v %v", info, err)
	}
	want(people, identity.InUse, identity.Waits, identity.Waits)
	people[1].Renew = true
	again := want(people, identity.InUse, identity.Renewed, identity.Waits)
	if err := w.a.Disable(ctx, "carol"); err != nil {
		t.Fatal(err)
	}
	want(people[2:], identity.Barred)
	if first[1].Temporary == again[1].Temporary {
		t.Error("a renewed passphrase is the old one")
	}
	u := &user{w: w, name: "bob"}
	if id, err := w.login(attempt("bob"), u.firstLogin(again[1].Temporary)...); err != nil || id.Method() != "temporary+enrolment" {
		t.Errorf("%q %v", id.Method(), err)
	}
}

// TestAddingManyIsQuick: a course of 300 is one transaction and one write of the log.
func TestAddingManyIsQuick(t *testing.T) {
	w := newWorld(t)
	var people []identity.Person
	for i := range 300 {
		people = append(people, identity.Person{Name: fmt.Sprintf("user%d", i)})
	}
	began := time.Now()
	made, err := w.a.AddAll(t.Context(), people, false)
	if err != nil || len(made) != 300 {
		t.Fatalf("%d %v", len(made), err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
}

// TestRemind: whoever hasn't come on the seventh of ten days is told, once.
func TestRemind(t *testing.T) {
	w := newWorld(t)
	w.enrolled("alice")
	if _, err := w.a.AddAll(t.Context(), []identity.Person{{Name: "bob"}, {Name: "carol"}}, true); err != nil {
		t.Fatal(err)
	}
	if err := w.a.Disable(t.Context(), "carol"); err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	w.notices = nil
	w.mu.Unlock()
	remind := func() {
		t.Helper()
		if err := w.a.Remind(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.clock.Advance(7*24*time.Hour - time.Second)
	remind()
	w.wantNotices()
	w.clock.Advance(time.Second)
	remind()
	w.wantNotices("invitation-waits until 2026-03-11 12:01 UTC")
	remind()
	w.wantNotices()
	if _, err := w.a.AddAll(t.Context(), []identity.Person{{Name: "bob", Renew: true}}, true); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(8 * 24 * time.Hour)
	remind()
	w.wantNotices("invited until 2026-03-18 12:01 UTC", "invitation-waits until 2026-03-18 12:01 UTC")
	w.clock.Advance(3 * 24 * time.Hour)
	remind()
	w.wantNotices()
}
