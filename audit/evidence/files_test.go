//go:build linux

package evidence

import (
	"testing"

	"entry/audit"
	"entry/e2e/testkit"
)

// A session is found by its ID in lower case too, as by entry audit search.
func TestFilesOfASession(t *testing.T) {
	dir := t.TempDir()
	signer, _, err := audit.GenerateKey("entry.test")
	testkit.Check(t, err)
	log := testkit.Must(audit.Open(dir, audit.Options{Key: signer}))(t)
	for _, id := range []string{"01JQ8Z3M6W0000000000000001", "01JQ8Z3M6W0000000000000002"} {
		testkit.Check(t, log.Append(t.Context(), audit.Event{Type: audit.TransferFile, Session: id, Capability: "upload"}))
	}
	testkit.Check(t, log.Close())
	n := 0
	for f, err := range Files(dir, FileQuery{Session: "01jq8z3m6w0000000000000001"}) {
		testkit.Check(t, err)
		if n++; f.Session != "01JQ8Z3M6W0000000000000001" {
			t.Errorf("%+v", f)
		}
	}
	if n != 1 {
		t.Errorf("%d files", n)
	}
}
