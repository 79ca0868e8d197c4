//go:build linux

package audit

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"entry/audit/segment"
	"entry/e2e/testkit"
)

// TestTwinsOfSegments: of a segment that is there more than once each file counts, whichever
// of them is read.
func TestTwinsOfSegments(t *testing.T) {
	forge := func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("user"), []byte("abus")) }
	for name, c := range map[string]func(t *testing.T, p *place, s string) (twin string){
		"zst": func(t *testing.T, p *place, s string) string {
			p.write(t, s+".zst", compressed(t, ".zst", forge(p.read(t, s))))
			return s + ".zst"
		},
		"gz": func(t *testing.T, p *place, s string) string {
			p.write(t, s+".gz", compressed(t, ".gz", forge(p.read(t, s))))
			return s + ".gz"
		},
		"archive": func(t *testing.T, p *place, s string) string {
			p.write(t, "archive/"+s, forge(p.read(t, s)))
			return "archive/" + s
		},
		"the part that isn't read": func(t *testing.T, p *place, s string) string {
			lines := bytes.SplitAfter(p.read(t, s), []byte{'\n'})
			lines[0] = bytes.ReplaceAll(lines[0], []byte("follows"), []byte("swollof"))
			p.write(t, s+".zst", compressed(t, ".zst", bytes.Join(lines, nil)))
			p.write(t, s, bytes.SplitAfter(p.read(t, s), []byte{'\n'})[0])
			return s + ".zst"
		},
		"a line more": func(t *testing.T, p *place, s string) string {
			p.write(t, s+".gz", compressed(t, ".gz", append(p.read(t, s), "{}\n"...)))
			return s + ".gz"
		},
		"half a line more": func(t *testing.T, p *place, s string) string {
			p.write(t, "archive/"+s, append(p.read(t, s), "{}"...))
			return "archive/" + s
		},
	} {
		p := newSegments(t, 14)
		testkit.Check(t, os.Mkdir(p.path("archive"), 0o700))
		twin := c(t, p, p.sealed(t)[1])
		_, err := p.verify()
		var bad *BadRecord
		if !errors.As(err, &bad) || bad.File != twin || bad.Line < 5 || bad.Line > 8 {
			t.Errorf("%s: %v, want %s named", name, err, twin)
		}
	}
}

// TestOddFiles puts what is no file of the log's under names of segments: what is there in
// another file is read, everything else is named or told, and nobody waits for a pipe.
func TestOddFiles(t *testing.T) {
	const all = "0 1 2 3 4 5 6 7 8 9 10 11 12 13"
	fifo := func(path string) error { return syscall.Mkfifo(path, 0o600) }
	dir := func(path string) error { return os.Mkdir(path, 0o700) }
	loop := func(path string) error { return os.Symlink(filepath.Base(path), path) }
	dangling := func(path string) error { return os.Symlink("none", path) }
	empty := func(path string) error { return os.WriteFile(path, nil, 0o600) }
	zero := func(path string) error { return os.Symlink("/dev/zero", path) }
	for _, c := range []struct {
		name   string
		make   func(path string) error
		what   string // path, S for a segment
		want   string // of verify; "" for nothing
		read   string // of readers
		starts bool
	}{
		{"a pipe", fifo, "S", "events-000000000005.jsonl line 1 (record 5) can't be read: ", "0 1 2 3 (events-000000000005.jsonl line 1 (record 5) can't be read: ", true},
		{"a folder", dir, "S", "events-000000000005.jsonl line 1 (record 5) can't be read: ", "0 1 2 3 (events-000000000005.jsonl line 1 (record 5) can't be read: ", true},
		{"a loop", loop, "S", "events-000000000005.jsonl line 1 (record 5) can't be read: ", "0 1 2 3 (events-000000000005.jsonl line 1 (record 5) can't be read: ", true},
		{"a device", zero, "S", "events-000000000005.jsonl line 1 (record 5) can't be read: ", "0 1 2 3 (events-000000000005.jsonl line 1 (record 5) can't be read: ", true},
		{"a pipe beside it", fifo, "events-000000000005.jsonl.gz", "", all, true},
		{"a folder before it", dir, "events-000000000005.jsonl", "", all, true}, // which is compressed then
		{"a folder in its middle", dir, "events-000000000006.jsonl", "events-000000000006.jsonl", "", true},
		{"a dangling link in its middle", dangling, "events-000000000006.jsonl", "events-000000000006.jsonl", "", true},
		{"an empty file in its middle", empty, "events-000000000006.jsonl", "events-000000000006.jsonl", "", true},
		{"an archive that is a pipe", fifo, "archive", "the folder archive can't be read: ", all, true},
		{"an archive that is a loop", loop, "archive", "the folder archive can't be read: ", all, true},
		{"an archive that is a file", empty, "archive", "the folder archive can't be read: ", all, true},
		{"the checkpoint", fifo, checkpointName, "no regular file", "", false},
		{"the last segment", fifo, eventsName, "no regular file", "", false},
	} {
		p := newSegments(t, 14)
		s := p.sealed(t)
		what := c.what
		switch {
		case what == "S":
			what = s[1]
			p.remove(t, what)
		case what == s[1]:
			p.compress(t, what, ".zst")
		case what == checkpointName, what == eventsName:
			p.remove(t, what)
		}
		testkit.Check(t, c.make(p.path(what)))
		testkit.Finishes(t, c.name, func() {
			_, err := p.verify()
			if (err != nil) != (c.want != "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: verify: %v, want %q", c.name, err, c.want)
			}
			var read []string
			for e, err := range Read(p.dir) {
				switch {
				case err != nil:
					read = append(read, "("+err.Error()+")")
				case e.User != "":
					read = append(read, strings.TrimPrefix(e.User, "user"))
				}
			}
			got := strings.Join(read, " ")
			if c.read != "" && !strings.HasPrefix(got, c.read) || c.starts && !strings.HasSuffix(got, " 13") {
				t.Errorf("%s: read %s, want %s", c.name, got, c.read)
			}
			if strings.Contains(what, "0006") { // nothing of what is there is lost
				in := "(" + what + " line 1 (record 6) is no segment: it has nothing with which one begins, and was put there) "
				if !strings.Contains(got, in) || strings.ReplaceAll(got, in, "") != all {
					t.Errorf("%s: read %s", c.name, got)
				}
			}
			if l, err := Inspect(p.dir, p.options()); (err == nil) != c.starts {
				t.Errorf("%s: start: %v", c.name, err)
			} else if err == nil {
				_ = l.Close()
			}
		})
	}
}

// TestLinksAreNoSegments: a link to the last segment hides no file that was added, and what
// is under the name that the log needs next is told, by the log and by verifying.
func TestLinksAreNoSegments(t *testing.T) {
	for name, link := range map[string]func(old, new string) error{"symbolic": os.Symlink, "hard": os.Link} {
		p := newSegments(t, 14)
		p.write(t, "events-000000009998.jsonl", p.read(t, p.sealed(t)[1]))
		for _, at := range []string{"events-000000009997.jsonl", "events-000000009999.jsonl"} {
			testkit.Check(t, link(p.path(eventsName), p.path(at)))
		}
		if _, err := p.verify(); err == nil || !strings.Contains(err.Error(), " is in no segment of the log, whose last one begins before it") {
			t.Errorf("%s: %v", name, err)
		}

		p = newPlace(t)
		p.segment = 400
		p.fill(t, 1)
		testkit.Check(t, link(p.path(eventsName), p.path(segment.Name(1))))
		p.fill(t, 9)
		told := 0
		for e := range Read(p.dir) {
			if e.Type == AlarmFileGone && e.Reason == "in-the-way" && strings.HasPrefix(e.Detail, segment.Name(1)+" ") {
				told++
			}
		}
		if _, err := p.verify(); told != 1 || err == nil || !strings.Contains(err.Error(), segment.Name(1)+" line 1 is in no segment") {
			t.Errorf("%s, in the way: told %d times; %v", name, told, err)
		}
		p.remove(t, segment.Name(1))
		p.fill(t, 1)
		if rep, err := p.verify(); err != nil || len(p.sealed(t)) != 1 {
			t.Errorf("%s, out of the way: %+v, %v, sealed %v", name, rep, err, p.sealed(t))
		}
	}
}

// TestNewFilesFollowNoLinks: what is put under the name that the log's next file has while
// it is made leads the writer nowhere.
func TestNewFilesFollowNoLinks(t *testing.T) {
	for _, temp := range []string{eventsTemp, checkpointTemp} {
		for name, put := range map[string]func(p *place) error{
			"a link to hashes":     func(p *place) error { return os.Symlink(hashesName, p.path(temp)) },
			"a link to checkpoint": func(p *place) error { return os.Symlink(checkpointName, p.path(temp)) },
			"a sealed segment":     func(p *place) error { return os.Link(p.path(segment.Name(1)), p.path(temp)) },
			"a pipe":               func(p *place) error { return syscall.Mkfifo(p.path(temp), 0o600) },
			"an empty folder":      func(p *place) error { return os.Mkdir(p.path(temp), 0o700) },
			"a folder":             func(p *place) error { return os.MkdirAll(p.path(temp+"/sub"), 0o700) },
		} {
			if name == "a folder" && temp == checkpointTemp {
				continue // without a checkpoint nothing goes on
			}
			p := newPlace(t)
			p.segment = 400
			p.fill(t, 9)
			sealed := len(p.sealed(t))
			testkit.Check(t, put(p))
			testkit.Finishes(t, name, func() { p.fill(t, 12) })
			if rep, err := p.verify(); err != nil || (len(p.sealed(t)) > sealed) != (name != "a folder") {
				t.Errorf("%s as %s: %+v, %v, sealed %v", name, temp, rep, err, p.sealed(t))
			}
		}
	}
}

// TestPutBackToABorder: a log that was put back to the end of a segment has sealed ones
// behind, which no checkpoint covers.
func TestPutBackToABorder(t *testing.T) {
	p := newPlace(t)
	p.segment, p.witness = 400, ""
	at := map[uint64][]byte{}
	l := p.open(t)
	for i := range 14 {
		mustAppend(t, l, Event{Type: LoginSucceeded, User: fmt.Sprint("user", i), Source: "192.0.2.7:50122"})
		at[l.Position().Size] = p.read(t, checkpointName)
	}
	_ = l.Close()
	for _, size := range []uint64{6, 7} { // the segment has 5 to 7
		p.write(t, checkpointName, at[size])
		if _, err := p.verify(); err == nil || !strings.Contains(err.Error(), "stands in a sealed segment, and no checkpoint covers it") {
			t.Errorf("%d: %v", size, err)
		}
		if l, err := Open(p.dir, p.options()); err == nil {
			_ = l.Close()
			t.Fatalf("%d: it is opened", size)
		}
	}
}

// TestFollowStopsBeforeWhatIsUnsigned, whatever number it states.
func TestFollowStopsBeforeWhatIsUnsigned(t *testing.T) {
	p := newSegments(t, 14)
	r := testkit.Must(openLast(p.dir, 1))(t)
	defer r.Close()
	none := testkit.Must(openLast(p.dir, 0))(t) // who shows only what comes
	defer none.Close()
	var seen []string
	look := func() {
		seen = nil
		r.each(func(e Event, err error) bool {
			seen = append(seen, fmt.Sprint(e.User, err))
			return true
		})
	}
	if look(); !slices.Equal(seen, []string{"user13<nil>"}) {
		t.Fatal(seen)
	}
	f := testkit.Must(os.OpenFile(p.path(eventsName), os.O_APPEND|os.O_WRONLY, 0))(t)
	e := Event{Seq: 7, Time: time.Now(), Type: LoginSucceeded, User: "forged"}
	testkit.Must(f.Write(append(e.AppendJSON(nil), '\n')))(t)
	testkit.Check(t, f.Close())
	testkit.Check(t, r.Follow())
	r.grown(r.size)
	if look(); len(seen) > 0 {
		t.Error(seen)
	}
	r = none
	testkit.Check(t, r.Follow())
	r.grown(r.size)
	if look(); len(seen) > 0 {
		t.Errorf("of no lines: %v", seen)
	}
}

// TestSinceHoldsItsFirstRecord: what a verification from a checkpoint on says of records
// that it doesn't read is proven as well, and said.
func TestSinceHoldsItsFirstRecord(t *testing.T) {
	p := newSegments(t, 14)
	now := p.read(t, checkpointName)
	rep := testkit.Must(p.verifySince(now))(t)
	if whole := testkit.Must(p.verify())(t); rep.Since != rep.Events || !rep.Last.Equal(whole.Last) || !rep.WitnessedAt.Equal(whole.WitnessedAt) || rep.Last.IsZero() {
		t.Errorf("%+v, want %+v", rep, whole)
	}
	if _, err := p.verifySince([]byte{}); err == nil {
		t.Error("nothing is a checkpoint")
	}
	p = newPlace(t)
	p.signer, p.verifier, _ = GenerateKey("entry.test/2") // as one that began anew is called
	p.segment = 400
	p.fill(t, 14)
	now = p.read(t, checkpointName)
	if rep, err := p.verifySince(now); err != nil || rep.Since != rep.Events {
		t.Errorf("%+v, %v", rep, err)
	}
	first := p.sealed(t)[0]
	p.write(t, first, bytes.Replace(p.read(t, first), []byte("user0"), []byte("user9"), 1))
	if _, err := p.verifySince(now); err == nil || !strings.Contains(err.Error(), first+" line 1 (seq 1) is not the record that was signed") {
		t.Errorf("its first record changed: %v", err)
	}
}

// TestSinceInWhatIsAbsent goes on from the middle of a segment that isn't here.
func TestSinceInWhatIsAbsent(t *testing.T) {
	p := newSegments(t, 14)
	checkpoints := bytes.SplitAfter(testkit.Must(os.ReadFile(filepath.Join(p.witness, witnessName)))(t), []byte("=\n"))
	p.remove(t, p.sealed(t)[1]) // 5 to 7
	reached := 0
	for i, c := range checkpoints {
		if i%2 == 0 || !bytes.Contains(c, []byte("\n— ")) {
			continue
		}
		since := append(bytes.TrimPrefix(checkpoints[i-1], []byte("\n")), c...)
		rep, err := p.verifySince(since)
		size := testkit.Must(openCheckpoint(since, testkit.Must(KeysOf(p.verifier, nil))(t)))(t).size
		if err != nil || rep.Since != size {
			t.Errorf("since %d: %d, %v", size, rep.Since, err)
		}
		reached++
	}
	if reached < 14 {
		t.Error(reached)
	}
}

// TestLastSealedAway: where the last segment has no record yet the one before is needed.
func TestLastSealedAway(t *testing.T) {
	p := newPlace(t)
	p.fill(t, 3)
	testkit.Check(t, os.Rename(p.path(eventsName), p.path("away")))
	p.write(t, eventsName, nil)
	const want = "events.jsonl has none yet; if the segment before it was moved away, put it back"
	if _, err := p.verify(); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v", err)
	}
	if l, err := Open(p.dir, p.options()); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, %v", l, err)
	}
}
