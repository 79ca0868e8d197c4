//go:build linux

package audit

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
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

// TestCrashAtEveryByte cuts a log that ends in an unacknowledged batch after
// every byte beyond the last checkpoint: whole lines stay, the rest is set
// aside, an event says so, and the result verifies.
func TestCrashAtEveryByte(t *testing.T) {
	p := newPlace(t)
	p.fill(t, 2)
	signed, base := p.read(t, checkpointName), p.read(t, eventsName)
	witness, err := os.ReadFile(filepath.Join(p.witness, witnessName))
	if err != nil {
		t.Fatal(err)
	}
	l := p.open(t)
	mustAppend(t, l, Event{Type: ServerStarted}, Event{Type: LoginSucceeded, User: "alice"}, Event{Type: ServerStopped})
	_ = l.Close()
	whole := p.read(t, eventsName)
	for i := len(base); i <= len(whole); i++ {
		p.write(t, eventsName, whole[:i])
		p.write(t, checkpointName, signed)
		if err := os.WriteFile(filepath.Join(p.witness, witnessName), witness, 0o600); err != nil {
			t.Fatal(err)
		}
		if i > len(base) {
			p.mustBeBad(t, 3, "before the next start")
		}
		reopened, err := open(p.dir, p.options(), unsynced{})
		if err != nil {
			t.Fatalf("at %d: %v", i, err)
		}
		_ = reopened.Close()
		kept := bytes.Count(whole[len(base):i], []byte("\n"))
		torn := whole[:i][bytes.LastIndexByte(whole[:i], '\n')+1:]
		got := events(t, p.dir)
		notes := recovered(got)
		want := 0
		if kept > 0 {
			want++
			if notes[0].Reason != "kept-lines" || !strings.Contains(notes[0].Detail, fmt.Sprintf("kept %d ", kept)) {
				t.Errorf("at %d: %+v", i, notes)
			}
		}
		if len(torn) > 0 {
			want++
			last := notes[len(notes)-1]
			if last.Reason != "cut-lines" || !strings.Contains(last.Detail, fmt.Sprintf("cut %d bytes", len(torn))) {
				t.Errorf("at %d: %+v", i, notes)
			}
		}
		if len(notes) != want || len(got) != 2+kept+want {
			t.Errorf("at %d: %d events, %d notes, want %d", i, len(got), len(notes), want)
		}
		if rep, err := p.verify(); err != nil || rep.Witnessed != uint64(len(got)) {
			t.Fatalf("at %d: %v, %v", i, rep, err)
		}
		sides, err := filepath.Glob(p.path(cutPrefix + "*"))
		if err != nil || len(sides) != min(len(torn), 1) {
			t.Fatalf("at %d: side files %v, %v", i, sides, err)
		}
		for _, side := range sides {
			if b, err := os.ReadFile(side); err != nil || !bytes.Equal(b, torn) {
				t.Errorf("at %d: set aside %q, %v", i, b, err)
			}
			if err := os.Remove(side); err != nil {
				t.Fatal(err)
			}
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
			base := p.read(t, eventsName)
			if tail == "SAME" {
				tail = p.lines(t)[1] + "\n"
			}
			p.write(t, eventsName, append(bytes.Clone(base), tail...))
			_ = p.open(t).Close()
			notes := recovered(events(t, p.dir))
			if len(notes) != 1 || notes[0].Reason != "cut-lines" {
				t.Fatalf("%+v", notes)
			}
			if _, err := p.verify(); err != nil {
				t.Error(err)
			}
			sides, _ := filepath.Glob(p.path(cutPrefix + "*"))
			if b, err := os.ReadFile(sides[0]); err != nil || string(b) != tail {
				t.Errorf("set aside %d bytes, %v", len(b), err)
			}
		})
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
