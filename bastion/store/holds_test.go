package store

import (
	"errors"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"entry/audit"
	"entry/audit/evidence"
	"entry/e2e/testkit"
)

var aHold = evidence.Hold{Order: evidence.Order{ID: "k7q2mxab", User: "alice", Reason: "case 17", By: audit.Actor{UID: 4294967295, LoginUID: 1001, Name: "root", LoginName: "carol"}, At: day}}

func TestHolds(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "entry.db")
	a, b := testkit.Must(OpenSQLite(path, nil))(t), testkit.Must(OpenSQLite(path, nil))(t)
	t.Cleanup(func() { testkit.Check(t, a.Close()); testkit.Check(t, b.Close()) })
	want := func(want ...evidence.Hold) {
		t.Helper()
		if got := testkit.Must(b.Holds(t.Context()))(t); !reflect.DeepEqual(got, want) {
			t.Errorf("%+v", got)
		}
	}
	want()
	testkit.Check(t, a.PlaceHold(t.Context(), aHold))
	want(aHold)
	again := aHold
	again.Reason = "another"
	testkit.Check(t, a.PlaceHold(t.Context(), again))
	later := evidence.Hold{Order: evidence.Order{ID: "b", Session: "01A", Lab: "", Reason: "x", At: day.Add(time.Second)}}
	earlier := evidence.Hold{Order: evidence.Order{ID: "c", Lab: "tinker", Reason: "x", At: day.Add(-time.Second)}}
	testkit.Check(t, a.PlaceHold(t.Context(), later))
	testkit.Check(t, a.PlaceHold(t.Context(), earlier))
	want(earlier, aHold, later)
	testkit.Check(t, a.ReleaseHold(t.Context(), aHold.ID))
	testkit.Check(t, a.ReleaseHold(t.Context(), "none"))
	want(earlier, later)
}

// A hold that an older database lacks is placed again; one that was released since stays
// where the database has it, and isn't placed where it lacks both.
func TestReconcileHolds(t *testing.T) {
	t.Parallel()
	n := newNode(t, filepath.Join(t.TempDir(), "entry.db"))
	event := func(typ audit.Type, h evidence.Hold) {
		e := h.Event(typ)
		e.Actor = &h.By
		testkit.Check(t, n.append(t.Context(), e))
	}
	place := func(h evidence.Hold) {
		event(audit.HoldPlaced, h)
		testkit.Check(t, n.store.PlaceHold(t.Context(), h))
	}
	release := func(h evidence.Hold) {
		event(audit.HoldReleased, h)
		testkit.Check(t, n.store.ReleaseHold(t.Context(), h.ID))
	}
	hold := func(id string) evidence.Hold { h := aHold; h.ID = id; return h }
	place(hold("before"))
	now := n.log.Position()
	testkit.Check(t, n.store.NotePosition(t.Context(), now, now.Size, time.Now()))
	n.kill()
	old := testkit.ReadFile(t, n.db)
	testkit.Check(t, n.open())
	place(hold("since"))
	place(hold("shortly"))
	release(hold("shortly"))
	release(hold("before"))
	event(audit.HoldPlaced, hold("cut off")) // by a crash, before the database had it
	n.kill()
	testkit.WriteFile(t, n.db, old)
	testkit.Check(t, n.open())
	var ids []string
	for _, h := range testkit.Must(n.store.Holds(t.Context()))(t) {
		ids = append(ids, h.ID)
		if h.User != "alice" || h.Reason != "case 17" || h.By != aHold.By {
			t.Errorf("%+v", h)
		}
	}
	if got := strings.Join(ids, " "); got != "before cut off since" && got != "before since cut off" {
		t.Errorf("%q", got)
	}
	if did := strings.Join(n.did, "\n"); !strings.Contains(did, "the hold since on all of user alice: placed again") {
		t.Errorf("%q", did)
	}
	n.kill()
	testkit.Check(t, n.open())
	if len(n.did) != 0 {
		t.Errorf("again: %q", n.did)
	}
}

// A row of a hold or of an erasure that is of another time than the rest is found at the next
// start.
func TestOrdersAreStamped(t *testing.T) {
	t.Parallel()
	erasure := evidence.Erasure{Order: evidence.Order{ID: "zzzz9999", User: "alice", Reason: "x", At: day}, Stands: day}
	for _, tt := range []string{
		`DELETE FROM holds`, `DELETE FROM erasures`, `UPDATE holds SET user = 'bob'`, `UPDATE erasures SET stands = 7`,
	} {
		path := filepath.Join(t.TempDir(), "entry.db")
		s := testkit.Must(OpenSQLite(path, nil))(t)
		testkit.Check(t, s.PlaceHold(t.Context(), aHold))
		testkit.Check(t, s.OrderErasure(t.Context(), erasure))
		if ok, err := s.ConfirmErasure(t.Context(), erasure.ID, audit.Actor{UID: 2}, day); ok || err != nil {
			t.Errorf("%v, %v", ok, err)
		}
		testkit.Check(t, s.Close())
		s = testkit.Must(OpenSQLite(path, nil))(t) // of one time, as it is
		for _, drop := range []string{"holds_made", "holds_changed", "holds_gone", "erasures_made", "erasures_changed", "erasures_gone"} {
			_, err := s.write.ExecContext(t.Context(), `DROP TRIGGER `+drop) // as a page of another time knows of none
			testkit.Check(t, err)
		}
		if strings.HasPrefix(tt, "UPDATE") {
			tt += ", stamp = stamp + 1"
		}
		_, err := s.write.ExecContext(t.Context(), tt)
		testkit.Check(t, err)
		testkit.Check(t, s.Close())
		if _, err := OpenSQLite(path, nil); !errors.Is(err, ErrMixed) {
			t.Errorf("%s: %v", tt, err)
		}
	}
}
