package bastion_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"entry/audit"
	"entry/bastion"
	"entry/e2e/testkit"
	"entry/e2e/testkit/policies"
	"entry/session/recording"
	"entry/session/recording/spool"
)

// operate does one operation as an operator would.
func (s *site) operate(method, path, body string) (status int, answer string) {
	return s.operateAs(audit.Actor{UID: 0, Name: "root"}, method, path, body)
}

func (s *site) operateAs(who audit.Actor, method, path, body string) (status int, answer string) {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r = r.WithContext(audit.WithActor(r.Context(), who))
	w := httptest.NewRecorder()
	s.admin.Handler().ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func (s *site) idle(t *testing.T, want int) {
	t.Helper()
	testkit.Eventually(t, "live sessions and connections at home", func() bool { return len(s.server.Access().Sessions()) == want && s.home.open() == want })
}

func TestAccessTakenAway(t *testing.T) {
	t.Parallel()
	for name, op := range map[string]struct{ method, path, reason string }{
		"disabled": {http.MethodPost, "/v1/users/alice/disable", "user-disabled"},
		"reset":    {http.MethodPost, "/v1/users/alice/reset", "user-reset"},
		"removed":  {http.MethodDelete, "/v1/users/alice", "user-removed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, options{})
			c, idle, bob := s.login("alice"), s.login("alice"), s.login("bob")
			said := begin(t, c.jump("home"))
			begin(t, bob.jump("home"))
			if code, text := s.operate(op.method, op.path, ""); code != http.StatusOK {
				t.Fatalf("%d %s", code, text)
			}
			if text := said(); !strings.Contains(text, "your access was changed") {
				t.Errorf("the user is told %q", text)
			}
			for _, x := range []*client{c, idle} {
				testkit.Finishes(t, "the connection's end", func() { _ = x.Wait() })
			}
			if e := s.log.Await(t, audit.SessionEnded, op.reason); e.User != "alice" || e.Recording == nil {
				t.Errorf("%+v", e)
			}
			s.idle(t, 1) // bob's
			if out, _, err := run(t, bob.jump("home"), "say in"); out != "in" {
				t.Errorf("somebody else: %q, %v", out, err)
			}
		})
	}
}

// The account is disabled between the login's last look at it and the start of
// a session: the registered session is seen, and its start has an end.
func TestDisabledWhileASessionStarts(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	var once sync.Once
	var disabling sync.WaitGroup
	s.log.Before(func(e audit.Event) {
		if e.Type != audit.SessionStarted {
			return
		}
		once.Do(func() {
			disabling.Add(1)
			go func() { defer disabling.Done(); s.operate(http.MethodPost, "/v1/users/alice/disable", "") }()
			testkit.Eventually(t, "disabled", func() bool {
				u, err := s.auth.User(context.Background(), "alice")
				return err == nil && u.Disabled
			})
		})
	})
	c := s.login("alice")
	if inner, err := c.inner("home", nil); err == nil {
		if out, _, err := run(t, inner, "say in"); out != "" || err == nil {
			t.Errorf("%q, %v", out, err)
		}
	}
	testkit.Finishes(t, "the operator's verb", disabling.Wait)
	testkit.Finishes(t, "the connection's end", func() { _ = c.Wait() })
	start, end := s.log.Await(t, audit.SessionStarted, ""), s.log.Await(t, audit.SessionEnded, "")
	if start.Session != end.Session {
		t.Errorf("%+v\n%+v", start, end)
	}
	s.idle(t, 0)
}

// A policy that takes access away while entry still talks to the target must
// count for the session that is just being opened.
func TestPolicyTakenAwayWhileASessionOpens(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	without := policies.Parse(t, strings.Replace(s.policyText("", ""), "[alice, bob]", "[bob]", 1))
	s.home.set(func(m *machine) { m.greet = func() { s.server.Access().SetPolicy(without) } })
	c := s.login("alice")
	_, said, err := run(t, c.jump("home"), "say in")
	if exitStatus(err) != 255 {
		t.Errorf("%v", err)
	}
	s.refusedWith(t, strings.TrimSuffix(said, "\n"), audit.AccessRefused, "revoked")
	if n := s.log.All(audit.SessionStarted); len(n) != 0 {
		t.Errorf("%+v", n)
	}
	s.idle(t, 0)
	if list := testkit.Must(recording.List(s.dir + "/spool"))(t); len(list) != 0 {
		t.Errorf("recordings: %+v", list)
	}
}

func TestReload(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		before, after func(string) string
		said          string // "" goes on
	}{
		"the same":      {after: func(p string) string { return p }},
		"fewer members": {after: func(p string) string { return strings.Replace(p, "[alice, bob]", "[bob]", 1) }, said: "entry: home.tinker isn't open to you; ask your lab's administrator"},
		"no target": {after: func(p string) string {
			return strings.NewReplacer("home:", "house:", "home.tinker", "house.tinker").Replace(p)
		}, said: "isn't open to you"},
		"recorded from now on": {
			before: func(p string) string { return strings.Replace(p, "record: full", "record: metadata", 1) },
			after:  func(p string) string { return p }, said: "are recorded from now on"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, options{policy: func(s *site) string {
				if tt.before != nil {
					return tt.before(usual(s))
				}
				return usual(s)
			}})
			inner := s.login("alice").jump("home")
			said := begin(t, inner)
			s.server.Access().SetPolicy(policies.Parse(t, tt.after(usual(s))))
			if tt.said == "" {
				if out, _, err := run(t, inner, "say in"); out != "in" {
					t.Errorf("%q, %v", out, err)
				}
				return
			}
			if text := said(); !strings.Contains(text, tt.said) {
				t.Errorf("the user is told %q", text)
			}
			s.log.Await(t, audit.SessionEnded, "policy-changed")
			s.idle(t, 0)
		})
	}
}

// A login that is too old for new channels is no reason to end what runs, at
// no reload either.
func TestReloadSparesOldConnections(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	c := s.login("alice")
	inner := c.jump("home")
	begin(t, inner)
	s.clock.Advance(13 * time.Hour)
	s.server.Access().SetPolicy(policies.Parse(t, usual(s)))
	s.refusedWith(t, c.told(jumpTo("home", 22)), audit.JumpRefused, "code-too-old")
	if _, err := inner.NewSession(); err == nil {
		t.Error("a new channel in the old session")
	}
	s.idle(t, 1)
	if n := s.log.All(audit.SessionEnded); len(n) != 0 {
		t.Errorf("%+v", n)
	}
}

// With the store down nothing new opens, and what runs goes on, reload or not.
func TestStoreDown(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	c := s.login("alice")
	begin(t, c.jump("home"))
	if err := s.store.Close(); err != nil {
		t.Fatal(err)
	}
	s.server.Access().SetPolicy(policies.Parse(t, usual(s)))
	said := c.refused(jumpTo("home", 22))
	s.refusedWith(t, said, audit.AccessRefused, "revoked")
	if !strings.Contains(said, "can't check your access right now") {
		t.Errorf("%q", said)
	}
	if _, err := s.tryDial(s.config("bob")); err == nil {
		t.Error("a login without the store")
	}
	s.idle(t, 1)
}

func TestConcurrent(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{policy: func(s *site) string { return s.policyText("", "    limits: {concurrent: 2}\n") }})
	c := s.login("alice")
	refused := make(chan string, 8)
	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			inner, err := c.inner("home", nil)
			if err != nil {
				t.Error(err)
				return
			}
			sess, err := inner.NewSession()
			if err != nil {
				t.Error(err)
				return
			}
			var errs strings.Builder
			sess.Stderr = &errs
			if err := sess.Run("wait"); exitStatus(err) == 255 {
				refused <- strings.TrimSuffix(errs.String(), "\n")
			}
		}()
	}
	testkit.Eventually(t, "six refusals", func() bool { return len(refused) == 6 })
	testkit.Eventually(t, "two programs", func() bool { return len(s.log.All(audit.ExecRequested)) == 2 })
	s.idle(t, 2)
	// A refused session leaves no recording that the log knows nothing of.
	if list := testkit.Must(recording.List(s.dir + "/spool"))(t); len(list) != 2 {
		t.Errorf("%d recordings", len(list))
	}
	c.Close()
	testkit.Finishes(t, "the others' end", wg.Wait)
	if n := len(s.log.All(audit.SessionStarted)); n != 2 || len(refused) != 6 {
		t.Fatalf("%d sessions, %d refusals", n, len(refused))
	}
	for range 6 {
		if said := <-refused; !strings.Contains(said, "you already have 2 sessions on home.tinker, the most that you may have") {
			t.Errorf("%q", said)
		}
	}
}

func TestClientVanishes(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	c := s.login("alice")
	begin(t, c.jump("home"))
	c.Close()
	if e := s.log.Await(t, audit.SessionEnded, "closed"); e.Recording == nil {
		t.Errorf("%+v", e)
	}
	s.idle(t, 0)
}

func TestTargetDies(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	said := begin(t, s.login("alice").jump("home"))
	s.home.set(func(m *machine) {
		for nc := range m.conns {
			nc.Close()
		}
	})
	if text := said(); !strings.Contains(text, "home.tinker") {
		t.Errorf("the user is told %q", text)
	}
	s.log.Await(t, audit.SessionEnded, "upstream-lost")
	s.idle(t, 0)
}

func TestRecorderRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		reason, said string
	}{
		"reserve": {reason: "recorder-full", said: "disk for recordings is full"},
		"closed":  {reason: "recorder", said: "could not be recorded"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, options{options: func(o *bastion.Options) {
				if name == "closed" {
					return
				}
				full := testkit.Must(spool.Open(spool.Options{Dir: t.TempDir(), Reserve: 1 << 60, Commit: func(context.Context, recording.Tick) error { return nil }}))(t)
				t.Cleanup(func() {
					if err := full.Close(); err != nil {
						t.Error(err)
					}
				})
				o.Spool = full
			}})
			if name == "closed" {
				if err := s.spool.Close(); err != nil {
					t.Fatal(err)
				}
			}
			_, said, err := run(t, s.login("alice").jump("home"), "say in")
			if exitStatus(err) != 255 || !strings.Contains(said, tt.said) {
				t.Errorf("%q, %v", said, err)
			}
			s.refusedWith(t, strings.TrimSuffix(said, "\n"), audit.RecordingFailed, tt.reason)
			s.idle(t, 0)
		})
	}
}

// A recorder that fails in the middle ends the session.
func TestRecorderFails(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	said := begin(t, s.login("alice").jump("home"))
	_ = s.spool.Close() // with a recording open: that is the fault
	if text := said(); !strings.Contains(text, "recording") {
		t.Errorf("the user is told %q", text)
	}
	s.idle(t, 0)
}
