package store

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"entry/audit"
	"entry/bastion/access"
	"entry/bastion/identity"
	"entry/configs"
	"entry/e2e/testkit"
	"entry/policy"
)

// node is a server's log and database, with the accounts on them.
type node struct {
	t     *testing.T
	dir   string
	db    string
	key   string
	log   *audit.Log
	store *Store
	auth  *identity.Authenticator
	did   []string
	hook  func(audit.Event) // before and after each event is appended
}

func newNode(t *testing.T, db string) *node {
	t.Helper()
	key, _, err := audit.GenerateKey("entry")
	n := &node{t: t, dir: t.TempDir(), db: db, key: testkit.Must(key, err)(t)}
	testkit.Check(t, n.open())
	t.Cleanup(n.kill)
	return n
}

// open starts it; the error is Reconcile's.
func (n *node) open() (err error) {
	n.t.Helper()
	n.log = testkit.Must(audit.Open(filepath.Join(n.dir, "audit"), audit.Options{Key: n.key}))(n.t)
	n.store = testkit.Must(OpenSQLite(n.db, nil))(n.t)
	now := time.Now()
	size := n.log.Position().Size
	copied, would, unread, rehearsed := n.store.Rehearse(context.Background(), n.log, now)
	if rehearsed == nil {
		testkit.Check(n.t, copied.Close())
	}
	if n.log.Position().Size != size {
		n.t.Error("a rehearsal has written to the log")
	}
	n.did, err = n.store.Reconcile(context.Background(), n.log, now)
	if (err == nil) != (rehearsed == nil) || err == nil && !slices.Equal(n.did, append(would, unread...)) {
		n.t.Errorf("the rehearsal said %q and %q (%v), the start %q (%v)", would, unread, rehearsed, n.did, err)
	}
	if err != nil {
		return err
	}
	cfg := configs.Default()
	n.auth, err = identity.New(identity.Options{Config: cfg, Store: n.store, Secret: []byte("0123456789abcdef0123456789abcdef"), Events: n.append})
	return err
}

func (n *node) append(ctx context.Context, e ...audit.Event) error {
	if n.hook != nil {
		n.hook(e[0])
	}
	err := n.log.Append(ctx, e...)
	if n.hook != nil {
		n.hook(e[0])
	}
	return err
}

// kill ends it as kill -9 would: nothing is noted any more.
func (n *node) kill() {
	if n.log != nil {
		_ = n.store.Close()
		_ = n.log.Close()
		n.log = nil
	}
}

func (n *node) account(name string) identity.Account {
	n.t.Helper()
	a, err := n.store.Account(context.Background(), name)
	if err != nil && !errors.Is(err, identity.ErrNoAccount) {
		n.t.Fatal(err)
	}
	return a
}

func (n *node) alarms() (out []string) {
	for e, err := range n.log.Since(0) {
		if err != nil {
			n.t.Fatal(err)
		}
		if e.Type == audit.AlarmBehind {
			out = append(out, e.User+": "+e.Detail)
		}
	}
	return out
}

// keep ends it, copies its database and starts it again.
func (n *node) keep() {
	n.t.Helper()
	n.kill()
	copyDB(n.t, n.db, n.db+".old")
	testkit.Check(n.t, n.open())
}

// putBack ends it and starts it again with the copy that keep made.
func (n *node) putBack() {
	n.t.Helper()
	n.kill()
	copyDB(n.t, n.db+".old", n.db)
	testkit.Check(n.t, n.open())
}

// waiting is somebody who waits for an approval by the rule out.
func (n *node) waiting(seat policy.Seat, id string, now time.Time) access.Waiter {
	n.t.Helper()
	testkit.Must(n.store.Wait(n.t.Context(), access.Waiter{ID: id, Request: "r" + id, Seat: seat, Rule: "out", Until: now.Add(time.Hour)}, now))(n.t)
	all := testkit.Must(n.store.Waiters(n.t.Context(), now))(n.t)
	return all[len(all)-1]
}

// copyDB copies a database that nobody writes, with its log.
func copyDB(t *testing.T, from, to string) {
	t.Helper()
	for _, end := range []string{"", "-wal", "-shm"} {
		b, err := os.ReadFile(from + end)
		if errors.Is(err, os.ErrNotExist) {
			_ = os.Remove(to + end)
			continue
		}
		testkit.Check(t, err)
		testkit.Check(t, os.WriteFile(to+end, b, 0o600))
	}
}

// noMore says what opens more by got than by the account as it was in the end.
func noMore(got, end identity.Account) (more []string) {
	add := func(yes bool, what string) {
		if yes {
			more = append(more, what)
		}
	}
	if got.ID == "" {
		return nil
	}
	add(end.ID != got.ID, "the account")
	add(end.Disabled && !got.Disabled, "not disabled")
	add(!end.Ends.IsZero() && (got.Ends.IsZero() || got.Ends.After(end.Ends)), "no end")
	add(got.Passphrase != "" && got.Passphrase != end.Passphrase, "the passphrase")
	add(got.Temporary != nil && (end.Temporary == nil || *end.Temporary != *got.Temporary), "the temporary passphrase")
	add(got.Realm != "" && got.Realm != end.Realm, "the realm")
	add(got.CodeBySMS && (!end.CodeBySMS || got.Phone != end.Phone), "codes by SMS")
	add(got.Pending != nil && end.Pending == nil, "a pending reset")
	for _, k := range got.Keys {
		add(!slices.ContainsFunc(end.Keys, func(o identity.Key) bool {
			return o.Fingerprint == k.Fingerprint && (o.Suspended.IsZero() || !k.Suspended.IsZero())
		}), "a key")
	}
	for _, d := range got.Authenticators {
		add(!slices.ContainsFunc(end.Authenticators, func(o identity.EnrolledAuthenticator) bool { return o.ID == d.ID && d.LastStep >= o.LastStep }), "an authenticator or its steps")
	}
	for _, r := range got.Recovery {
		add(!slices.ContainsFunc(end.Recovery, func(o identity.RecoveryCode) bool {
			return o.Hash == r.Hash && (o.Used.IsZero() || !r.Used.IsZero())
		}), "a recovery code")
	}
	add(len(got.Remembered) > len(end.Remembered), "a remembered key")
	return more
}

const (
	laptop = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl laptop"
	desk   = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPsoMkZwtg+KIUXdNJcuwQVqrgGtTDPKc2Ahzvx3oZBQ desk"
)

// enrolledAccount is alice with everything there is to take away.
func (n *node) enrolledAccount() {
	n.t.Helper()
	ctx := n.t.Context()
	testkit.Must(n.auth.AddUser(ctx, "alice"))(n.t)
	testkit.Must(n.auth.AddKey(ctx, "alice", laptop))(n.t)
	a := n.account("alice")
	a.Passphrase, a.PassphraseSet = "$argon2id$", time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
	a.Authenticators = []identity.EnrolledAuthenticator{{ID: "d1", Name: "phone", Sealed: []byte{1}, Created: a.Created, LastStep: 5}}
	a.Recovery = []identity.RecoveryCode{{Hash: [32]byte{7}}, {Hash: [32]byte{8}}}
	a.Phone, a.CodeBySMS = "+46701234567", true
	testkit.Must(n.store.Save(ctx, a))(n.t)
	a = n.account("alice")
	login := identity.LoginInfo{At: time.Now(), Source: "192.0.2.7", Method: "publickey+otp"}
	testkit.Check(n.t, n.store.RecordLogin(ctx, a.ID, a.Generation, login, &identity.Remembrance{Fingerprint: a.Keys[0].Fingerprint, Network: netip.MustParsePrefix("192.0.2.7/32"), Authenticator: "d1", Since: time.Now(), Until: time.Now().Add(time.Hour)}))
}

// takings are what takes access away.
func takings() map[string]func(t *testing.T, n *node) error {
	fp := func(n *node) string { return n.account("alice").Keys[0].Fingerprint }
	asOperator := func(ctx context.Context) context.Context {
		return audit.WithActor(ctx, audit.Actor{UID: 1, LoginUID: 1, Name: "op"})
	}
	logged := func(n *node, e audit.Event, do func(context.Context, identity.Account) error) error {
		a := n.account("alice")
		e.User = "alice"
		if err := do(context.Background(), a); err != nil { // spent first, as in a login
			return err
		}
		return n.append(context.Background(), e)
	}
	return map[string]func(t *testing.T, n *node) error{
		"disabled":   func(t *testing.T, n *node) error { return n.auth.Disable(t.Context(), "alice") },
		"removed":    func(t *testing.T, n *node) error { return n.auth.Remove(t.Context(), "alice") },
		"reset":      func(t *testing.T, n *node) error { _, err := n.auth.Reset(t.Context(), "alice"); return err },
		"passphrase": func(t *testing.T, n *node) error { _, err := n.auth.ResetPassphrase(t.Context(), "alice"); return err },
		"key":        func(t *testing.T, n *node) error { return n.auth.RemoveKey(t.Context(), "alice", fp(n)) },
		"end": func(t *testing.T, n *node) error {
			return n.auth.SetEnd(t.Context(), "alice", time.Now().Add(time.Hour).UTC().Truncate(time.Second))
		},
		"disabled, enabled, key exchanged": func(t *testing.T, n *node) error {
			old := fp(n)
			_, err := n.auth.AddKey(asOperator(t.Context()), "alice", desk)
			return errors.Join(n.auth.Disable(t.Context(), "alice"), err, n.auth.RemoveKey(t.Context(), "alice", old), n.auth.Enable(t.Context(), "alice"))
		},
		"removed and made again": func(t *testing.T, n *node) error {
			err := n.auth.Remove(t.Context(), "alice")
			_, again := n.auth.AddUser(t.Context(), "alice")
			return errors.Join(err, again)
		},
		"code": func(_ *testing.T, n *node) error {
			return logged(n, audit.Event{Type: audit.LoginSucceeded, Method: "publickey+otp", Step: 9}, func(ctx context.Context, a identity.Account) error {
				_, err := n.store.SpendStep(ctx, "d1", 9, time.Now())
				return err
			})
		},
		"recovery code": func(_ *testing.T, n *node) error {
			return logged(n, audit.Event{Type: audit.RecoveryUsed, Hash: "08" + strings.Repeat("00", 31)}, func(ctx context.Context, a identity.Account) error {
				_, err := n.store.SpendRecovery(ctx, a.ID, [32]byte{8}, time.Now())
				return err
			})
		},
		"forgotten": func(_ *testing.T, n *node) error {
			return logged(n, audit.Event{Type: audit.KeyForgotten, Key: fp(n)}, func(ctx context.Context, a identity.Account) error {
				return n.store.Forget(ctx, a.ID, a.Keys[0].Fingerprint)
			})
		},
	}
}

// What was taken away stays away, though an older database is put back.
func TestRestoredDatabaseDoesntUnrevoke(t *testing.T) {
	for name, take := range takings() {
		t.Run(name, func(t *testing.T) {
			db := filepath.Join(t.TempDir(), "entry.db")
			n := newNode(t, db)
			n.enrolledAccount()
			n.keep()
			testkit.Check(t, take(t, n))
			end := n.account("alice")
			n.putBack()
			got := n.account("alice")
			if more := noMore(got, end); more != nil {
				t.Errorf("it is back: %v\n got %+v\nwant %+v", more, got, end)
			}
			alarms := n.alarms()
			if len(alarms) < 2 || !strings.HasPrefix(alarms[0], "alice: the database was older than this log; taken away again: ") || len(n.did) != len(alarms) {
				t.Errorf("%q %q", alarms, n.did)
			}
			n.kill()
			testkit.Check(t, n.open()) // once is enough
			if again := n.account("alice"); !reflect.DeepEqual(again, got) || len(n.did) != 0 {
				t.Errorf("the next start: %q\n got %+v\nwant %+v", n.did, again, got)
			}
		})
	}
}

// A crash leaves the log ahead of what is noted, at any moment. What came to the
// database stays as it is; what didn't is taken away.
func TestKilledAtAnyMoment(t *testing.T) {
	for name, take := range takings() {
		t.Run(name, func(t *testing.T) {
			db := filepath.Join(t.TempDir(), "entry.db")
			n := newNode(t, db)
			n.enrolledAccount()
			n.kill()
			testkit.Check(t, n.open())
			points := 0
			var states []identity.Account // what the killed one had
			n.hook = func(audit.Event) {
				states = append(states, n.account("alice"))
				copyDB(t, db, fmt.Sprintf("%s.%d", db, points))
				testkit.Check(t, os.CopyFS(filepath.Join(n.dir, fmt.Sprint("at", points)), os.DirFS(filepath.Join(n.dir, "audit"))))
				points++
			}
			testkit.Check(t, take(t, n))
			n.hook = nil
			end := n.account("alice")
			n.kill()
			testkit.Check(t, n.open())
			if got := n.account("alice"); !reflect.DeepEqual(got, end) || len(n.did) != 0 {
				t.Errorf("after the last moment: %q\n got %+v\nwant %+v", n.did, got, end)
			}
			n.kill()
			for i := range points {
				m := &node{t: t, dir: filepath.Join(n.dir, fmt.Sprint("m", i)), db: fmt.Sprintf("%s.%d", db, i), key: n.key}
				testkit.Check(t, os.MkdirAll(m.dir, 0o700))
				testkit.Check(t, os.Rename(filepath.Join(n.dir, fmt.Sprint("at", i)), filepath.Join(m.dir, "audit")))
				testkit.Check(t, m.open())
				got := m.account("alice")
				if more := noMore(got, states[i]); more != nil {
					t.Errorf("killed at point %d, there is more than before: %v", i, more)
				}
				// What the log has, whether or not anybody was told, is taken.
				if more := noMore(got, end); i == points-1 && more != nil {
					t.Errorf("killed between log and database, it isn't taken away: %v", more)
				}
				m.kill()
				testkit.Check(t, m.open())
				if again := m.account("alice"); !reflect.DeepEqual(again, got) || len(m.did) != 0 {
					t.Errorf("killed at point %d, the second start: %q", i, m.did)
				}
				m.kill()
			}
		})
	}
}

// Servers that share a database each bring it up to their own log.
func TestTwoLogsOneDatabase(t *testing.T) {
	db := filepath.Join(t.TempDir(), "entry.db")
	a := newNode(t, db)
	a.enrolledAccount()
	testkit.Must(a.auth.AddUser(t.Context(), "bob"))(t)
	b := newNode(t, db)
	a.kill()
	b.kill()
	copyDB(t, db, db+".old")
	testkit.Check(t, a.open())
	testkit.Check(t, b.open())
	testkit.Check(t, a.auth.SetEnd(t.Context(), "alice", time.Now().Add(time.Hour)))
	testkit.Check(t, b.auth.RemoveKey(t.Context(), "alice", a.account("alice").Keys[0].Fingerprint))
	testkit.Check(t, a.auth.SetEnd(t.Context(), "alice", time.Time{}))
	testkit.Check(t, b.auth.Disable(t.Context(), "bob"))
	a.kill()
	b.kill()
	copyDB(t, db+".old", db)
	testkit.Check(t, a.open())
	// It lives on, and its account's generation with it, before the other comes.
	testkit.Must(a.auth.AddKey(t.Context(), "alice", desk))(t)
	testkit.Check(t, a.auth.SetEnd(t.Context(), "alice", time.Now().Add(time.Hour)))
	testkit.Check(t, b.open())
	if acct := b.account("alice"); len(acct.Keys) != 1 || !strings.Contains(desk, acct.Keys[0].Line) {
		t.Errorf("%+v", acct.Keys)
	}
	if acct := a.account("bob"); !acct.Disabled {
		t.Errorf("%+v", acct)
	}
}

// Log and database that don't belong together are refused; so is a record that
// can't be done again.
func TestLogThatIsNotTheDatabases(t *testing.T) {
	db := filepath.Join(t.TempDir(), "entry.db")
	n := newNode(t, db)
	n.enrolledAccount()
	n.kill()
	old := filepath.Join(n.dir, "old")
	testkit.Check(t, os.CopyFS(old, os.DirFS(filepath.Join(n.dir, "audit"))))
	testkit.Check(t, n.open())
	testkit.Check(t, n.auth.Disable(t.Context(), "alice"))
	testkit.Check(t, n.store.NotePosition(t.Context(), n.log.Position(), n.log.Position().Size, time.Now()))
	n.kill()
	for _, fork := range []bool{false, true} {
		testkit.Check(t, os.RemoveAll(filepath.Join(n.dir, "audit")))
		testkit.Check(t, os.CopyFS(filepath.Join(n.dir, "audit"), os.DirFS(old)))
		if fork {
			l := testkit.Must(audit.Open(filepath.Join(n.dir, "audit"), audit.Options{Key: n.key}))(t)
			for range 9 {
				testkit.Check(t, l.Append(t.Context(), audit.Event{Type: audit.ServerStarted}))
			}
			testkit.Check(t, l.Close())
		}
		var behind *audit.Behind
		if err := n.open(); !errors.As(err, &behind) || behind.Other != fork {
			t.Errorf("fork %v: %v", fork, err)
		}
		n.kill()
	}

	db = filepath.Join(t.TempDir(), "entry.db")
	n = newNode(t, db)
	n.enrolledAccount()
	id := n.account("alice").ID
	for _, taken := range []string{"soul", "after:soon", "disabled …", "disabled device:…"} {
		testkit.Check(t, n.log.Append(t.Context(), audit.Event{Type: audit.UserChanged, User: "alice", Change: &audit.Change{Account: id, Generation: 99, Taken: taken}}))
		n.kill()
		var not *NotReplayed
		if err := n.open(); !errors.As(err, &not) || not.Seq == 0 {
			t.Errorf("%q: %v", taken, err)
		}
		testkit.Check(t, n.store.NotePosition(t.Context(), n.log.Position(), n.log.Position().Size, time.Now()))
	}
}

// A second database that is put back un-revokes no more than the first: what a
// replayed change only gave counts for the generation too.
func TestRestoredTwiceDoesntUnrevoke(t *testing.T) {
	gives := map[string]func(*node) error{
		"key added": func(n *node) error { _, err := n.auth.AddKey(n.t.Context(), "alice", desk); return err },
		"disabled and enabled": func(n *node) error {
			return errors.Join(n.auth.Disable(n.t.Context(), "alice"), n.auth.Enable(n.t.Context(), "alice"))
		},
	}
	for name, give := range gives {
		t.Run(name, func(t *testing.T) {
			db := filepath.Join(t.TempDir(), "entry.db")
			n := newNode(t, db)
			n.enrolledAccount()
			n.keep()
			testkit.Check(t, give(n))
			n.putBack()
			n.kill()
			copyDB(t, db, db+".newer")
			testkit.Check(t, n.open())
			testkit.Check(t, n.auth.Disable(t.Context(), "alice"))
			n.kill()
			copyDB(t, db+".newer", db)
			testkit.Check(t, n.open())
			if a := n.account("alice"); !a.Disabled {
				t.Errorf("alice is back: %+v", a)
			}
		})
	}
}
