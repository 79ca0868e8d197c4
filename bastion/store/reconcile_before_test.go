package store

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"entry/audit"
	"entry/e2e/testkit"
	"entry/policy"
)

// anew has the log begin anew.
func (n *node) anew() {
	n.t.Helper()
	auditor, _, err := audit.GenerateKey("ada")
	testkit.Check(n.t, err)
	key, public := filepath.Join(n.dir, "audit.key"), filepath.Join(n.dir, "audit.pub")
	testkit.Check(n.t, audit.BeginAnew(audit.Anew{Dir: filepath.Join(n.dir, "audit"), Key: key, PublicKey: public, Auditor: auditor, Reason: "lost"}))
	n.key = testkit.Must(audit.ReadKey(key))(n.t)
}

// newKeptNode is newNode with the files of its key.
func newKeptNode(t *testing.T, db string) *node {
	t.Helper()
	key, public, err := audit.GenerateKey("entry")
	n := &node{t: t, dir: t.TempDir(), db: db, key: testkit.Must(key, err)(t)}
	testkit.WriteFile(t, filepath.Join(n.dir, "audit.key"), key)
	testkit.WriteFile(t, filepath.Join(n.dir, "audit.pub"), public)
	testkit.Check(t, n.open())
	t.Cleanup(n.kill)
	return n
}

// A log that begins anew takes what the logs before it took, from whatever database
// comes, before or after; and nothing from one that has it.
func TestLogsBeforeAreReplayed(t *testing.T) {
	for _, order := range []string{"gap, then an older database", "an older database, then gap", "two gaps", "a server on each log", "damaged"} {
		for name, take := range takings() {
			if order != "gap, then an older database" && name != "disabled" && name != "recovery code" {
				continue
			}
			t.Run(order+"/"+name, func(t *testing.T) {
				db := filepath.Join(t.TempDir(), "entry.db")
				n := newKeptNode(t, db)
				n.enrolledAccount()
				n.kill()
				copyDB(t, db, db+".old")
				again := func() {
					t.Helper()
					testkit.Check(t, n.open())
					if len(n.did) != 0 {
						t.Errorf("nothing was missing: %q", n.did)
					}
				}
				again()
				testkit.Check(t, take(t, n))
				end := n.account("alice")
				n.kill()
				switch order {
				case "gap, then an older database":
					n.anew()
					again()
					n.kill()
				case "two gaps":
					n.anew()
					n.anew()
					again()
					n.kill()
				case "a server on each log":
					n.anew()
					again()
					testkit.Check(t, n.log.Append(t.Context(), audit.Event{Type: audit.ServerStarted}))
					testkit.Check(t, n.store.NotePosition(t.Context(), n.log.Position(), n.log.Position().Size, time.Now()))
					n.kill()
					n.anew()
					again()
					n.kill()
				case "damaged": // a line of before, and the end of what was acknowledged
					testkit.Check(t, os.Remove(filepath.Join(n.dir, "audit", "hashes")))
					events := filepath.Join(n.dir, "audit", "events.jsonl")
					first, rest, _ := strings.Cut(testkit.ReadFile(t, events), "\n")
					testkit.WriteFile(t, events, strings.Replace(first, "entry.audit", "nothing", 1)+"\n"+rest)
					n.anew()
				case "an older database, then gap":
					n.anew()
				}
				copyDB(t, db+".old", db)
				testkit.Check(t, n.open())
				got := n.account("alice")
				if more := noMore(got, end); more != nil {
					t.Errorf("it is back: %v", more)
				}
				if alarms := n.alarms(); len(alarms) < 2 || !strings.HasPrefix(alarms[0], "alice: ") {
					t.Errorf("%q", alarms)
				}
				n.kill()
				again()
			})
		}
	}
}

// What one log took and the next one gave again stays given.
func TestLaterLogGivesAgain(t *testing.T) {
	db := filepath.Join(t.TempDir(), "entry.db")
	n := newKeptNode(t, db)
	n.enrolledAccount()
	n.keep()
	testkit.Check(t, n.auth.Disable(t.Context(), "alice"))
	n.kill()
	n.anew()
	testkit.Check(t, n.open())
	testkit.Check(t, n.auth.Enable(t.Context(), "alice"))
	n.putBack()
	if a := n.account("alice"); a.Disabled || len(a.Remembered) != 0 {
		t.Errorf("%+v", a)
	}
	n.kill()
	testkit.Check(t, n.open())
	testkit.Check(t, n.auth.Disable(t.Context(), "alice"))
	n.putBack()
	if a := n.account("alice"); !a.Disabled {
		t.Errorf("%+v", a)
	}
}

// A crash says nothing, however long the server was idle, and counts no session twice.
func TestCrashSaysNothing(t *testing.T) {
	db := filepath.Join(t.TempDir(), "entry.db")
	n := newNode(t, db)
	n.enrolledAccount()
	seat := policy.Seat{User: "alice", Target: "home.tinker", Source: netip.MustParseAddr("192.0.2.7")}
	now := time.Now()
	give := func(uses int64, at time.Time) {
		t.Helper()
		w := n.waiting(seat, at.String(), now)
		testkit.Check(t, n.store.Give(t.Context(), w, policy.Approval{By: "carol", Rule: "out", At: at, Until: now.Add(time.Hour), Uses: int(uses)}))
	}
	session := func(id string) {
		t.Helper()
		testkit.Must(n.store.Use(t.Context(), seat, []string{"out"}, id, now))(t)
		testkit.Check(t, n.log.Append(t.Context(), audit.Event{Type: audit.SessionStarted, Session: id, User: "alice", Target: "home.tinker", Source: "192.0.2.7:50122", Approver: "carol"}))
	}
	give(1, now.Add(-time.Hour))
	session("s1")
	give(2, now.Add(-time.Minute))
	testkit.Must(n.store.Reconcile(t.Context(), n.log, now.Add(-time.Hour)))(t) // an hour ago, and then nothing
	session("s2")
	n.kill()
	testkit.Check(t, n.open())
	var used []int
	for _, a := range testkit.Must(n.store.Approvals(t.Context(), now))(t) {
		used = append(used, a.Used)
	}
	if slices.Sort(used); !slices.Equal(used, []int{1, 1}) || len(n.did) != 0 || len(n.alarms()) != 0 {
		t.Errorf("used %v, said %q", used, n.did)
	}
}

// A log that the database has never known, beside one that it knows, is said; so is,
// at each start, a log that no server has held against a database that was put back.
func TestOtherLogsAreSaid(t *testing.T) {
	db := filepath.Join(t.TempDir(), "entry.db")
	a := newNode(t, db)
	a.enrolledAccount()
	b := newNode(t, db)
	if all := strings.Join(b.alarms(), "\n"); !strings.Contains(all, "this log is new to the database, which knows the log "+a.log.Name()+" (") {
		t.Errorf("a log beside another: %q", all)
	}
	bob := b.log.Name()
	a.kill()
	b.kill()
	copyDB(t, db, db+".old")
	testkit.Check(t, a.open())
	testkit.Check(t, b.open())
	if len(a.did)+len(b.did) != 0 {
		t.Errorf("%q %q", a.did, b.did)
	}
	for _, n := range []*node{a, b} {
		testkit.Check(t, n.log.Append(context.Background(), audit.Event{Type: audit.ServerStarted}, audit.Event{Type: audit.ServerStopped}))
	}
	testkit.Check(t, b.auth.Disable(t.Context(), "alice"))
	a.kill()
	b.kill()
	copyDB(t, db+".old", db)
	reminded := func() bool {
		t.Helper()
		testkit.Check(t, a.open())
		said := testkit.Must(a.store.Unread(t.Context(), a.log, time.Now()))(t)
		yes := len(said) == 1 && strings.Contains(said[0], "no server has held it since against the log "+bob+" (")
		if last := append([]string{""}, a.did...); yes != (last[len(last)-1] == strings.Join(said, "")) && yes {
			t.Errorf("the start says %q", a.did)
		}
		a.kill()
		return yes
	}
	for range 2 { // every start says it
		if !reminded() {
			t.Error("nothing reminds of the other server")
		}
	}
	testkit.Check(t, b.open())
	if !b.account("alice").Disabled {
		t.Error("alice is back")
	}
	// The first server has held its log against it since it was put back.
	if said := testkit.Must(b.store.Unread(t.Context(), b.log, time.Now()))(t); len(said) > 0 {
		t.Errorf("of a log that was held against it: %q", said)
	}
	b.kill()
	if reminded() {
		t.Error("it isn't over")
	}
	testkit.Check(t, a.open())
	testkit.Check(t, b.open())
	a.kill()
	b.kill()

	// Put back once more, to a time after that: nobody has held the second log against this.
	copyDB(t, db, db+".old")
	testkit.Check(t, a.open())
	testkit.Check(t, b.open())
	for _, n := range []*node{a, b} {
		testkit.Check(t, n.log.Append(context.Background(), audit.Event{Type: audit.ServerStarted}, audit.Event{Type: audit.ServerStopped}))
	}
	testkit.Check(t, b.auth.Enable(t.Context(), "alice"))
	testkit.Check(t, b.auth.Disable(t.Context(), "alice"))
	a.kill()
	b.kill()
	copyDB(t, db+".old", db)
	if !reminded() {
		t.Error("nothing reminds of the other server the second time")
	}
}

// A server that wrote nothing but that it ends knows by this that the database was put back:
// so what another one took from accounts meanwhile isn't given back without a word.
func TestAnEndTellsThatTheDatabaseWasPutBack(t *testing.T) {
	db := filepath.Join(t.TempDir(), "entry.db")
	a := newNode(t, db)
	a.enrolledAccount()
	b := newNode(t, db)
	second := b.log.Name()
	testkit.Check(t, a.store.NotePosition(t.Context(), a.log.Position(), a.log.Position().Size, time.Now()))
	copyDB(t, db, db+".old")
	testkit.Check(t, b.auth.Disable(t.Context(), "alice"))
	testkit.Check(t, a.log.Append(t.Context(), audit.Event{Type: audit.ServerStopped}))
	a.kill()
	b.kill()
	copyDB(t, db+".old", db)
	testkit.Check(t, a.open())
	if all := strings.Join(a.did, "\n"); !strings.Contains(all, "no server has held it since against the log "+second+" (") {
		t.Errorf("the start says %q", a.did)
	}
}
