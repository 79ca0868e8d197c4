//go:build linux

package audit

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

func recovered(list []Event) (out []Event) {
	for _, e := range list {
		if e.Type == LogRecovered {
			out = append(out, e)
		}
	}
	return out
}

// unsynced doesn't wait for the disk, for tests that open a log hundreds of
// times and pull no plug.
type unsynced struct{ realDisk }

func (unsynced) sync(*os.File, bool) error { return nil }

// asides are the files of what was set aside.
func (p *place) asides(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob(p.path(asidePrefix + "*"))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// mustBeAside wants exactly tail to have been set aside, in a file beside the log, to be
// told by the last event and by Verify, and by nobody as a part of the log.
func (p *place) mustBeAside(t *testing.T, tail []byte, signed int) {
	t.Helper()
	sum := fmt.Sprintf("%x", sha256.Sum256(tail))
	got := events(t, p.dir)
	if len(got) != signed+1 || !strings.HasPrefix(string(p.read(t, eventsName)), string(p.signed)) {
		t.Fatalf("%d events, want %d and one about what was set aside", len(got), signed)
	}
	whole := bytes.Count(tail, []byte("\n"))
	if e := got[signed]; e.Type != LogRecovered || e.Reason != "set-aside" || e.Count != whole || e.Hash != sum || !strings.Contains(e.Detail, fmt.Sprintf("%d bytes ", len(tail))) {
		t.Errorf("%+v", e)
	}
	sides := p.asides(t)
	if len(sides) != 1 || filepath.Base(sides[0]) != "aside."+sum[:16] {
		t.Fatalf("beside the log: %v", sides)
	}
	if b, err := os.ReadFile(sides[0]); err != nil || !bytes.Equal(b, tail) {
		t.Errorf("set aside %q, %v", b, err)
	}
	rep, err := p.verify()
	if err != nil || rep.Witnessed != uint64(signed+1) || rep.Uncovered != (Uncovered{}) ||
		len(rep.Aside) != 1 || rep.Aside[0].Seq != uint64(signed+1) || rep.Aside[0].Lines != whole || rep.Aside[0].SHA256 != sum || rep.Aside[0].Lost != "" {
		t.Fatalf("%+v, %v", rep, err)
	}
}

// TestCrashAtEveryByte cuts a log that ends in an unacknowledged batch after every byte
// beyond the last checkpoint, with the hashes as they were written: all of it is set
// aside and told, and the result verifies. An event that nobody signed is never read.
func TestCrashAtEveryByte(t *testing.T) {
	p := newPlace(t)
	p.fill(t, 2)
	p.signed = p.read(t, eventsName)
	base, signed := p.signed, p.read(t, checkpointName)
	witness, err := os.ReadFile(filepath.Join(p.witness, witnessName))
	if err != nil {
		t.Fatal(err)
	}
	l := p.open(t)
	mustAppend(t, l, Event{Type: RecordingRemoved, Session: "01J"}, Event{Type: LoginSucceeded, User: "alice"}, Event{Type: ApprovalGiven})
	_ = l.Close()
	whole, hashes := p.read(t, eventsName), p.read(t, hashesName)
	for i := len(base) + 1; i <= len(whole); i++ {
		p.write(t, eventsName, whole[:i])
		p.write(t, checkpointName, signed)
		p.write(t, hashesName, hashes)
		if err := os.WriteFile(filepath.Join(p.witness, witnessName), witness, 0o600); err != nil {
			t.Fatal(err)
		}
		tail := whole[len(base):i]
		rep, err := p.verify()
		if u := rep.Uncovered; err != nil || rep.Events != 2 || u.Bytes != int64(len(tail)) || u.Lines != bytes.Count(tail, []byte("\n")) || u.SHA256 != fmt.Sprintf("%x", sha256.Sum256(tail)) {
			t.Fatalf("at %d, before the next start: %+v, %v", i, rep, err)
		}
		if got := events(t, p.dir); len(got) != 2 {
			t.Fatalf("at %d: what nobody signed is read: %v", i, got)
		}
		reopened, err := open(p.dir, p.options(), unsynced{})
		if err != nil {
			t.Fatalf("at %d: %v", i, err)
		}
		_ = reopened.Close()
		p.mustBeAside(t, tail, 2)
		if err := os.Remove(p.asides(t)[0]); err != nil {
			t.Fatal(err)
		}
		if rep, err := p.verify(); err != nil || len(rep.Aside) != 1 || rep.Aside[0].Lost != "is gone" {
			t.Fatalf("at %d, without the file: %+v, %v", i, rep.Aside, err)
		}
	}
}

// TestCrashLeavesNonsense: blocks that never reached the disk read as zeros,
// in whatever order; nothing of it was acknowledged.
func TestCrashLeavesNonsense(t *testing.T) {
	for name, tail := range map[string]string{
		"zeros":         strings.Repeat("\x00", 4096),
		"zeros, lines":  "\x00\x00\x00\n{\"schema\"\n",
		"a long line":   strings.Repeat("x", 3*maxLine) + "\nmore",
		"the last line": "SAME",
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			p.fill(t, 2)
			p.signed = p.read(t, eventsName)
			if tail == "SAME" {
				tail = p.lines(t)[1] + "\n"
			}
			p.write(t, eventsName, append(bytes.Clone(p.signed), tail...))
			_ = p.open(t).Close()
			p.mustBeAside(t, []byte(tail), 2)
		})
	}
}

// TestForgedWhileDown: whoever writes the log's form, with the hashes to match, gets
// nothing into it. Only the log's key makes a line a part of it.
func TestForgedWhileDown(t *testing.T) {
	for _, kind := range []Type{RecordingRemoved, LoginSucceeded, ApprovalGiven, LogRecovered} {
		t.Run(string(kind), func(t *testing.T) {
			p := newPlace(t)
			p.fill(t, 5)
			p.signed = p.read(t, eventsName)
			forged := Event{Schema: Schema, Seq: 6, Time: p.clock.Peek(), Type: kind, User: "mallory", Reason: reasonAside, Hash: strings.Repeat("0", 64)}
			line := append(forged.AppendJSON(nil), '\n')
			p.write(t, eventsName, append(bytes.Clone(p.signed), line...))
			var tr tree
			var hashes []byte
			for line := range bytes.Lines(p.read(t, eventsName)) {
				tr.add(leafOf(line), func(h tlog.Hash) { hashes = append(hashes, h[:]...) })
			}
			p.write(t, hashesName, hashes)
			for e, err := range Scan(p.dir, Types()...) {
				if err != nil || e.User == "mallory" {
					t.Errorf("before the next start, Scan yields %v, %v", e, err)
				}
			}
			for e, err := range Tail(t.Context(), p.dir, 10, false) {
				if err != nil || e.User == "mallory" {
					t.Errorf("before the next start, Tail yields %v, %v", e, err)
				}
			}
			if rep, err := p.verify(); err != nil || rep.Uncovered.Lines != 1 || len(rep.Aside) != 0 {
				t.Errorf("before the next start: %+v, %v", rep, err)
			}
			_ = p.open(t).Close()
			p.mustBeAside(t, line, 5)
		})
	}
}

// TestSetAsideIsCutOff stops a start that sets lines aside at each step on the disk, as
// a crash does; whatever was done, the next one tells of them, and of nothing else.
func TestSetAsideIsCutOff(t *testing.T) {
	tail := []byte("{\"schema\":\"entry.audit/v1\"}\nhalf")
	for n := 0; ; n++ {
		p := newPlace(t)
		p.fill(t, 2)
		p.signed = p.read(t, eventsName)
		p.write(t, eventsName, append(bytes.Clone(p.signed), tail...))
		left := n
		l, err := open(p.dir, p.options(), watchedDisk{ask: func(step) error {
			if left--; left < 0 {
				return syscall.EIO
			}
			return nil
		}})
		if err == nil {
			_ = l.Close()
			if n < 15 {
				t.Errorf("only %d steps", n)
			}
			return
		}
		if l, err = open(p.dir, p.options(), unsynced{}); err != nil {
			t.Fatalf("after step %d: %v", n, err)
		}
		_ = l.Close()
		sum := fmt.Sprintf("%x", sha256.Sum256(tail))
		told := 0
		for _, e := range recovered(events(t, p.dir)) {
			if e.Hash == sum {
				told++
			}
		}
		sides := p.asides(t)
		for _, side := range sides {
			if strings.HasSuffix(side, asideUnreported) {
				t.Errorf("after step %d: %v", n, sides)
			}
		}
		if rep, err := p.verify(); err != nil || told == 0 || rep.Aside[0].Lost != "" {
			t.Errorf("after step %d: told %d times, %+v, %v", n, told, rep, err)
		}
	}
}

// TestNothingAcknowledgedIsSetAside copies the log as a crash would leave it before each
// step of a batch and after it: what was acknowledged stays, and the batch stays as a
// whole or is set aside as a whole.
func TestNothingAcknowledgedIsSetAside(t *testing.T) {
	p := newPlace(t)
	var copies []string
	snap := func() {
		to := filepath.Join(t.TempDir(), "copy")
		for _, dir := range []string{p.dir, p.witness} {
			if err := os.CopyFS(filepath.Join(to, filepath.Base(dir)), os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
		}
		copies = append(copies, to)
	}
	armed := false
	l, err := open(p.dir, p.options(), watchedDisk{ask: func(step) error {
		if armed {
			snap()
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, Event{Type: ServerStarted}, Event{Type: LoginSucceeded, User: "acknowledged"})
	armed = true
	mustAppend(t, l, Event{Type: LoginSucceeded, User: "first"}, Event{Type: LoginSucceeded, User: "second"})
	armed = false
	snap()
	_ = l.Close()
	for i, at := range copies {
		q := *p
		q.dir, q.witness = filepath.Join(at, "audit"), filepath.Join(at, "witness")
		_ = q.open(t).Close()
		var users []string
		for _, e := range events(t, q.dir) {
			users = append(users, e.User)
		}
		got := strings.TrimSpace(strings.Join(users, " "))
		if last := i == len(copies)-1; got != "acknowledged first second" && (last || got != "acknowledged") {
			t.Errorf("before step %d: %q", i, got)
		}
		if _, err := q.verify(); err != nil {
			t.Errorf("before step %d: %v", i, err)
		}
	}
	if len(copies) != len(batchSteps)+1 {
		t.Errorf("%d copies", len(copies))
	}
}

func TestWitnessRepairs(t *testing.T) {
	name := func(p *place) string { return filepath.Join(p.witness, witnessName) }
	for reason, damage := range map[string]func(t *testing.T, p *place){
		"witness-cut": func(t *testing.T, p *place) {
			if err := os.Truncate(name(p), 150+100); err != nil {
				t.Fatal(err)
			}
		},
		"witness-started": func(t *testing.T, p *place) {
			if err := os.Remove(name(p)); err != nil {
				t.Fatal(err)
			}
		},
		"witness-behind": func(t *testing.T, p *place) {
			b, err := os.ReadFile(name(p))
			if err != nil {
				t.Fatal(err)
			}
			cut := bytes.LastIndex(b, []byte("entry.test\n3\n"))
			if err := os.Truncate(name(p), int64(cut)); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(reason, func(t *testing.T) {
			p := newPlace(t)
			p.fill(t, 3)
			damage(t, p)
			_ = p.open(t).Close()
			notes := recovered(events(t, p.dir))
			if len(notes) != 1 || notes[0].Reason != reason {
				t.Fatalf("%+v", notes)
			}
			if rep, err := p.verify(); err != nil || rep.Witnessed != 4 {
				t.Errorf("%v, %v", rep, err)
			}
		})
	}
}

// TestOpenNeedsNoCache: without the file of hashes, or with another log's, the
// log opens and the file is as before.
func TestOpenNeedsNoCache(t *testing.T) {
	p := newPlace(t)
	p.fill(t, 11)
	want := p.read(t, hashesName)
	for name, b := range map[string][]byte{"missing": nil, "short": want[:100], "long": append(bytes.Clone(want), 1), "wrong": bytes.Repeat([]byte{7}, len(want))} {
		if b == nil {
			if err := os.Remove(p.path(hashesName)); err != nil {
				t.Fatal(err)
			}
		} else {
			p.write(t, hashesName, b)
		}
		_ = p.open(t).Close()
		if !bytes.Equal(p.read(t, hashesName), want) {
			t.Errorf("%s: not rebuilt", name)
		}
	}
}
