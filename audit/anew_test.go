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
	// It verifies before a start, too.
	if rep, err := Verify(o.Dir, VerifyOptions{PublicKey: public, Witness: o.Witness}); err != nil || len(rep.Gaps) != 1 || rep.Events != 1 || rep.Witnessed != 1 {
		t.Errorf("before a start: %+v %v", rep, err)
	}
	l, err := Open(o.Dir, Options{Key: key, Witness: o.Witness})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.Append(t.Context(), Event{Type: ServerStarted}), l.Close()); err != nil {
		t.Fatal(err)
	}
	rep, err := Verify(o.Dir, VerifyOptions{PublicKey: public, Witness: o.Witness})
	if err != nil || len(rep.Gaps) != 1 || rep.Gaps[0].Origin != "entry" || rep.Gaps[0].Size != 7 || rep.Gaps[0].Reason != o.Reason || !strings.HasPrefix(rep.Gaps[0].Auditor, "ada+") || rep.Witnessed != rep.Events {
		t.Fatalf("%+v %v", rep, err)
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
	return rep.Gaps[0]
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
	for n := range 9 {
		o, _ := lostLog(t)
		next := nextDir(o.Dir)
		if err := prepare(o, next); err != nil {
			t.Fatal(err)
		}
		steps := placing(o, next)
		if len(steps) != 8 {
			t.Fatalf("%d steps", len(steps))
		}
		for _, step := range steps[:n] {
			if err := step(); err != nil {
				t.Fatal(err)
			}
		}
		if n < 8 && !Beginning(o.Dir) {
			t.Errorf("cut off after step %d nothing says so", n)
		}
		if n < 8 {
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
	public, err := ReadKey(o.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	if g, err := gapOf(e, public); err != nil || g == nil {
		t.Fatalf("%v %v", g, err)
	}
	for name, change := range map[string]func(*Event){
		"reason":     func(e *Event) { e.Detail += "!" },
		"checkpoint": func(e *Event) { e.Gap.Checkpoint = strings.Replace(e.Gap.Checkpoint, "\n7\n", "\n3\n", 1) },
		"auditor": func(e *Event) {
			_, e.Gap.Auditor, err = GenerateKey("ada")
		},
		"known":   func(e *Event) { e.Gap.Known = 99 },
		"earlier": func(e *Event) { e.Gap.Earlier = "0123456789abcdef" },
		"nothing": func(e *Event) { e.Gap = nil },
		"no note": func(e *Event) { e.Gap.Accepted = "" },
	} {
		other := e
		gap := *e.Gap
		other.Gap = &gap
		change(&other)
		if g, err := gapOf(other, public); err == nil {
			t.Errorf("%s: %+v", name, g)
		}
	}
	// Nor does it count for another log, one of the same name with another key neither.
	for _, name := range []string{"entry/3", "entry/2"} {
		_, other, err := GenerateKey(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := gapOf(e, other); err == nil {
			t.Errorf("it counts for another log called %s", name)
		}
	}
}

// lose has the log in o lose its newest records.
func lose(t *testing.T, o Anew) {
	t.Helper()
	key, err := ReadKey(o.Key)
	if err != nil {
		t.Fatal(err)
	}
	old := o.Dir + ".old"
	if err := os.CopyFS(old, os.DirFS(o.Dir)); err != nil {
		t.Fatal(err)
	}
	l, err := Open(o.Dir, Options{Key: key, Witness: o.Witness})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.Append(t.Context(), Event{Type: ServerStarted}), l.Close(), os.RemoveAll(o.Dir), os.Rename(old, o.Dir)); err != nil {
		t.Fatal(err)
	}
}

func gapsOf(t *testing.T, o Anew) []GapReport {
	t.Helper()
	public, err := ReadKey(o.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	rep, err := Verify(o.Dir, VerifyOptions{PublicKey: public, Witness: o.Witness})
	if err != nil {
		t.Fatal(err)
	}
	return rep.Gaps
}

// A later gap hides none before it, whatever becomes of the logs before.
func TestEveryGapIsListed(t *testing.T) {
	o, _ := lostLog(t)
	for n := range 3 {
		if n > 0 {
			lose(t, o)
		}
		if err := BeginAnew(o); err != nil {
			t.Fatal(err)
		}
	}
	all := gapsOf(t, o)
	if len(all) != 3 || all[0].Origin != "entry" || all[1].Origin != "entry/2" || all[2].Origin != "entry/3" || all[0].Missing+all[1].Missing+all[2].Missing != "" {
		t.Fatalf("%+v", all)
	}
	before := filepath.Join(o.Dir, "before")
	if err := os.Rename(filepath.Join(before, "before"), o.Dir+".away"); err != nil {
		t.Fatal(err)
	}
	if now := gapsOf(t, o); len(now) != 3 || now[0].ID != all[0].ID && now[1].ID != all[0].ID {
		t.Errorf("without the first log: %+v", now)
	}
	if err := os.RemoveAll(before); err != nil {
		t.Fatal(err)
	}
	now := gapsOf(t, o)
	if len(now) != 4 || now[0].ID != all[0].ID || now[1].ID != all[1].ID || now[3].ID != all[2].ID ||
		now[0].Missing == "" || now[1].Missing == "" || !strings.HasPrefix(now[2].Missing, "the log before, entry/3, isn't in ") {
		t.Errorf("without any: %+v", now)
	}
	// Where a log's own first record can't be read, its gap counts all the same.
	lose(t, o)
	text, err := os.ReadFile(filepath.Join(o.Dir, eventsName))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(o.Dir, eventsName), append([]byte("x"), text...), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := BeginAnew(o); err != nil {
		t.Fatal(err)
	}
	if now := gapsOf(t, o); len(now) < 2 {
		t.Errorf("after a damaged one: %+v", now)
	}
}

// Who signs is no log; what is known of the log before isn't understated.
func TestWhatBeginAnewRefuses(t *testing.T) {
	o, _ := lostLog(t)
	own, auditor := o, o.Auditor
	var err error
	if own.Auditor, err = ReadKey(o.Key); err != nil {
		t.Fatal(err)
	}
	if err := BeginAnew(own); !errors.Is(err, ErrOwnKey) {
		t.Errorf("the log's own key: %v", err)
	}
	away := o.Witness + ".away"
	if err := errors.Join(os.Rename(o.Witness, away), os.Mkdir(o.Witness, 0o700)); err != nil {
		t.Fatal(err)
	}
	if err := BeginAnew(o); !errors.Is(err, ErrNoWitness) {
		t.Errorf("an empty witness: %v", err)
	}
	o.Unwitnessed, o.Known = true, 6
	if err := BeginAnew(o); err != nil {
		t.Fatal(err)
	}
	if all := gapsOf(t, o); len(all) != 1 || all[0].Size != 6 {
		t.Errorf("%+v", all)
	}
	again := o
	again.Auditor = own.Auditor // that of the log before
	lose(t, o)
	if err := BeginAnew(again); !errors.Is(err, ErrOwnKey) {
		t.Errorf("the key of the log before: %v", err)
	}
	if o.Auditor = auditor; BeginAnew(o) != nil {
		t.Error("not even the auditor's own")
	}
	// The witness comes back.
	if err := errors.Join(os.RemoveAll(o.Witness), os.Rename(away, o.Witness)); err != nil {
		t.Fatal(err)
	}
	key, err := ReadKey(o.Key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(o.Dir, Options{Key: key, Witness: o.Witness}); !errors.Is(err, ErrOtherLog) {
		t.Errorf("another log's witness: %v", err)
	}
	log, size, name, err := SetAside(o.Dir, o.Witness)
	if err != nil || !strings.HasPrefix(log, "entry+") || size != 7 || !strings.HasPrefix(name, "checkpoints.") {
		t.Fatalf("%s %d %s %v", log, size, name, err)
	}
	if _, _, _, err := SetAside(o.Dir, o.Witness); err == nil {
		t.Error("set aside again")
	}
	l, err := Open(o.Dir, Options{Key: key, Witness: o.Witness})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}
