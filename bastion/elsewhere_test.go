package bastion_test

import (
	"bytes"
	"path/filepath"
	"testing"
	"time"

	"entry/audit"
	"entry/bastion/identity"
	"entry/bastion/store"
	"entry/configs"
)

// elsewhere is another server's hold on the accounts of s: the same database
// and secret, and nothing else shared.
func (s *site) elsewhere() *identity.Authenticator {
	s.t.Helper()
	db := must[*store.Store](s.t)(store.OpenSQLite(filepath.Join(s.dir, "entry.db"), s.clock.now))
	s.t.Cleanup(func() {
		if err := db.Close(); err != nil {
			s.t.Error(err)
		}
	})
	return must[*identity.Authenticator](s.t)(identity.New(identity.Options{Config: configs.Default(), Store: db, Events: s.log.Append, Secret: []byte(siteSecret), Now: s.clock.now}))
}

// What is taken away at one server ends at the others on its database, not only
// when something new is opened there: a live session used to ask policy again,
// never the account.
func TestRevokedElsewhere(t *testing.T) {
	t.Parallel()
	for name, take := range map[string]func(*testing.T, *site, *identity.Authenticator){
		"disabled": func(t *testing.T, _ *site, there *identity.Authenticator) {
			must[struct{}](t)(struct{}{}, there.Disable(t.Context(), "alice"))
		},
		"removed": func(t *testing.T, _ *site, there *identity.Authenticator) {
			must[struct{}](t)(struct{}{}, there.Remove(t.Context(), "alice"))
		},
		"reset": func(t *testing.T, _ *site, there *identity.Authenticator) {
			must[string](t)(there.Reset(t.Context(), "alice"))
		},
		"its key removed": func(t *testing.T, _ *site, there *identity.Authenticator) {
			u := must[identity.UserInfo](t)(there.User(t.Context(), "alice"))
			must[struct{}](t)(struct{}{}, there.RemoveKey(t.Context(), "alice", u.Keys[0].Fingerprint))
		},
		"ended by a date that is now": func(t *testing.T, s *site, there *identity.Authenticator) {
			must[struct{}](t)(struct{}{}, there.SetEnd(t.Context(), "alice", s.clock.now()))
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
			ended := s.log.await(t, audit.SessionEnded, "revoked")
			if ended.User != "alice" {
				t.Errorf("%+v", ended)
			}
			t.Logf("ended after %s", time.Since(began).Round(time.Millisecond))
			if text := said(); !bytes.Contains([]byte(text), []byte("your access was changed; connect again")) {
				t.Errorf("alice reads %q", text)
			}
			finishes(t, "the client connection", func() { _ = alice.Wait() })
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
	must[string](t)(there.AddUser(t.Context(), "dora"))
	must[struct{}](t)(struct{}{}, there.Disable(t.Context(), "bob"))
	c := s.login("alice")
	eventually(t, "bob is refused", func() bool { u, err := s.auth.User(t.Context(), "bob"); return err == nil && u.Disabled })
	begin(t, c.jump("home"))
	if n := len(s.server.Access().Sessions()); n != 2 {
		t.Errorf("%d sessions of alice's, want both", n)
	}
}
