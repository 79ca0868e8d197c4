//go:build linux

package audit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestRollIsCutOff copies the log as a crash would leave it before each step on the disk
// of a batch that begins a segment, and after it: whatever is there, the next start goes
// on, nothing that was acknowledged is gone, and all of it is verified.
func TestRollIsCutOff(t *testing.T) {
	p := newPlace(t)
	p.segment = 400
	var copies []string
	armed := false
	l, err := open(p.dir, p.options(), watchedDisk{ask: func(step) error {
		if armed {
			to := filepath.Join(t.TempDir(), "copy")
			for _, dir := range []string{p.dir, p.witness} {
				if err := os.CopyFS(filepath.Join(to, filepath.Base(dir)), os.DirFS(dir)); err != nil {
					t.Fatal(err)
				}
			}
			copies = append(copies, to)
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	for len(p.sealed(t)) < 2 || l.events.content.Size() < p.segment {
		mustAppend(t, l, Event{Type: LoginSucceeded, User: "user0", Source: "192.0.2.7:50122"})
	}
	size := l.Position().Size
	armed = true
	mustAppend(t, l, Event{Type: LoginSucceeded, User: "user1"})
	armed = false
	_ = l.Close()
	if want := len(batchSteps) + 5; len(copies) != want || len(p.sealed(t)) != 3 {
		t.Fatalf("%d steps, want %d; sealed %v", len(copies), want, p.sealed(t))
	}
	for i, at := range copies {
		for _, without := range []string{"", hashesName} {
			q := *p
			q.dir, q.witness = filepath.Join(at, "audit"), filepath.Join(at, "witness")
			if rep, err := q.verify(); err != nil || rep.Events < size {
				t.Errorf("before step %d: %+v, %v", i, rep, err)
			}
			if s, err := Inspect(q.dir, q.options()); err != nil || s.Position().Size < size {
				t.Errorf("before step %d: Inspect: %v", i, err)
			} else {
				_ = s.Close()
			}
			if without != "" {
				q.remove(t, without)
			}
			for range 2 {
				l, err := open(q.dir, q.options(), unsynced{})
				if err != nil {
					t.Fatalf("before step %d, without %q: %v", i, without, err)
				}
				for range 3 {
					mustAppend(t, l, Event{Type: LoginSucceeded, User: "user2"})
				}
				_ = l.Close()
				if rep, err := q.verify(); err != nil || len(rep.Absent) > 0 || rep.Events < size+3 {
					t.Fatalf("before step %d, without %q: %+v, %v", i, without, rep, err)
				}
			}
		}
	}
}

// TestRollNeedsRoom: where the disk has none for another file or name, the log goes on in
// the segment that it has, and rolls once there is.
func TestRollNeedsRoom(t *testing.T) {
	for _, fault := range []step{"sync events.new", "rename events-000000000001.jsonl", "rename events.jsonl"} {
		p := newPlace(t)
		p.segment = 400
		full, back := true, false // each second rename to events.jsonl is the one back
		l, err := open(p.dir, p.options(), watchedDisk{ask: func(s step) error {
			if s == fault && s == "rename events.jsonl" {
				if back = !back; !back {
					return nil
				}
			}
			if full && s == fault {
				return fmt.Errorf("write: %w", syscall.ENOSPC)
			}
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		for range 9 {
			mustAppend(t, l, Event{Type: LoginSucceeded, User: "user0", Source: "192.0.2.7:50122"})
		}
		if got := p.sealed(t); len(got) > 0 {
			t.Errorf("%s: sealed %v", fault, got)
		}
		if rep, err := p.verify(); err != nil || rep.Events != 9 {
			t.Errorf("%s: %+v, %v", fault, rep, err)
		}
		full = false
		mustAppend(t, l, Event{Type: LoginSucceeded, User: "user1"})
		_ = l.Close()
		if got := p.sealed(t); !slices.Equal(got, []string{"events-000000000001.jsonl"}) {
			t.Errorf("%s: sealed %v", fault, got)
		}
		if rep, err := p.verify(); err != nil || rep.Events != 11 {
			t.Errorf("%s: %+v, %v", fault, rep, err)
		}
	}
}

// TestRollFails: any other failure ends the log, as one of a batch does, and the next
// start finds everything.
func TestRollFails(t *testing.T) {
	for _, fault := range []step{"sync hashes", "sync events.new", "rename events-000000000001.jsonl", "rename events.jsonl", "sync directory"} {
		p := newPlace(t)
		p.segment = 400
		rolling := false
		l, err := open(p.dir, p.options(), watchedDisk{ask: func(s step) error {
			if s == "sync hashes" {
				rolling = true
			}
			if rolling && s == fault {
				return syscall.EIO
			}
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		n := uint64(0)
		for ; err == nil && n < 20; n++ {
			err = l.Append(context.Background(), Event{Type: LoginSucceeded, User: "user0", Source: "192.0.2.7:50122"})
		}
		if !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), "seal a segment") {
			t.Errorf("%s: %v", fault, err)
		}
		_ = l.Close()
		if rep, err := p.verify(); err != nil || rep.Events != n-1 {
			t.Errorf("%s: %d acknowledged; %+v, %v", fault, n-1, rep, err)
		}
		p.fill(t, 2)
		if rep, err := p.verify(); err != nil || rep.Events < n+1 {
			t.Errorf("%s, a start later: %+v, %v", fault, rep, err)
		}
	}
}

// TestRollOnASmallDisk has no free file (inode) where a segment is full.
func TestRollOnASmallDisk(t *testing.T) {
	p := newPlace(t)
	p.segment = 400
	if !mountSmall(t, p.dir, "size=8m,nr_inodes=32") {
		return
	}
	l := p.open(t)
	mustAppend(t, l, Event{Type: LoginSucceeded, User: "user0", Source: "192.0.2.7:50122"})
	var used []string
	for i := 0; ; i++ {
		name := fmt.Sprint("used", i)
		if err := os.WriteFile(p.path(name), nil, 0o600); err != nil {
			break
		}
		used = append(used, name)
	}
	for range 9 {
		mustAppend(t, l, Event{Type: LoginSucceeded, User: "user0", Source: "192.0.2.7:50122"})
	}
	if got := p.sealed(t); len(got) > 0 {
		t.Errorf("sealed %v", got)
	}
	for _, name := range used {
		p.remove(t, name)
	}
	mustAppend(t, l, Event{Type: LoginSucceeded, User: "user1"})
	if got := p.sealed(t); len(got) != 1 {
		t.Errorf("with room again, sealed %v", got)
	}
	_ = l.Close()
	if rep, err := p.verify(); err != nil || rep.Events != 12 {
		t.Errorf("%+v, %v", rep, err)
	}
}

// TestStartReadsTheLastSegment: no other one is touched by a start, and none by a verdict
// that goes on from a checkpoint; what comes before is proven by the hashes.
func TestStartReadsTheLastSegment(t *testing.T) {
	p := newSegments(t, 14)
	since := p.read(t, checkpointName)
	sealed := p.sealed(t)
	whole := map[string][]byte{}
	for _, name := range sealed {
		whole[name] = p.read(t, name)
		p.write(t, name, []byte("nobody reads this"))
	}
	p.segment = 1 << 20
	l := p.open(t)
	size := l.Position().Size
	mustAppend(t, l, Event{Type: LoginSucceeded, User: "user20"}, Event{Type: LoginSucceeded, User: "user21"})
	known, ok, err := l.At(5)
	if err != nil || !ok {
		t.Errorf("what it was with 5 records: %v, %v", ok, err)
	}
	_ = l.Close()
	o := p.options()
	o.Known = func(string) (Position, error) { return known, nil }
	if l, err := Open(p.dir, o); err != nil {
		t.Errorf("held against a database: %v", err)
	} else {
		_ = l.Close()
	}
	rep, err := p.verifySince(since)
	if err != nil || rep.Since != size || rep.Events != size+2 || rep.Witnessed != size+2 {
		t.Errorf("since: %+v, %v", rep, err)
	}
	if _, err := p.verify(); err == nil {
		t.Error("all of it verifies")
	}
	// What the hashes don't prove is read, and then it shows.
	hashes := p.read(t, hashesName)
	for at := range len(hashes) - 1 {
		b := append([]byte(nil), hashes...)
		b[at] ^= 1
		p.write(t, hashesName, b)
		if l, err := open(p.dir, p.options(), unsynced{}); err == nil {
			if got := l.Position(); got.Size != size+2 || got.Root != rep.Root {
				t.Fatalf("hash byte %d: taken up as %d records", at, got.Size)
			}
			_ = l.Close()
		}
	}
	for _, name := range sealed {
		p.write(t, name, whole[name])
	}
	p.write(t, hashesName, []byte("none"))
	if rep, err := p.verifySince(since); err != nil || rep.Since != 0 || rep.Events != size+2 {
		t.Errorf("since, without hashes: %+v, %v", rep, err)
	}
	for _, wrong := range [][]byte{[]byte("x"), since[:len(since)-4]} {
		if _, err := p.verifySince(wrong); err == nil || !strings.Contains(err.Error(), "the checkpoint to go on from") {
			t.Errorf("from %q: %v", wrong, err)
		}
	}
	_ = p.open(t).Close()
	if rep, err := p.verify(); err != nil || rep.Events != size+2 {
		t.Errorf("%+v, %v", rep, err)
	}
}

// TestSinceAnotherHistory: a checkpoint that was verified isn't the log's any more.
func TestSinceAnotherHistory(t *testing.T) {
	p := newSegments(t, 6)
	since := p.read(t, checkpointName)
	p.witness = ""
	if err := os.RemoveAll(p.dir); err != nil {
		t.Fatal(err)
	}
	p.clock.Set(p.clock.Peek().Add(time.Hour))
	p.fill(t, 3)
	if _, err := p.verifySince(since); err == nil || !strings.Contains(err.Error(), "put back to an older state") {
		t.Errorf("shorter: %v", err)
	}
	p.fill(t, 9)
	var bad *BadRecord
	if _, err := p.verifySince(since); !errors.As(err, &bad) || !strings.Contains(err.Error(), "another history was signed") {
		t.Errorf("longer: %v", err)
	}
}
