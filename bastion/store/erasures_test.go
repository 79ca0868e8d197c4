package store

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"entry/audit"
	"entry/audit/evidence"
	"entry/e2e/testkit"
)

var (
	anErasure = evidence.Erasure{Order: evidence.Order{ID: "k7q2mxab", User: "alice", Reason: "request 44", By: audit.Actor{UID: 4294967295, LoginUID: 1001, Name: "root", LoginName: "carol"}, At: day}}
	second    = audit.Actor{UID: 1002, LoginUID: 1002, Name: "dave"}
)

func TestErasures(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "entry.db")
	a, b := testkit.Must(OpenSQLite(path, nil))(t), testkit.Must(OpenSQLite(path, nil))(t)
	t.Cleanup(func() { testkit.Check(t, a.Close()); testkit.Check(t, b.Close()) })
	want := func(want ...evidence.Erasure) {
		t.Helper()
		if got := testkit.Must(b.Erasures(t.Context()))(t); !reflect.DeepEqual(got, want) {
			t.Errorf("%+v", got)
		}
	}
	confirm := func(id string, at time.Time, want bool) {
		t.Helper()
		if ok, err := b.ConfirmErasure(t.Context(), id, second, at); ok != want || err != nil {
			t.Errorf("%s: %v, %v", id, ok, err)
		}
	}
	want()
	alone := evidence.Erasure{Order: evidence.Order{ID: "alone", Session: "01A", Reason: "x", At: day.Add(time.Second)}, Stands: day.Add(time.Second)}
	testkit.Check(t, a.OrderErasure(t.Context(), anErasure))
	testkit.Check(t, a.OrderErasure(t.Context(), alone))
	want(anErasure, alone)
	confirm("none", day.Add(time.Hour), false)
	confirm("alone", day.Add(time.Hour), false) // it stands already
	confirm(anErasure.ID, day.Add(evidence.ErasureWaits), false)
	confirm(anErasure.ID, day.Add(time.Hour), true)
	confirm(anErasure.ID, day.Add(time.Hour), false)
	confirmed := anErasure
	confirmed.Second, confirmed.Stands = &second, day.Add(time.Hour)
	want(confirmed, alone)

	// A later order forgets those that are over.
	waits := evidence.Erasure{Order: evidence.Order{ID: "waits", Lab: "tinker", Reason: "x", At: day.Add(2 * time.Hour)}}
	testkit.Check(t, a.OrderErasure(t.Context(), waits))
	next := evidence.Erasure{Order: evidence.Order{ID: "next", Lab: "otter", Reason: "x", At: confirmed.Stands.Add(evidence.ErasureLasts - time.Second)}, Stands: day}
	testkit.Check(t, a.OrderErasure(t.Context(), next))
	want(confirmed, next)
	testkit.Check(t, a.WithdrawErasure(t.Context(), confirmed.ID))
	testkit.Check(t, a.WithdrawErasure(t.Context(), "none"))
	want(next)
}

// An order that was withdrawn doesn't come back with an older database.
func TestReconcileErasures(t *testing.T) {
	t.Parallel()
	n := newNode(t, filepath.Join(t.TempDir(), "entry.db"))
	order := func(id string) {
		e := anErasure
		e.ID = id
		testkit.Check(t, n.append(t.Context(), e.Event(audit.ErasureOrdered)))
		testkit.Check(t, n.store.OrderErasure(t.Context(), e))
	}
	order("stays")
	order("withdrawn")
	now := n.log.Position()
	testkit.Check(t, n.store.NotePosition(t.Context(), now, now.Size, time.Now()))
	n.kill()
	old := testkit.ReadFile(t, n.db)
	testkit.Check(t, n.open())
	e := anErasure
	e.ID = "withdrawn"
	testkit.Check(t, n.append(t.Context(), e.Event(audit.ErasureWithdrawn)))
	testkit.Check(t, n.store.WithdrawErasure(t.Context(), e.ID))
	n.kill()
	testkit.WriteFile(t, n.db, old)
	testkit.Check(t, n.open())
	if all := testkit.Must(n.store.Erasures(t.Context()))(t); len(all) != 1 || all[0].ID != "stays" {
		t.Errorf("%+v", all)
	}
	if did := strings.Join(n.did, "\n"); !strings.Contains(did, "the erasure withdrawn: withdrawn again") {
		t.Errorf("%q", did)
	}
}
