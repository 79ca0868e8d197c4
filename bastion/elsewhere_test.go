package bastion_test

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"entry/audit"
	"entry/bastion/access"
	"entry/bastion/identity"
	"entry/bastion/store"
	"entry/configs"
	"entry/e2e/testkit"
)

// elsewhere is another server's hold on the accounts of s: the same database
// and secret, and nothing else shared.
func (s *site) elsewhere() *identity.Authenticator {
	s.t.Helper()
	return testkit.Must(identity.New(identity.Options{Config: configs.Default(), Store: s.elsewhereStore(), Events: s.log.Append, Secret: []byte(siteSecret), Now: s.clock.Now}))(s.t)
}

// elsewhereStore is another server's hold on the database of s.
func (s *site) elsewhereStore() *store.Store {
	s.t.Helper()
	db := testkit.Must(store.OpenSQLite(filepath.Join(s.dir, "entry.db"), s.clock.Now))(s.t)
	s.t.Cleanup(func() {
		if err := db.Close(); err != nil {
			s.t.Error(err)
		}
	})
	return db
}

// What is taken away at one server ends at the others on its database, not only
// when something new is opened there: a live session used to ask policy again,
// never the account.
func TestRevokedElsewhere(t *testing.T) {
	t.Parallel()
	for name, take := range map[string]func(*testing.T, *site, *identity.Authenticator){
		"disabled": func(t *testing.T, _ *site, there *identity.Authenticator) {
			testkit.Check(t, there.Disable(t.Context(), "alice"))
		},
		"removed": func(t *testing.T, _ *site, there *identity.Authenticator) {
			testkit.Check(t, there.Remove(t.Context(), "alice"))
		},
		"reset": func(t *testing.T, _ *site, there *identity.Authenticator) {
			testkit.Must(there.Reset(t.Context(), "alice"))(t)
		},
		"its key removed": func(t *testing.T, _ *site, there *identity.Authenticator) {
			u := testkit.Must(there.User(t.Context(), "alice"))(t)
			testkit.Check(t, there.RemoveKey(t.Context(), "alice", u.Keys[0].Fingerprint))
		},
		"ended by a date that is now": func(t *testing.T, s *site, there *identity.Authenticator) {
			testkit.Check(t, there.SetEnd(t.Context(), "alice", s.clock.Now()))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, options{})
			there := s.elsewhere()
			alice, bob := s.login("alice"), s.login("bob")
			said := begin(t, alice.jump("home"))
			begin(t, bob.jump("home"))
			s.idle(t, 2)
			began := time.Now()
			take(t, s, there)
			ended := s.log.Await(t, audit.SessionEnded, "revoked")
			if ended.User != "alice" {
				t.Errorf("%+v", ended)
			}
			t.Logf("ended after %s", time.Since(began).Round(time.Millisecond))
			if text := said(); !bytes.Contains([]byte(text), []byte("your access was changed; connect again")) {
				t.Errorf("alice reads %q", text)
			}
			testkit.Finishes(t, "the client connection", func() { _ = alice.Wait() })
			if len(s.server.Access().Sessions()) != 1 {
				t.Error("bob's session is gone, too")
			}
		})
	}
}

// A login elsewhere, or somebody else's change, ends nothing.
func TestChangesElsewhereEndNothingElse(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	there := s.elsewhere()
	begin(t, s.login("alice").jump("home"))
	testkit.Must(there.AddUser(t.Context(), "dora"))(t)
	testkit.Check(t, there.Disable(t.Context(), "bob"))
	c := s.login("alice")
	testkit.Eventually(t, "bob is refused", func() bool { u, err := s.auth.User(t.Context(), "bob"); return err == nil && u.Disabled })
	begin(t, c.jump("home"))
	if n := len(s.server.Access().Sessions()); n != 2 {
		t.Errorf("%d sessions of alice's, want both", n)
	}
}

// A session ends by the order of an operator at another server on the database,
// with their reason, and nothing else does; an order that no server can carry out
// is taken back.
func TestKilledElsewhere(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	db := s.elsewhereStore()
	alice := s.login("alice")
	said := begin(t, alice.jump("home"))
	id := s.server.Access().Sessions()[0].ID
	begin(t, alice.jump("home"))
	s.idle(t, 2)
	by := audit.Actor{UID: 0, LoginUID: 1001, Name: "root", LoginName: "carol"}
	testkit.Must(db.Order(t.Context(), access.Order{Session: id, Reason: "over there", By: by}, s.clock.Now()))(t)
	ended := s.log.Await(t, audit.SessionEnded, "killed")
	if text := said(); !strings.Contains(text, "an administrator ended this session: over there") {
		t.Errorf("alice reads %q", text)
	}
	killed := s.log.Await(t, audit.SessionKilled, "")
	if killed.Actor == nil || *killed.Actor != by || killed.Session != id || killed.User != "alice" || killed.Detail != "over there" || ended.Session != id {
		t.Errorf("%+v, %+v", killed, ended)
	}
	if left := s.server.Access().Sessions(); len(left) != 1 {
		t.Errorf("%+v", left)
	}
	if status, answer := s.operate("DELETE", "/v1/sessions/"+id, `{"reason":"again"}`); status != 404 || !strings.Contains(answer, "no live session has this ID") {
		t.Errorf("%d %s", status, answer)
	}
	if left := testkit.Must(db.Ordered(t.Context(), s.clock.Now()))(t); len(left) != 0 {
		t.Errorf("orders left: %+v", left)
	}
}
