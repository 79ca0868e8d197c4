//go:build linux

package audit

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// mustBeBad wants Verify to name exactly this line of events.jsonl.
func (p *place) mustBeBad(t *testing.T, line uint64, what string) *BadRecord {
	t.Helper()
	_, err := p.verify()
	var bad *BadRecord
	if !errors.As(err, &bad) {
		t.Errorf("%s: want line %d named, got %v", what, line, err)
		return &BadRecord{}
	}
	if bad.File != eventsName || bad.Line != line || bad.Through != 0 {
		t.Errorf("%s: want line %d named, got: %v", what, line, err)
	}
	return bad
}

// lineOf maps a byte of the log to its line.
func lineOf(log []byte, i int) uint64 { return uint64(bytes.Count(log[:i], []byte("\n"))) + 1 }

// TestFlipEveryByte: with the cache of hashes beside it, each changed byte of
// the log is found and its exact line named; without, the exact line or a range
// around it. The bits: a digit's neighbour, a letter's case, out of ASCII.
func TestFlipEveryByte(t *testing.T) {
	p := newPlace(t)
	l := p.open(t)
	for i := range 4 {
		mustAppend(t, l, Event{Type: LoginFailed, Source: "192.0.2.7:50122"}, Event{Type: AccessRefused, User: "alice", Reason: fmt.Sprint("r", i)})
	}
	_ = l.Close()
	log, hashes := p.read(t, eventsName), p.read(t, hashesName)
	if _, err := p.verify(); err != nil {
		t.Fatal(err)
	}
	tried := 0
	for i := range log {
		for _, bit := range []int{0, 5, 7} {
			flipped := bytes.Clone(log)
			flipped[i] ^= 1 << bit
			p.write(t, eventsName, flipped)
			p.mustBeBad(t, lineOf(log, i), fmt.Sprintf("byte %d bit %d", i, bit))
			tried++
		}
	}
	if err := os.Remove(p.path(hashesName)); err != nil {
		t.Fatal(err)
	}
	for i := range log {
		flipped := bytes.Clone(log)
		flipped[i] ^= 1
		p.write(t, eventsName, flipped)
		_, err := p.verify()
		var bad *BadRecord
		line := lineOf(log, i)
		if !errors.As(err, &bad) || bad.File != eventsName || bad.Line > line || max(bad.Line, bad.Through) < line {
			t.Fatalf("without hashes, byte %d of line %d: %v", i, line, err)
		}
		if max(bad.Line, bad.Through)-bad.Line > 1 { // two events a checkpoint
			t.Fatalf("without hashes, byte %d of line %d: range too wide: %v", i, line, err)
		}
		tried++
	}
	t.Logf("%d changes tried, every one named", tried)
	p.write(t, eventsName, log)
	p.write(t, hashesName, hashes)
	if _, err := p.verify(); err != nil {
		t.Fatal(err)
	}
}

func TestFlipEveryByteOfTheCheckpoint(t *testing.T) {
	p := newPlace(t)
	p.fill(t, 3)
	signed := p.read(t, checkpointName)
	for i := range signed {
		for _, bit := range []int{0, 5, 7} {
			flipped := bytes.Clone(signed)
			flipped[i] ^= 1 << bit
			p.write(t, checkpointName, flipped)
			_, err := p.verify()
			var bad *BadRecord
			if !errors.As(err, &bad) || bad.File != checkpointName {
				t.Fatalf("byte %d bit %d: %v", i, bit, err)
			}
			if l, err := Open(p.dir, p.options()); err == nil {
				_ = l.Close()
				t.Fatalf("byte %d bit %d: Open accepts it", i, bit)
			}
		}
	}
	for i := range signed {
		p.write(t, checkpointName, signed[:i])
		if _, err := p.verify(); err == nil {
			t.Fatalf("cut to %d bytes: accepted", i)
		}
		for _, more := range []string{"\r", "\n", " ", "="} {
			p.write(t, checkpointName, slices.Concat(signed[:i], []byte(more), signed[i:]))
			if _, err := p.verify(); err == nil {
				t.Fatalf("%q put in at %d: accepted", more, i)
			}
		}
	}
	if err := os.Remove(p.path(checkpointName)); err != nil {
		t.Fatal(err)
	}
	if _, err := p.verify(); err == nil {
		t.Error("no checkpoint: accepted")
	}
	if _, err := Open(p.dir, p.options()); err == nil {
		t.Error("no checkpoint: Open accepts it")
	}
}

// TestFlipEveryByteOfTheHashes: the cache is no evidence; damage to it changes
// no verdict, and the next start mends it.
func TestFlipEveryByteOfTheHashes(t *testing.T) {
	p := newPlace(t)
	p.fill(t, 5)
	hashes := p.read(t, hashesName)
	for i := 0; i <= len(hashes); i++ {
		damaged := append(bytes.Clone(hashes[:i]), 0xff)
		p.write(t, hashesName, damaged)
		if _, err := p.verify(); err != nil {
			t.Fatalf("cut at %d: %v", i, err)
		}
		if i%7 == 0 {
			_ = p.open(t).Close()
			if !bytes.Equal(p.read(t, hashesName), hashes) {
				t.Fatalf("cut at %d: not rebuilt", i)
			}
		}
	}
	if n := len(events(t, p.dir)); n != 5 {
		t.Errorf("%d events", n)
	}
}

func TestFlipEveryByteOfTheWitness(t *testing.T) {
	p := newPlace(t)
	p.fill(t, 2)
	name := filepath.Join(p.witness, witnessName)
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	// The signature of an entry that agrees and isn't the last isn't read.
	last := bytes.LastIndex(whole, []byte("entry.test\n2\n"))
	for i := range whole {
		flipped := bytes.Clone(whole)
		flipped[i] ^= 1
		if err := os.WriteFile(name, flipped, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := p.verify()
		begin := bytes.LastIndexByte(whole[:i], '\n') + 1
		inSignature := bytes.HasPrefix(whole[begin:], []byte("— ")) && i >= begin+len("— ") && whole[i] != '\n'
		if err == nil && (!inSignature || i > last) {
			t.Fatalf("byte %d (%q): accepted", i, whole[i])
		}
	}
	for i := range whole {
		if err := os.WriteFile(name, whole[:i], 0o600); err != nil {
			t.Fatal(err)
		}
		rep, err := p.verify()
		if err == nil && rep.Witnessed == 2 {
			t.Fatalf("cut to %d bytes: %v", i, rep)
		}
	}
}

func TestTruncatedAtEveryByte(t *testing.T) {
	p := newPlace(t)
	p.fill(t, 4)
	log := p.read(t, eventsName)
	for i := range log {
		p.write(t, eventsName, log[:i])
		p.mustBeBad(t, lineOf(log, i), fmt.Sprintf("cut to %d bytes", i))
		if l, err := Open(p.dir, p.options()); err == nil {
			_ = l.Close()
			t.Fatalf("cut to %d bytes: Open accepts it", i)
		}
	}
	if err := os.Remove(p.path(eventsName)); err != nil {
		t.Fatal(err)
	}
	p.mustBeBad(t, 1, "no file")
	if _, err := Open(p.dir, p.options()); err == nil {
		t.Error("no file: Open accepts it")
	}
}

// TestMovedLines: each way to rearrange whole lines, with and without the cache
// of hashes, which isn't needed to name them.
func TestMovedLines(t *testing.T) {
	p, other := newPlace(t), newPlace(t)
	p.fill(t, 6)
	other.fill(t, 8)
	a, b := p.lines(t), other.lines(t)
	a[5] += "\n" // lines leaves the last newline off
	b[7] += "\n"
	cat := func(parts ...[]string) []byte {
		var s string
		for _, p := range parts {
			s += strings.Join(p, "")
		}
		return []byte(s)
	}
	// What another log spells in the same words is no change: make them differ.
	for i := range b {
		b[i] = strings.Replace(b[i], "192.0.2.7", "192.0.2.8", 1)
	}
	cases := []struct {
		name string
		log  []byte
		line uint64
		why  string
	}{
		{"dropped first", cat(a[1:]), 1, "stands where seq 1 belongs"},
		{"dropped middle", cat(a[:2], a[3:]), 3, "stands where seq 3 belongs"},
		{"dropped last", cat(a[:5]), 6, "is missing"},
		{"dropped all", nil, 1, "is missing"},
		{"duplicated", cat(a[:3], a[2:]), 4, "repeated or out of order"},
		{"swapped", cat(a[:1], a[2:3], a[1:2], a[3:]), 2, "stands where seq 2 belongs"},
		{"reversed", cat(a[5:], a[4:5], a[3:4], a[2:3], a[1:2], a[:1]), 1, "stands where seq 1 belongs"},
		{"spliced in the middle", cat(a[:3], b[3:4], a[4:]), 4, "is not the record that was signed"},
		{"spliced first", cat(b[:1], a[1:]), 1, "is not the record that was signed"},
		{"CRLF", bytes.ReplaceAll(cat(a), []byte("\n"), []byte("\r\n")), 1, "is not the record"},
	}
	for _, hashes := range []bool{true, false} {
		if !hashes {
			if err := os.Remove(p.path(hashesName)); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range cases {
			name := fmt.Sprintf("%s (hashes: %v)", c.name, hashes)
			p.write(t, eventsName, c.log)
			bad := p.mustBeBad(t, c.line, name)
			if hashes && !strings.Contains(bad.Why, c.why) && c.name != "CRLF" {
				t.Errorf("%s: %v", name, bad)
			}
		}
		// What no checkpoint covers is told, with its digest, and judged by nobody.
		for name, tail := range map[string]string{
			"duplicated last": a[5], "spliced at the end": b[6], "spliced far end": b[7], "empty line at the end": "\n", "bytes at the end": "x",
		} {
			p.write(t, eventsName, cat(a, []string{tail}))
			want := Uncovered{Lines: strings.Count(tail, "\n"), Bytes: int64(len(tail)), SHA256: fmt.Sprintf("%x", sha256.Sum256([]byte(tail)))}
			if rep, err := p.verify(); err != nil || rep.Events != 6 || rep.Uncovered != want {
				t.Errorf("%s (hashes: %v): %+v, %v", name, hashes, rep, err)
			}
			if n := len(events(t, p.dir)); n != 6 {
				t.Errorf("%s: %d events are read", name, n)
			}
		}
	}
}

// TestTimeGoesBack: even somebody with the key can't make the verifier pass a
// clock that ran backwards.
func TestTimeGoesBack(t *testing.T) {
	p := newPlace(t)
	l := p.open(t)
	mustAppend(t, l, Event{Type: ServerStarted})
	l.last = time.Time{} // no check by the writer
	p.clock.Advance(-time.Hour)
	mustAppend(t, l, Event{Type: ServerStopped})
	_ = l.Close()
	bad := p.mustBeBad(t, 2, "an hour back")
	if !strings.Contains(bad.Why, "earlier") {
		t.Error(bad)
	}
}

// FuzzVerify: arbitrary bytes in every file; Verify and Open must end, never
// panic, and never accept a log other than the one that was signed.
func FuzzVerify(f *testing.F) {
	p := newPlace(f)
	p.fill(f, 3)
	log, signed, hashes := p.read(f, eventsName), p.read(f, checkpointName), p.read(f, hashesName)
	wit, err := os.ReadFile(filepath.Join(p.witness, witnessName))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(log, signed, hashes, wit)
	f.Add(log[:40], signed, hashes[:33], wit[:100])
	f.Add([]byte("\n\n"), signed, []byte{}, []byte("entry.test\n0\n"))
	f.Fuzz(func(t *testing.T, e, c, h, w []byte) {
		q := newPlace(t)
		q.signer, q.verifier = p.signer, p.verifier
		for _, d := range []string{q.dir, q.witness} {
			if err := os.MkdirAll(d, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		q.write(t, eventsName, e)
		q.write(t, checkpointName, c)
		q.write(t, hashesName, h)
		if err := os.WriteFile(filepath.Join(q.witness, witnessName), w, 0o600); err != nil {
			t.Fatal(err)
		}
		if rep, err := q.verify(); err == nil && !bytes.HasPrefix(log, e) {
			t.Fatalf("accepted: %v\n%q", rep, e)
		}
		for e, err := range Read(q.dir) {
			if err == nil && len(e.AppendJSON(nil)) > maxLine {
				t.Fatal("a line beyond the bound was read")
			}
		}
	})
}
