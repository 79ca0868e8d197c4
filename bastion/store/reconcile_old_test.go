package store

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"entry/audit"
	"entry/bastion/identity"
	"entry/e2e/testkit"
	"entry/policy"
)

// Records of versions that didn't say what a change took, after the newest thing
// of a database without a note of its log: all that they can have taken is.
func TestRecordsThatSayLess(t *testing.T) {
	old := func(kind audit.Type) audit.Event { return audit.Event{Type: kind, User: "alice"} }
	for _, tt := range []struct {
		name   string
		marked bool
		events []audit.Event
		check  func(identity.Account) bool
	}{
		{"the first start of this version", false, []audit.Event{old(audit.UserDisabled), old(audit.UserReset)}, func(a identity.Account) bool {
			return !a.Disabled && a.Passphrase != "" && len(a.Recovery) == 2
		}},
		{"disabled", true, []audit.Event{old(audit.UserDisabled)}, func(a identity.Account) bool { return a.Disabled }},
		{"and enabled", true, []audit.Event{old(audit.UserDisabled), old(audit.UserEnabled)}, func(a identity.Account) bool { return !a.Disabled && len(a.Remembered) == 0 }},
		{"reset", true, []audit.Event{old(audit.UserReset)}, func(a identity.Account) bool {
			return a.Passphrase == "" && a.Temporary == nil && len(a.Authenticators)+len(a.Recovery) == 0
		}},
		{"recovery code", true, []audit.Event{old(audit.RecoveryUsed)}, func(a identity.Account) bool { return !a.Recovery[0].Used.IsZero() && !a.Recovery[1].Used.IsZero() }},
		{"not applied", true, []audit.Event{old(audit.UserDisabled), {Type: audit.UserDisabled, User: "alice", Reason: "not-applied"}}, func(a identity.Account) bool { return !a.Disabled }},
		{"removed", true, []audit.Event{old(audit.UserRemoved)}, func(a identity.Account) bool { return a.ID == "" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			db := filepath.Join(t.TempDir(), "entry.db")
			n := newNode(t, db)
			n.enrolledAccount()
			for _, q := range []string{"DELETE FROM log_positions", "DELETE FROM applied"} {
				testkit.Must(n.store.write.Exec(q))(t)
			}
			n.kill()
			if !tt.marked { // another log, of a version before
				testkit.Check(t, os.RemoveAll(filepath.Join(n.dir, "audit")))
			}
			l := testkit.Must(audit.Open(filepath.Join(n.dir, "audit"), audit.Options{Key: n.key}))(t)
			testkit.Check(t, l.Append(t.Context(), tt.events...))
			testkit.Check(t, l.Close())
			testkit.Check(t, n.open())
			if a := n.account("alice"); !tt.check(a) {
				t.Errorf("%+v", a)
			}
		})
	}
}

// An approval that was used up stays used up.
func TestRestoredApprovalIsUsedUp(t *testing.T) {
	db := filepath.Join(t.TempDir(), "entry.db")
	n := newNode(t, db)
	n.enrolledAccount()
	seat := policy.Seat{User: "alice", Target: "home.tinker", Source: netip.MustParseAddr("2001:db8::7")}
	now := time.Now()
	w := n.waiting(seat, "1", now)
	testkit.Check(t, n.store.Give(t.Context(), w, policy.Approval{By: "carol", Rule: "out", At: now, Until: now.Add(time.Hour), Uses: 1}))
	n.keep()
	testkit.Must(n.store.Use(t.Context(), seat, []string{"out"}, "s1", now))(t)
	testkit.Check(t, n.log.Append(t.Context(), audit.Event{Type: audit.SessionStarted, Session: "s1", User: "alice", Target: "home.tinker", Source: "[2001:db8::7]:50122", Approver: "carol"}))
	n.putBack()
	if given := testkit.Must(n.store.Given(t.Context(), seat, "", true, now))(t); len(given) != 0 {
		t.Errorf("%+v, told %q", given, n.did)
	}
}

// An approval that was withdrawn stays withdrawn, unless the log says that it wasn't
// done; and only that one.
func TestRestoredApprovalIsWithdrawn(t *testing.T) {
	db := filepath.Join(t.TempDir(), "entry.db")
	n := newNode(t, db)
	n.enrolledAccount()
	seat := policy.Seat{User: "alice", Target: "home.tinker", Source: netip.MustParseAddr("2001:db8::7")}
	now := time.Now()
	w := n.waiting(seat, "1", now)
	for _, by := range []string{"carol", "dave", "erin"} {
		testkit.Check(t, n.store.Give(t.Context(), w, policy.Approval{By: by, Rule: "out", At: now, Until: now.Add(time.Hour)}))
	}
	n.keep()
	withdrawn := audit.Event{Type: audit.ApprovalWithdrawn, Ref: w.Request, User: "alice", Approver: "carol"}
	failed := withdrawn
	failed.Approver = "dave"
	undone := failed
	undone.Reason = "not-applied"
	testkit.Check(t, n.log.Append(t.Context(), withdrawn, failed, undone))
	n.putBack()
	var left []string
	for _, a := range testkit.Must(n.store.Given(t.Context(), seat, "", true, now))(t) {
		left = append(left, a.By)
	}
	if slices.Sort(left); !slices.Equal(left, []string{"dave", "erin"}) {
		t.Errorf("left: %q, told %q", left, n.did)
	}
}
