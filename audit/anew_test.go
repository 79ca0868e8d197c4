//go:build linux

package audit

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// lostLog is a log that is older than its witness, with its place.
func lostLog(t *testing.T) (Anew, *os.Root) {
	t.Helper()
	dir := t.TempDir()
	o := Anew{Dir: filepath.Join(dir, "audit"), Witness: filepath.Join(dir, "witness"), Key: filepath.Join(dir, "audit.key"), PublicKey: filepath.Join(dir, "audit.pub"), Reason: "the disk was lost"}
	signer, verifier, err := GenerateKey("entry")
	auditor, _, aerr := GenerateKey("ada")
	if err := errors.Join(err, aerr, os.WriteFile(o.Key, []byte(signer), 0o600), os.WriteFile(o.PublicKey, []byte(verifier), 0o644)); err != nil {
		t.Fatal(err)
	}
	o.Auditor = auditor
	write := func(n int) {
		l, err := Open(o.Dir, Options{Key: signer, Witness: o.Witness})
		if err != nil {
			t.Fatal(err)
		}
		for range n {
			if err := l.Append(t.Context(), Event{Type: ServerStarted}); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	write(3)
	old := filepath.Join(dir, "old")
	if err := os.CopyFS(old, os.DirFS(o.Dir)); err != nil {
		t.Fatal(err)
	}
	write(4)
	if err := errors.Join(os.RemoveAll(o.Dir), os.Rename(old, o.Dir)); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return o, root
}

// begun wants the log to have begun anew, as a whole.
func begun(t *testing.T, o Anew) GapReport {
	t.Helper()
	key, err := ReadKey(o.Key)
	public, perr := ReadKey(o.PublicKey)
	if err := errors.Join(err, perr); err != nil {
		t.Fatal(err)
	}
	if Beginning(o.Dir) {
		t.Error("it isn't over")
	}
	// Whoever verifies before a start reads what to do.
	if _, err := Verify(o.Dir, VerifyOptions{PublicKey: public, Witness: o.Witness}); err == nil || !strings.Contains(err.Error(), "has no file checkpoints: a server that starts makes it") {
		t.Errorf("before a start: %v", err)
	}
	l, err := Open(o.Dir, Options{Key: key, Witness: o.Witness})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.Append(t.Context(), Event{Type: ServerStarted}), l.Close()); err != nil {
		t.Fatal(err)
	}
	rep, err := Verify(o.Dir, VerifyOptions{PublicKey: public, Witness: o.Witness})
	if err != nil || rep.Gap == nil || rep.Gap.Origin != "entry" || rep.Gap.Size != 7 || rep.Gap.Reason != o.Reason || !strings.HasPrefix(rep.Gap.Auditor, "ada+") || rep.Witnessed != rep.Events {
		t.Fatalf("%+v %+v %v", rep, rep.Gap, err)
	}
	// The log before is whole, and verifies by itself; its witness is kept.
	before := Before(o.Dir)
	if len(before) != 1 {
		t.Fatalf("before: %q", before)
	}
	old, err := ReadKey(filepath.Join(before[0], "audit.pub"))
	if err != nil {
		t.Fatal(err)
	}
	if rep, err := Verify(before[0], VerifyOptions{PublicKey: old}); err != nil || rep.Events != 3 {
		t.Errorf("%+v %v", rep, err)
	}
	if kept, err := filepath.Glob(filepath.Join(o.Witness, "checkpoints.*")); err != nil || len(kept) != 1 {
		t.Errorf("%q %v", kept, err)
	}
	if !strings.Contains(public, "entry/2+") {
		t.Errorf("the new log is called %s", public)
	}
	return *rep.Gap
}

func TestBeginAnew(t *testing.T) {
	o, _ := lostLog(t)
	if err := BeginAnew(o); err != nil {
		t.Fatal(err)
	}
	begun(t, o)
}

// Wherever it is cut off, no log starts by itself, and the next call ends it.
func TestBeginAnewCutOff(t *testing.T) {
	for n := range 8 {
		o, _ := lostLog(t)
		next := nextDir(o.Dir)
		if err := prepare(o, next); err != nil {
			t.Fatal(err)
		}
		steps := placing(o, next)
		if len(steps) != 7 {
			t.Fatalf("%d steps", len(steps))
		}
		for _, step := range steps[:n] {
			if err := step(); err != nil {
				t.Fatal(err)
			}
		}
		if n < 7 && !Beginning(o.Dir) {
			t.Errorf("cut off after step %d nothing says so", n)
		}
		if n < 7 {
			if err := BeginAnew(o); err != nil {
				t.Fatalf("cut off after step %d: %v", n, err)
			}
		}
		begun(t, o)
	}
	// Cut off while it was prepared, it is prepared again.
	o, _ := lostLog(t)
	if err := os.MkdirAll(filepath.Join(nextDir(o.Dir), "audit", "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := BeginAnew(o); err != nil {
		t.Fatal(err)
	}
	begun(t, o)
}

// A gap is what its auditor signed, and nobody else's.
func TestGapIsSigned(t *testing.T) {
	o, root := lostLog(t)
	if err := BeginAnew(o); err != nil {
		t.Fatal(err)
	}
	begun(t, o)
	b, err := root.ReadFile("audit/events.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	e, _, err := decode([]byte(line), nil)
	if err != nil {
		t.Fatal(err)
	}
	if g, err := gapOf(e, "entry/2"); err != nil || g == nil {
		t.Fatalf("%v %v", g, err)
	}
	for name, change := range map[string]func(*Event){
		"reason":     func(e *Event) { e.Detail += "!" },
		"checkpoint": func(e *Event) { e.Gap.Checkpoint = strings.Replace(e.Gap.Checkpoint, "\n7\n", "\n3\n", 1) },
		"auditor": func(e *Event) {
			_, e.Gap.Auditor, err = GenerateKey("ada")
		},
		"nothing": func(e *Event) { e.Gap = nil },
		"no note": func(e *Event) { e.Gap.Accepted = "" },
	} {
		other := e
		gap := *e.Gap
		other.Gap = &gap
		change(&other)
		if g, err := gapOf(other, "entry/2"); err == nil {
			t.Errorf("%s: %+v", name, g)
		}
	}
	if _, err := gapOf(e, "entry/3"); err == nil {
		t.Error("it counts for another log")
	}
}
