//go:build linux

package audit

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"entry/audit/segment"
	"entry/e2e/testkit"
)

// TestTamperedSegments does to a log's sealed segments what somebody may who can write
// them, with the file of hashes beside them and without, and wants each named. Nothing of
// it passes for a segment that was moved away.
func TestTamperedSegments(t *testing.T) {
	cut := func(b []byte, n int) []byte { // n lines less at the end, or at the beginning
		lines := bytes.SplitAfter(b, []byte("\n"))
		lines = lines[:len(lines)-1]
		if n > 0 {
			return bytes.Join(lines[:len(lines)-n], nil)
		}
		return bytes.Join(lines[-n:], nil)
	}
	for name, c := range map[string]struct {
		do   func(t *testing.T, p *place, s []string) // s are the sealed files, three at least
		want string
	}{
		"a record changed": {func(t *testing.T, p *place, s []string) {
			p.write(t, s[1], bytes.Replace(p.read(t, s[1]), []byte("user"), []byte("abus"), 1))
		}, "events-000000000005.jsonl line"},
		"the last line dropped":  {func(t *testing.T, p *place, s []string) { p.write(t, s[1], cut(p.read(t, s[1]), 1)) }, "events-000000000005.jsonl line 3 (record 7) the file was cut at its end: its segment has records 5 to 7"},
		"most of it dropped":     {func(t *testing.T, p *place, s []string) { p.write(t, s[1], cut(p.read(t, s[1]), 2)) }, "events-000000000005.jsonl lines 2 to 3: the file was cut at its end"},
		"cut in a line":          {func(t *testing.T, p *place, s []string) { b := p.read(t, s[1]); p.write(t, s[1], b[:len(b)-5]) }, "events-000000000005.jsonl line 3 (record 7) is cut short"},
		"emptied":                {func(t *testing.T, p *place, s []string) { p.write(t, s[1], nil) }, "events-000000000005.jsonl line 1 (record 5) has no line: the file was emptied"},
		"the first line dropped": {func(t *testing.T, p *place, s []string) { p.write(t, s[1], cut(p.read(t, s[1]), -1)) }, "events-000000000005.jsonl line 1"},
		"cut at its beginning, with a name to match": {func(t *testing.T, p *place, s []string) {
			p.write(t, "events-000000000006.jsonl", cut(p.read(t, s[1]), -1))
			p.remove(t, s[1])
		}, "events-000000000006.jsonl line 1 (seq 6) begins a file, and isn't what a segment begins with"},
		"split": {func(t *testing.T, p *place, s []string) {
			b := p.read(t, s[1])
			p.write(t, "events-000000000007.jsonl", cut(b, -2))
			p.write(t, s[1], cut(b, 1))
		}, "events-000000000007.jsonl line 1 (seq 7) begins a file, and isn't what a segment begins with"},
		"swapped": {func(t *testing.T, p *place, s []string) {
			a, b := p.read(t, s[1]), p.read(t, s[2])
			p.write(t, s[1], b)
			p.write(t, s[2], a)
		}, "events-000000000005.jsonl line 1"},
		"under its neighbour's name": {func(t *testing.T, p *place, s []string) { p.move(t, s[1], s[2]) }, "events-000000000008.jsonl line 1"},
		"twice": {func(t *testing.T, p *place, s []string) {
			p.write(t, s[2], append(p.read(t, s[2]), p.read(t, s[2])...))
		}, "stands where no record belongs"},
		"a line more":      {func(t *testing.T, p *place, s []string) { p.write(t, s[1], append(p.read(t, s[1]), "{}\n"...)) }, "stands where no record belongs"},
		"half a line more": {func(t *testing.T, p *place, s []string) { p.write(t, s[1], append(p.read(t, s[1]), "{}"...)) }, "is cut short"},
		"reordered": {func(t *testing.T, p *place, s []string) {
			lines := bytes.SplitAfter(p.read(t, s[1]), []byte("\n"))
			lines[1], lines[2] = lines[2], lines[1]
			p.write(t, s[1], bytes.Join(lines, nil))
		}, "events-000000000005.jsonl line 2"},
		"compressed with other bytes": {func(t *testing.T, p *place, s []string) {
			p.write(t, s[1], bytes.Replace(p.read(t, s[1]), []byte("user"), []byte("abus"), 1))
			p.compress(t, s[1], ".zst")
		}, "events-000000000005.jsonl.zst line"},
		"compressed with a line less": {func(t *testing.T, p *place, s []string) {
			p.write(t, s[1], cut(p.read(t, s[1]), 1))
			p.compress(t, s[1], ".gz")
		}, "events-000000000005.jsonl.gz line 3 (record 7) the file was cut at its end"},
		"compressed, and cut": {func(t *testing.T, p *place, s []string) {
			p.compress(t, s[1], ".gz")
			b := p.read(t, s[1]+".gz")
			p.write(t, s[1]+".gz", b[:len(b)/2])
		}, "events-000000000005.jsonl.gz line"},
		"compressed, and a byte changed": {func(t *testing.T, p *place, s []string) {
			p.compress(t, s[1], ".zst")
			b := p.read(t, s[1]+".zst")
			b[len(b)/2] ^= 4
			p.write(t, s[1]+".zst", b)
		}, "events-000000000005.jsonl.zst line"},
		"nothing compressed": {func(t *testing.T, p *place, s []string) {
			p.compress(t, s[1], ".gz")
			p.write(t, s[1]+".gz", nil)
		}, "events-000000000005.jsonl.gz line 1"},
		"one added behind the last": {func(t *testing.T, p *place, s []string) {
			p.write(t, "events-000000009999.jsonl", p.read(t, s[1]))
		}, "events-000000009999.jsonl line 1 (record 9999) is in no segment of the log"},
		"the last one gone":    {func(t *testing.T, p *place, _ []string) { p.remove(t, eventsName) }, "is missing: there is no such file, 19 records were signed; if it was rotated, put it back"},
		"the last one emptied": {func(t *testing.T, p *place, _ []string) { p.write(t, eventsName, nil) }, "is missing: the log ends before it"},
		"the last one's start": {func(t *testing.T, p *place, _ []string) { p.write(t, eventsName, cut(p.read(t, eventsName), -1)) }, "events.jsonl line 1"},
		"the last one's end":   {func(t *testing.T, p *place, _ []string) { p.write(t, eventsName, cut(p.read(t, eventsName), 1)) }, "is missing: the log ends before it"},
		"the last one's record": {func(t *testing.T, p *place, _ []string) {
			p.write(t, eventsName, bytes.Replace(p.read(t, eventsName), []byte("user"), []byte("abus"), 1))
		}, "events.jsonl line"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, hashes := range []bool{true, false} {
				p := newSegments(t, 14)
				s := p.sealed(t)
				if len(s) < 3 || s[1] != "events-000000000005.jsonl" || s[2] != "events-000000000008.jsonl" {
					t.Fatal(s)
				}
				c.do(t, p, s)
				if !hashes {
					p.remove(t, hashesName)
				}
				_, err := p.verify()
				var bad *BadRecord
				switch {
				case !errors.As(err, &bad):
					t.Errorf("with hashes %v: %v", hashes, err)
				case hashes && !strings.Contains(err.Error(), c.want):
					t.Errorf("%v, want %q", err, c.want)
				}
			}
		})
	}
}

func (p *place) remove(t testing.TB, name string) {
	t.Helper()
	if err := os.Remove(p.path(name)); err != nil {
		t.Fatal(err)
	}
}

// TestFlippedSegments: every byte of every segment counts, in whatever file it is.
func TestFlippedSegments(t *testing.T) {
	p := newSegments(t, 10)
	for i, name := range append(p.sealed(t), eventsName) {
		whole := p.read(t, name)
		for at := range whole {
			b := bytes.Clone(whole)
			b[at] ^= 1 << (at % 8)
			p.write(t, name, b)
			_, err := p.verify()
			var bad *BadRecord
			if !errors.As(err, &bad) {
				t.Fatalf("%s, byte %d: %v", name, at, err)
			}
			if line, _ := bad.InFile(); bad.File != name || line != lineOf(whole, at) {
				t.Fatalf("%s, byte %d in line %d: %v", name, at, lineOf(whole, at), err)
			}
		}
		p.write(t, name, whole)
		if i == 0 {
			p.compress(t, name, ".zst")
		}
	}
}

// TestHashesOfWhatIsAbsent: what stands in for segments that were moved away is proven
// like them.
func TestHashesOfWhatIsAbsent(t *testing.T) {
	p := newSegments(t, 14)
	s := p.sealed(t)
	away := p.read(t, s[0])
	p.remove(t, s[0])
	hashes := p.read(t, hashesName)
	for at := range int(hashesSize(4)) {
		b := bytes.Clone(hashes)
		b[at] ^= 1
		p.write(t, hashesName, b)
		rep, err := p.verify()
		// A hash that isn't a leaf's isn't needed for what is absent, and can be made anew.
		want := "the file hashes isn't what the log's records give, from record"
		if slicesLeaf(at) {
			want = "aren't here, and the file hashes hasn't got the hashes of them that were signed"
		}
		var bad *BadRecord
		if !errors.As(err, &bad) || bad.File != hashesName || !strings.Contains(err.Error(), want) {
			t.Fatalf("byte %d: %+v, %v", at, rep, err)
		}
	}
	p.remove(t, hashesName)
	if _, err := p.verify(); err == nil || !strings.Contains(err.Error(), "records 1 to 4 aren't here, and the file hashes hasn't got their hashes") {
		t.Errorf("without them: %v", err)
	}
	if l, err := Open(p.dir, p.options()); err == nil {
		_ = l.Close()
		t.Error("it is opened without anything that proves its beginning")
	}
	p.write(t, s[0], away)
	if rep, err := p.verify(); err != nil || len(rep.Absent) > 0 {
		t.Errorf("put back: %+v, %v", rep, err)
	}
	_ = p.open(t).Close()
	if !bytes.HasPrefix(p.read(t, hashesName), hashes) {
		t.Error("they weren't made again")
	}
}

// TestHashesOfWhatIsSealed: what is wrong in the file of hashes is named as long as the
// records are here to tell, and a start mends it, so that they can be moved away.
func TestHashesOfWhatIsSealed(t *testing.T) {
	p := newSegments(t, 14)
	s := p.sealed(t)
	hashes := p.read(t, hashesName)
	reported := func(reason string) bool {
		for e := range Read(p.dir) {
			if e.Type == LogRecovered && e.Reason == reason {
				return true
			}
		}
		return false
	}
	damage := func(at int) {
		b := p.read(t, hashesName)
		b[at] ^= 1
		p.write(t, hashesName, b)
	}
	for at := 5; at < int(hashesSize(10)); at += 31 { // every hash
		b := bytes.Clone(hashes)
		b[at] ^= 1
		p.write(t, hashesName, b)
		rep, err := p.verify()
		var bad *BadRecord
		if !errors.As(err, &bad) || bad.File != hashesName || !strings.Contains(err.Error(), "the file hashes isn't what the log's records give") {
			t.Fatalf("byte %d: %+v, %v", at, rep, err)
		}
	}
	p.write(t, hashesName, hashes)
	damage(32*3 + 5) // the leaf of record 3
	damage(32 * 6)   // a node
	p.segment = 1 << 20
	p.witness = "" // a short one has a start read the whole log
	l := p.open(t)
	mustAppend(t, l, Event{Type: ServerStarted})
	testkit.Eventually(t, "the file to be mended", func() bool { return reported("hashes-mended") })
	mustAppend(t, l, Event{Type: LoginSucceeded, User: "later"}) // it still is the log's
	if at, ok, err := l.At(3); !ok || err != nil {
		t.Errorf("%+v, %v, %v", at, ok, err)
	}
	_ = l.Close()
	if !bytes.HasPrefix(p.read(t, hashesName), hashes) {
		t.Error("it isn't as it was")
	}
	p.remove(t, s[0])
	if rep, err := p.verify(); err != nil || len(rep.Absent) != 1 {
		t.Errorf("moved away: %+v, %v", rep, err)
	}
	damage(32*3 + 5) // while its record isn't here
	l = p.open(t)
	mustAppend(t, l, Event{Type: ServerStarted})
	testkit.Eventually(t, "what can't be mended to be told", func() bool { return reported("hashes-wrong") })
	_ = l.Close()
	if _, err := p.verify(); err == nil || !strings.Contains(err.Error(), "records 3 to 4 aren't here, and the file hashes hasn't got the hashes of them that were signed") {
		t.Error(err)
	}
}

// slicesLeaf tells whether a byte of the file of hashes is of a leaf's, in its beginning:
// two leaves, their node, a leaf, a leaf, their node, and the node of both.
func slicesLeaf(at int) bool { return []bool{true, true, false, true, true, false, false}[at/32] }

// TestReadersTellWhatIsAbsentFromItsMiddle: who begins to read in a segment that isn't
// here is told of the rest of it.
func TestReadersTellWhatIsAbsentFromItsMiddle(t *testing.T) {
	p := newSegments(t, 14)
	p.remove(t, p.sealed(t)[1]) // records 5 to 7
	l := p.open(t)
	defer l.Close()
	for size, want := range map[uint64]string{4: "records 5 to 7 aren't here", 5: "records 6 to 7 aren't here", 6: "record 7 isn't here", 7: ""} {
		got := ""
		for e, err := range l.Since(size) {
			if err != nil {
				got = err.Error()
			} else if e.Seq != 8 {
				t.Errorf("after %d: record %d", size, e.Seq)
			}
			break
		}
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("after %d: %q, want %q", size, got, want)
		}
	}
}

// TestNoSegmentIsMade: a start doesn't go on behind a file that somebody made of a
// segment's end: what is taken away then would pass for one that was moved.
func TestNoSegmentIsMade(t *testing.T) {
	p := newPlace(t)
	p.fill(t, 9)
	whole := p.read(t, eventsName)
	lines := bytes.SplitAfter(whole, []byte{'\n'})
	p.write(t, segment.Name(1), bytes.Join(lines[:7], nil))
	p.write(t, segment.Name(8), bytes.Join(lines[7:], nil))
	p.remove(t, eventsName)
	var bad *BadRecord
	if l, err := Open(p.dir, p.options()); err == nil {
		_ = l.Close()
		t.Error("it is opened")
	} else if !errors.As(err, &bad) || bad.Line != 8 && bad.File != segment.Name(8) {
		t.Errorf("%v", err)
	}
	p.remove(t, segment.Name(1))
	p.remove(t, segment.Name(8))
	p.write(t, eventsName, whole)
	_ = p.open(t).Close()
}
