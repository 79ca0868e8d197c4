//go:build linux

package audit

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func TestResignedByAnotherKey(t *testing.T) {
	p, q := newPlace(t), newPlace(t)
	p.fill(t, 3)
	q.clock.Set(p.clock.Peek())
	q.dir, q.witness = filepath.Join(t.TempDir(), "a"), ""
	q.fill(t, 3)
	p.write(t, eventsName, q.read(t, eventsName))
	p.write(t, checkpointName, q.read(t, checkpointName))
	p.write(t, hashesName, q.read(t, hashesName))
	_, err := p.verify()
	var bad *BadRecord
	if !errors.As(err, &bad) || bad.File != checkpointName || !strings.Contains(bad.Why, "key") {
		t.Fatal(err)
	}
}

// TestResignedByTheSameKey: whoever holds the signing key can rewrite the log
// but not what was witnessed.
func TestResignedByTheSameKey(t *testing.T) {
	p := newPlace(t)
	p.fill(t, 5)
	log := bytes.Replace(p.read(t, eventsName), []byte("user3"), []byte("user9"), 1)
	p.resign(t, log)
	bad := p.mustBeBad(t, 4, "re-signed") // the checkpoints of 3 and 4 are witnessed
	t.Log(bad)
	if l, err := Open(p.dir, p.options()); err == nil {
		_ = l.Close()
		t.Error("Open accepts it")
	}
	rep, err := Verify(p.dir, VerifyOptions{PublicKey: p.verifier})
	if err != nil || rep.String() != "5 events consistent; not witnessed" {
		t.Errorf("without the witness: %v, %v", rep, err)
	}
}

// resign puts log in place with a hash file and a checkpoint to match.
func (p *place) resign(t *testing.T, log []byte) {
	t.Helper()
	signer, err := note.NewSigner(p.signer)
	if err != nil {
		t.Fatal(err)
	}
	var tr tree
	var hashes []byte
	for line := range bytes.Lines(log) {
		tr.add(leafOf(line), func(h tlog.Hash) { hashes = append(hashes, h[:]...) })
	}
	signed, err := checkpoint{size: tr.size, root: tr.root()}.sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	p.write(t, checkpointName, signed)
	p.write(t, eventsName, log)
	p.write(t, hashesName, hashes)
}

func TestRollback(t *testing.T) {
	p := newPlace(t)
	p.fill(t, 3)
	old := map[string][]byte{}
	for _, name := range []string{eventsName, checkpointName, hashesName} {
		old[name] = p.read(t, name)
	}
	p.fill(t, 2)
	for name, b := range old {
		p.write(t, name, b)
	}
	bad := p.mustBeBad(t, 4, "rolled back")
	if !strings.Contains(bad.Why, "older state") {
		t.Error(bad)
	}
	if _, err := Open(p.dir, p.options()); !errors.As(err, &bad) {
		t.Errorf("Open: %v", err)
	}
	// All gone: a new log may not start under an old witness.
	if err := os.RemoveAll(p.dir); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(p.dir, p.options()); !errors.As(err, &bad) {
		t.Errorf("Open of an emptied directory: %v", err)
	}
	if _, err := p.verify(); err == nil {
		t.Error("an emptied directory verifies")
	}
}

func TestWitnessThatStayedBehind(t *testing.T) {
	p := newPlace(t)
	p.fill(t, 3)
	name := filepath.Join(p.witness, witnessName)
	old, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	p.fill(t, 2)
	if err := os.WriteFile(name, old, 0o600); err != nil {
		t.Fatal(err)
	}
	rep, err := p.verify()
	if err != nil {
		t.Fatal(err)
	}
	third := events(t, p.dir)[2].Time.Format(time.RFC3339)
	if want := "5 events consistent; not witnessed since seq 3 (" + third + ")"; rep.String() != want {
		t.Errorf("%q, want %q", rep, want)
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if _, err := p.verify(); err == nil {
		t.Error("a configured witness without a file verifies")
	}
	rep, err = Verify(p.dir, VerifyOptions{PublicKey: p.verifier})
	if err != nil || rep.String() != "5 events consistent; not witnessed" {
		t.Errorf("%v, %v", rep, err)
	}
}

func TestVerifyAnotherKeyOrNone(t *testing.T) {
	p := newPlace(t)
	p.fill(t, 1)
	_, other, err := GenerateKey("entry.test")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"", "x", p.signer, other} {
		if _, err := Verify(p.dir, VerifyOptions{PublicKey: key}); err == nil {
			t.Errorf("key %.20q accepted", key)
		} else if strings.Contains(err.Error(), "PRIVATE") {
			t.Error("the error quotes the key")
		}
	}
	if _, err := Verify(t.TempDir(), VerifyOptions{PublicKey: p.verifier}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("empty directory: %v", err)
	}
}

func leafOf(line []byte) tlog.Hash { return tlog.RecordHash(bytes.TrimSuffix(line, []byte("\n"))) }
