package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"entry/audit"
	"entry/audit/segment"
	"entry/e2e/testkit"
)

// TestReconcileNeedsItsRecords: an older database isn't opened while the segment with what
// was taken away since isn't there, and says which it is; once that is put back, what was
// taken is taken again. A database that lacks nothing of it needs no segment.
func TestReconcileNeedsItsRecords(t *testing.T) {
	db := filepath.Join(t.TempDir(), "entry.db")
	n := newNode(t, db)
	n.enrolledAccount()
	n.keep()
	testkit.Check(t, n.auth.Disable(t.Context(), "alice"))
	n.kill()
	l := testkit.Must(audit.Open(filepath.Join(n.dir, "audit"), audit.Options{Key: n.key, Segment: 1}))(t)
	testkit.Check(t, l.Append(t.Context(), audit.Event{Type: audit.ServerStarted}))
	testkit.Check(t, l.Close())
	testkit.Check(t, n.open())
	testkit.Check(t, n.store.NotePosition(t.Context(), n.log.Position(), n.log.Position().Size, n.account("alice").Created))
	n.kill()
	sealed, away := filepath.Join(n.dir, "audit", segment.Name(1)), filepath.Join(n.dir, "away")
	testkit.Check(t, os.Rename(sealed, away))
	testkit.Check(t, n.open())
	n.kill()

	copyDB(t, db+".old", db)
	var not *NotReplayed
	if err := n.open(); !errors.As(err, &not) || !not.Absent || !strings.Contains(err.Error(), ": its segment of the audit log isn't there, which has the records up to ") {
		t.Fatalf("without its segment: %v", err)
	}
	n.kill()
	testkit.Check(t, os.Rename(away, sealed))
	testkit.Check(t, n.open())
	if len(n.did) == 0 || !strings.Contains(n.did[0], "alice") {
		t.Errorf("put back: %q", n.did)
	}
}
