package store

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"net/netip"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/bastion/identity"
	"entry/e2e/testkit"
	"entry/policy"
	"entry/policy/pubkey"
)

// row is one account that a copy of the database is older than: what it was, what
// happened since, and what a start with the copy has to make of it.
type row struct {
	name   string
	before func(a *identity.Account) // in place of an account with everything
	since  func(n *node, name string) error
	is     func(a identity.Account) bool
	quiet  bool // nothing is taken, so nothing is said
}

// A start with an older database leaves nobody more than the log's last word, nor more
// than that database, over everything that bounds an account. All rows are accounts of
// one database.
func TestOlderDatabaseHasNoMore(t *testing.T) {
	day := time.Now().UTC().Truncate(24 * time.Hour)
	early, late := day.AddDate(0, 0, 5), day.AddDate(0, 0, 10)
	ends := func(end time.Time) func(*node, string) error {
		return func(n *node, name string) error { return n.auth.SetEnd(n.t.Context(), name, end) }
	}
	all := func(steps ...func(*node, string) error) func(*node, string) error {
		return func(n *node, name string) error {
			var errs []error
			for _, do := range steps {
				errs = append(errs, do(n, name))
			}
			return errors.Join(errs...)
		}
	}
	// said is an event of the account and of its next change, which isn't made.
	said := func(e audit.Event, taken string) func(*node, string) error {
		return func(n *node, name string) error {
			a := n.account(name)
			e := e
			e.User = name
			if taken != "none" {
				e.Change = &audit.Change{Account: a.ID, Generation: a.Generation + 1, Taken: taken}
			}
			return n.append(context.Background(), e)
		}
	}
	failed := func(e audit.Event, taken string) func(*node, string) error {
		undone := e
		undone.Reason = "not-applied"
		return all(said(e, taken), said(undone, taken))
	}
	key := func(a identity.Account) string { return a.Keys[0].Fingerprint }
	used := func(n *node, name string) string { return "use:" + key(n.account(name)) }
	suspend := func(n *node, name string) error {
		return said(audit.Event{Type: audit.LoginLocked, Key: key(n.account(name)), Reason: "key-suspended"}, used(n, name))(n, name)
	}
	withKey := func(e audit.Event) func(*node, string) error {
		return func(n *node, name string) error {
			e := e
			e.Key = key(n.account(name))
			return said(e, "")(n, name)
		}
	}
	again := func(share string) func(*node, string) error {
		return func(n *node, name string) error {
			k := n.account(name).Keys[0]
			err := n.auth.RemoveKey(n.t.Context(), name, k.Fingerprint)
			add := func() error { _, err := n.auth.AddKey(n.t.Context(), name, k.Line); return err }
			if share != "" {
				add = func() error { _, err := n.auth.ShareKey(n.t.Context(), name, k.Line, share); return err }
			}
			return errors.Join(err, add())
		}
	}
	disable := func(n *node, name string) error { return n.auth.Disable(n.t.Context(), name) }
	locked := audit.Event{Type: audit.LoginLocked, Reason: "account-locked", Until: &late}
	unlocked := audit.Event{Type: audit.UserChanged, Detail: "unlocked: lifted the account's lock"}
	invited := func(a *identity.Account) {
		*a = identity.Account{ID: a.ID, Name: a.Name, Generation: 1, Created: a.Created, Temporary: &identity.Temporary{Hash: [32]byte{9}, Expires: late}}
	}
	same := func(identity.Account) bool { return true }
	rows := []row{
		{"end", nil, ends(early), func(a identity.Account) bool { return a.Ends.Equal(early) }, false},
		{"end put off", nil, all(ends(early), ends(late)), func(a identity.Account) bool { return a.Ends.Equal(late) }, false},
		{"end put off, as older versions said it", nil, all(ends(early), said(audit.Event{Type: audit.UserChanged, Until: &late}, "")), func(a identity.Account) bool { return a.Ends.Equal(late) }, false},
		{"end put off, but not applied", nil, all(ends(early), failed(audit.Event{Type: audit.UserChanged, Until: &late}, identity.EndsAfter(late))), func(a identity.Account) bool { return a.Ends.Equal(early) }, false},
		{"end of before put off", func(a *identity.Account) { a.Ends = early }, ends(late), func(a identity.Account) bool { return a.Ends.Equal(early) && len(a.Remembered) == 1 }, true},
		{"end of before taken away", func(a *identity.Account) { a.Ends = early }, ends(time.Time{}), func(a identity.Account) bool { return a.Ends.Equal(early) }, true},
		{"end set and taken away", nil, all(ends(early), ends(time.Time{})), func(a identity.Account) bool { return a.Ends.IsZero() }, true},

		{"enabled, but not applied", nil, all(disable, failed(audit.Event{Type: audit.UserEnabled}, "")), func(a identity.Account) bool { return a.Disabled }, false},
		{"disabled by two at once", nil, all(said(audit.Event{Type: audit.UserDisabled, Detail: "a"}, "disabled proven"), failed(audit.Event{Type: audit.UserDisabled, Detail: "b"}, "disabled proven")), func(a identity.Account) bool { return a.Disabled }, false},

		{"key added again", nil, again(""), func(a identity.Account) bool {
			return len(a.Keys) == 1 && a.Keys[0].Proven.IsZero() && a.Keys[0].Shared == "" && len(a.Remembered) == 0
		}, false},
		{"shared key added again", func(a *identity.Account) { a.Keys[0].Shared = "bench" }, again(""), func(a identity.Account) bool {
			return len(a.Keys) == 1 && a.Keys[0].Proven.IsZero() && a.Keys[0].Shared == "" && len(a.Remembered) == 0
		}, false},
		{"shared key added again, shared", func(a *identity.Account) { a.Keys[0].Shared = "bench" }, again("desk"), func(a identity.Account) bool {
			return len(a.Keys) == 1 && a.Keys[0].Shared == "bench" && len(a.Remembered) == 0
		}, false},
		{"suspended key", nil, suspend, func(a identity.Account) bool { return !a.Keys[0].Suspended.IsZero() }, false},
		{"suspended key, and another change of who has it open", nil, all(suspend, withKey(audit.Event{Type: audit.UserChanged, Detail: "temporary passphrase used up"})), func(a identity.Account) bool { return !a.Keys[0].Suspended.IsZero() }, false},
		{"suspended key in use again", nil, all(suspend, withKey(audit.Event{Type: audit.UserChanged, Detail: identity.KeyInUse})), func(a identity.Account) bool { return a.Keys[0].Suspended.IsZero() }, true},

		{"number", func(a *identity.Account) { a.CodeBySMS = true }, func(n *node, name string) error { return n.auth.SetPhone(n.t.Context(), name, "", false) }, func(a identity.Account) bool { return a.Phone == "" && !a.CodeBySMS }, false},
		{"number that codes didn't go to yet", nil, func(n *node, name string) error {
			return n.auth.SetPhone(n.t.Context(), name, "+46709876543", false)
		}, func(a identity.Account) bool { return a.Phone == "" }, false},
		{"all keys forgotten, for a new number", nil, said(audit.Event{Type: audit.KeyForgotten}, "none"), func(a identity.Account) bool { return len(a.Keys) == 1 && len(a.Remembered) == 0 }, false},

		{"invitation renewed", invited, func(n *node, name string) error { _, _, _, err := n.auth.Invite(n.t.Context(), name); return err }, func(a identity.Account) bool { return a.Temporary == nil }, false},
		{"temporary passphrase used up", invited, said(audit.Event{Type: audit.PassphraseChanged}, "temporary"), func(a identity.Account) bool { return a.Temporary == nil && a.Passphrase == "" }, false},
		{"reset that waited, carried out", func(a *identity.Account) {
			a.Pending = &identity.PendingReset{By: audit.Actor{UID: 1, LoginUID: 1}, Asked: time.Now().UTC()}
		}, func(n *node, name string) error { _, err := n.auth.Reset(n.t.Context(), name); return err }, func(a identity.Account) bool { return a.Pending == nil && len(a.Authenticators)+len(a.Recovery) == 0 }, false},
		{"back from a directory", func(a *identity.Account) {
			a.Realm, a.Passphrase, a.PassphraseSet = "campus", "", time.Time{}
		}, func(n *node, name string) error { return n.auth.SetRealm(n.t.Context(), name, "") }, func(a identity.Account) bool { return a.Realm == "" && a.Passphrase == "" && len(a.Remembered) == 0 }, false},
		{"more taken than a record can say", nil, said(audit.Event{Type: audit.UserDeparted}, "proven sms device: key:"), func(a identity.Account) bool {
			return len(a.Keys)+len(a.Authenticators)+len(a.Remembered) == 0
		}, false},

		{"locked", nil, said(locked, "none"), func(a identity.Account) bool { return a.LockedUntil.Equal(late) && len(a.Remembered) == 1 }, false},
		{"locked until yesterday", nil, said(audit.Event{Type: audit.LoginLocked, Reason: "account-locked", Until: new(day.AddDate(0, 0, -1))}, "none"), func(a identity.Account) bool { return a.LockedUntil.IsZero() }, true},
		{"locked and unlocked", nil, all(said(locked, "none"), said(unlocked, "none")), func(a identity.Account) bool { return a.LockedUntil.IsZero() }, true},
		{"locked and not unlocked", nil, all(said(locked, "none"), failed(unlocked, "none")), func(a identity.Account) bool { return a.LockedUntil.Equal(late) }, false},
		{"from a source locked", nil, said(audit.Event{Type: audit.LoginLocked, Reason: "too-many-failures", Until: &late}, "none"), func(a identity.Account) bool { return a.LockedUntil.IsZero() }, true},

		{"reviewed, ended and asked for, nothing of which is the database's", nil, all(said(audit.Event{Type: audit.SessionReviewed, Session: "s"}, "none"), said(audit.Event{Type: audit.SessionKilled, Session: "s"}, "none"), said(audit.Event{Type: audit.ApprovalRequested, Ref: "r"}, "none")), same, true},
	}
	n := newNode(t, filepath.Join(t.TempDir(), "entry.db"))
	names := map[string]string{}
	for i, r := range rows {
		name := "u" + string(rune('a'+i/26)) + string(rune('a'+i%26))
		names[r.name] = name
		n.full(name, r.before)
	}
	n.keep()
	for _, r := range rows {
		if err := r.since(n, names[r.name]); err != nil {
			t.Fatalf("%s: %v", r.name, err)
		}
	}
	n.putBack()
	var got []identity.Account
	for _, r := range rows {
		a := n.account(names[r.name])
		got = append(got, a)
		told := slices.ContainsFunc(n.did, func(line string) bool { return strings.HasPrefix(line, a.Name+": ") })
		if !r.is(a) || told == r.quiet {
			t.Errorf("%s: told: %t\n%+v", r.name, told, a)
		}
	}
	n.kill()
	testkit.Check(t, n.open()) // once is enough
	if len(n.did) != 0 {
		t.Errorf("the next start: %q", n.did)
	}
	for i, r := range rows {
		if a := n.account(names[r.name]); !reflect.DeepEqual(a, got[i]) {
			t.Errorf("%s: after the next start\n got %+v\nwant %+v", r.name, a, got[i])
		}
	}
}

// full makes an account with a key that was proven and is remembered, an
// authenticator, recovery codes and a number; before may make it another one.
func (n *node) full(name string, before func(*identity.Account)) {
	n.t.Helper()
	ctx := n.t.Context()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	pub := testkit.Must(ssh.NewPublicKey(testkit.Must(public, err)(n.t)))(n.t)
	at := time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
	a := identity.Account{
		ID: "id-" + name, Name: name, Generation: 1, Created: at, Passphrase: "$argon2id$", PassphraseSet: at,
		Keys:           []identity.Key{{Fingerprint: ssh.FingerprintSHA256(pub), Line: pubkey.Line(pub), Added: at}},
		Authenticators: []identity.EnrolledAuthenticator{{ID: "d-" + name, Name: "phone", Sealed: []byte{1}, Created: at, LastStep: 5}},
		Recovery:       []identity.RecoveryCode{{Hash: [32]byte{7}}, {Hash: [32]byte{8}}},
		Phone:          "+46701234567",
	}
	if before != nil {
		before(&a)
	}
	testkit.Check(n.t, n.store.Create(ctx, a))
	if len(a.Keys) == 0 {
		return
	}
	testkit.Must(n.store.ProveKey(ctx, a.ID, a.Keys[0].Fingerprint, at))(n.t)
	testkit.Check(n.t, n.store.RecordLogin(ctx, a.ID, 1, identity.LoginInfo{At: at, Source: "192.0.2.7", Method: "publickey+otp"},
		&identity.Remembrance{Fingerprint: a.Keys[0].Fingerprint, Network: netip.MustParsePrefix("192.0.2.7/32"), Authenticator: "d-" + name, Since: at, Until: at.Add(9 * time.Hour)}))
}

// What was moved today counts, though an older database is put back; what a crash
// leaves behind is in it already.
func TestRestoredDatabaseCountsBytes(t *testing.T) {
	n := newNode(t, filepath.Join(t.TempDir(), "entry.db"))
	n.enrolledAccount()
	now := time.Now()
	ctx := t.Context()
	left := func(owner string) int64 {
		got, _, err := n.store.Reserve(ctx, now, owner, 1000, 1000)
		testkit.Check(t, err)
		testkit.Check(t, n.store.Release(ctx, now, owner, got))
		return got
	}
	moved := func(e audit.Event) {
		e.User, e.Lab, e.Target, e.BytesDown, e.BytesUp = "alice", "tinker", "home.tinker", 300, 20
		testkit.Check(t, n.append(ctx, e))
	}
	n.keep()
	moved(audit.Event{Type: audit.SessionEnded, Session: "s1"})
	n.kill()
	testkit.Check(t, n.open()) // as after a crash
	if got := left("down alice home.tinker"); got != 1000 {
		t.Errorf("after a crash %d are left", got)
	}
	moved(audit.Event{Type: audit.ForwardClosed, Session: "s2"}) // in its session's sum
	testkit.Check(t, n.append(ctx, audit.Event{Type: audit.ServerStarted}))
	moved(audit.Event{Type: audit.ForwardClosed})
	n.putBack()
	for owner, want := range map[string]int64{"down alice home.tinker": 400, "up alice home.tinker": 960, "lab alice tinker": 360} {
		if got := left(owner); got != want {
			t.Errorf("%s: %d are left, want %d", owner, got, want)
		}
	}
	n.kill()
	testkit.Check(t, n.open())
	if got := left("down alice home.tinker"); got != 400 {
		t.Errorf("after the next start %d are left", got)
	}
}

// An approval that a narrower one replaced doesn't come back.
func TestRestoredApprovalIsReplaced(t *testing.T) {
	n := newNode(t, filepath.Join(t.TempDir(), "entry.db"))
	n.enrolledAccount()
	seat := policy.Seat{User: "alice", Target: "home.tinker", Source: netip.MustParseAddr("2001:db8::7")}
	now := time.Now()
	w := n.waiting(seat, "1", now)
	for _, by := range []string{"carol", "dave", "erin"} {
		testkit.Check(t, n.store.Give(t.Context(), w, policy.Approval{By: by, Rule: "out", At: now, Until: now.Add(time.Hour)}))
	}
	n.keep()
	given := audit.Event{Type: audit.ApprovalGiven, Ref: "r2", User: "alice", Approver: "carol", Target: "home.tinker", Source: "2001:db8::7", Rule: "out (20-lab.yaml:3)"}
	failed := given
	failed.Approver = "dave"
	undone := failed
	undone.Reason = "not-applied"
	elsewhere := given
	elsewhere.Approver, elsewhere.Rule = "erin", "in (20-lab.yaml:9)"
	testkit.Check(t, n.append(t.Context(), given, failed, undone, elsewhere))
	n.putBack()
	var left []string
	for _, a := range testkit.Must(n.store.Given(t.Context(), seat, "", true, now))(t) {
		left = append(left, a.By)
	}
	if slices.Sort(left); !slices.Equal(left, []string{"dave", "erin"}) {
		t.Errorf("left: %q, told %q", left, n.did)
	}
}
