package bastion_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"entry/audit"
	"entry/bastion"
	"entry/bastion/identity"
	"entry/bastion/store"
	"entry/configs"
	"entry/e2e/testkit"
)

// shaky is a store that can't tell whether logins stand while it is broken.
type shaky struct {
	*store.Store
	broken atomic.Bool
}

func (f *shaky) Standing(ctx context.Context, user, key string) (identity.Standing, error) {
	if f.broken.Load() {
		return identity.Standing{}, errors.New("disk I/O error")
	}
	return f.Store.Standing(ctx, user, key)
}

// shakySite is a site on such a store.
func shakySite(t *testing.T, text func(*site) string) (*site, *shaky) {
	t.Helper()
	f := &shaky{}
	s := newSite(t, options{policy: text, options: func(o *bastion.Options) {
		f.Store = o.Usage.(*store.Store)
		o.Auth = testkit.Must(identity.New(identity.Options{Config: configs.Default(), Store: f, Events: o.Events.Append, Secret: []byte(siteSecret), Now: o.Now}))(t)
	}})
	return s, f
}

// A change that comes while the database can't tell isn't lost: it is asked
// about again once it can.
func TestRevokedWhileNobodyCanTell(t *testing.T) {
	t.Parallel()
	s, db := shakySite(t, usual)
	there := s.elsewhere()
	begin(t, s.login("alice").jump("home"))
	s.idle(t, 1)
	db.broken.Store(true)
	testkit.Check(t, there.Disable(t.Context(), "alice"))
	testkit.Eventually(t, "the change is seen", func() bool { return testkit.Must(there.User(t.Context(), "alice"))(t).Disabled })
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond) // longer than the feed takes to come by
	defer cancel()
	<-ctx.Done()
	if n := len(s.server.Access().Sessions()); n != 1 {
		t.Fatalf("%d sessions while nobody can tell: what runs goes on", n)
	}
	db.broken.Store(false)
	if e := s.log.Await(t, audit.SessionEnded, "revoked"); e.User != "alice" {
		t.Errorf("%+v", e)
	}
}

// What `alice+home` has opened belongs to its connection from the first moment,
// whatever refuses that: it used to stay live for ever.
func TestOpenedAndRefused(t *testing.T) {
	t.Parallel()
	t.Run("disabled elsewhere", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, options{})
		there := s.elsewhere()
		var once atomic.Bool
		s.log.Before(func(e audit.Event) {
			if e.Type == audit.SessionStarted && once.CompareAndSwap(false, true) {
				if err := there.Disable(context.Background(), "alice"); err != nil {
					t.Error(err)
				}
			}
		})
		if c, err := s.tryDial(s.config("alice+home")); err == nil {
			_ = c.Wait()
		}
		s.log.Await(t, audit.SessionEnded, "")
		s.idle(t, 0)
	})
	t.Run("nobody can tell", func(t *testing.T) {
		t.Parallel()
		s, db := shakySite(t, func(s *site) string { return s.policyText("", "    limits: {concurrent: 1}\n") })
		var once atomic.Bool
		s.log.Before(func(e audit.Event) {
			if e.Type == audit.SessionStarted && once.CompareAndSwap(false, true) {
				db.broken.Store(true)
			}
		})
		if c, err := s.tryDial(s.config("alice+home")); err == nil {
			_ = c.Wait()
		}
		s.log.Await(t, audit.SessionEnded, "")
		db.broken.Store(false)
		s.idle(t, 0)
		begin(t, s.login("alice").jump("home")) // its place is free
	})
}

// Connections of one remembered login have equal identities, and each ends on
// the account's date.
func TestTwinsEndOnTheDate(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	s.clock.Go()
	s.login("alice").Close() // key and code: remembered from now on
	for range 3 {
		begin(t, s.login("alice").jump("home"))
	}
	s.idle(t, 3)
	testkit.Check(t, s.auth.SetEnd(t.Context(), "alice", s.clock.Now().Add(1500*time.Millisecond)))
	s.idle(t, 0)
}

// Who waits for approval on a connection that leads to one target is known
// before it leads anywhere.
func TestRevokedWhileWaitingForTheWhole(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{policy: fourEyes(byBob)})
	there := s.elsewhere()
	whole := s.triesWhole("alice")
	whole.await(t, "needs the approval")
	testkit.Check(t, there.Disable(t.Context(), "alice"))
	s.waiting(t, 0)
	whole.ends(t)
}

// What was approved goes with the access: whoever gives that back doesn't give
// the approval.
func TestApprovalGoesWithTheAccess(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{policy: fourEyes(byBob)})
	a := s.login("alice").tries()
	s.approve(t, s.waiting(t, 1)[0].ID, "bob")
	a.in(t)
	for _, op := range []string{"disable", "enable"} {
		if code, text := s.operate("POST", "/v1/users/alice/"+op, ""); code != 200 {
			t.Fatalf("%d %s", code, text)
		}
	}
	again := s.login("alice").tries()
	again.await(t, "needs the approval")
	s.approve(t, s.waiting(t, 1)[0].ID, "bob")
	again.in(t)
}
