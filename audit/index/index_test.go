//go:build linux

package index

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"entry/audit"
	"entry/audit/segment"
	"entry/e2e/testkit"
)

// Whatever the log and the query, and whatever is done to the log between two searches,
// those with an index say what those without one do.
func TestSameAsReading(t *testing.T) {
	for seed := range testkit.Long(30, 3000) {
		p := newPlace(t, uint64(seed))
		p.most = uint64(1 + p.r.IntN(40))
		x := p.index()
		for range 6 {
			p.same("unindexed", x, p.query())
		}
		p.warm(x)
		for range 20 {
			p.same("warm", x, p.query())
		}
		for range 3 {
			what := "after " + p.disturb()
			if p.r.IntN(2) == 0 {
				testkit.Check(t, x.Close())
				x = p.index()
			}
			for range 10 {
				p.same(what, x, p.query())
			}
		}
		if note := x.Note(); note != "" {
			t.Errorf("seed %d: %s", seed, note)
		}
		testkit.Check(t, x.Close())
	}
}

// A search with an index that knows the log reads no more of it than what it shows and the
// rest of the last file.
func TestReadsLittle(t *testing.T) {
	p := newPlace(t, 1)
	p.settle()
	x := p.index()
	p.warm(x)
	files := p.sealed()
	if len(files) < 3 {
		t.Fatal(files)
	}
	// What isn't a permission for root is a file that isn't read: its content is gone and its state is as it was.
	x.most = 0 // nothing would be learnt
	read := 0
	for range audit.Search(p.dir, audit.Query{User: "nobody"}, counting{x, &read}) {
		t.Error("somebody is nobody")
	}
	live := bytes.Count(testkit.Must(os.ReadFile(filepath.Join(p.dir, segment.Current)))(t), []byte{'\n'})
	if read > live {
		t.Errorf("%d records were read, of the last file's %d", read, live)
	}
	if x.Note() != "" {
		t.Error(x.Note())
	}
}

// counting counts what has to be read.
type counting struct {
	*Index
	read *int
}

func (c counting) Learn(line []byte, e audit.Event) {
	*c.read++
	c.Index.Learn(line, e)
}

// A file that was replaced since is read again, also where it is as long as it was and
// as old, and what isn't changed isn't.
func TestReplacedFile(t *testing.T) {
	for _, where := range []string{"in place", "by another"} {
		p := newPlace(t, 2)
		p.settle()
		x := p.index()
		p.warm(x)
		q := audit.Query{User: "peggy"} // of whom no chunk has anything
		f := p.sealed()[1]
		was := testkit.Must(os.Stat(f))(t)
		b := testkit.Must(os.ReadFile(f))(t)
		changed := bytes.ReplaceAll(b, []byte(`"user":"carol"`), []byte(`"user":"peggy"`))
		if bytes.Equal(b, changed) {
			t.Fatal("the file has no carol")
		}
		state := x.stateOf
		part := p.part(f)
		old := state(part)
		testkit.Eventually(t, "a later time of the file", func() bool {
			if where == "in place" {
				testkit.Check(t, os.WriteFile(f, changed, 0o600))
			} else {
				testkit.Check(t, os.WriteFile(f+".new", changed, 0o600))
				testkit.Check(t, os.Rename(f+".new", f))
			}
			testkit.Check(t, os.Chtimes(f, time.Time{}, was.ModTime()))
			return state(part) != old
		})
		p.same(where, x, q)
		if len(p.found(q, x)) == 0 {
			t.Errorf("%s: what was written isn't found", where)
		}
		if x.Note() != "" {
			t.Error(x.Note())
		}
	}
}

// What was changed a moment ago may be changed again without a trace: it is read.
func TestFreshFile(t *testing.T) {
	began := time.Now()
	p := newPlace(t, 3)
	p.now = func() time.Time { return began.Add(settled - time.Nanosecond) }
	x := p.index()
	p.warm(x)
	if state := x.stateOf(p.part(p.sealed()[0])); state != "" {
		t.Errorf("a new file has the state %x", state)
	}
	var kept int
	testkit.Check(t, x.db.db.QueryRow("SELECT count(*) FROM file").Scan(&kept))
	if kept != 0 {
		t.Errorf("%d files are known again by their state", kept)
	}
}

// What is changed while it is searched isn't shown as what it was.
func TestChangedWhileSearched(t *testing.T) {
	p := newPlace(t, 4)
	p.settle()
	p.most = 4
	x := p.index()
	p.warm(x)
	f := p.sealed()[0]
	b := testkit.Must(os.ReadFile(f))(t)
	before := p.found(audit.Query{Type: "login"}, nil)
	var got, later []string
	for e, err := range audit.Search(p.dir, audit.Query{Type: "login"}, x) {
		testkit.Check(t, err)
		if len(got) == 0 { // the first chunk is read
			testkit.Check(t, os.WriteFile(f, bytes.ReplaceAll(b, []byte(`"type":"login.failed"`), []byte(`"type":"session.ended"`)), 0o600))
		}
		got = append(got, string(e.AppendJSON(nil)))
		if e.Seq > p.most {
			later = append(later, got[len(got)-1])
		}
	}
	if want := p.found(audit.Query{Type: "login", After: p.most}, nil); !slices.Equal(later, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(later, "\n"), strings.Join(want, "\n"))
	}
	if len(got) == len(before) {
		t.Error("nothing was changed")
	}
}

// One row for two terms that have one hash is of both, and only what is asked for is shown.
func TestFind(t *testing.T) {
	key, other := hashed{1}, hashed{2}
	bucket := func(parts ...any) (b []byte) {
		for _, p := range parts {
			switch p := p.(type) {
			case hashed:
				b = append(b, p[:]...)
			case int:
				b = append(b, byte(p))
			}
		}
		return b
	}
	for name, c := range map[string]struct {
		bucket []byte
		want   []uint32
		bad    bool
	}{
		"empty":         {nil, nil, false},
		"another":       {bucket(other, 2, 1, 1), nil, false},
		"one":           {bucket(other, 1, 7, key, 3, 2, 1, 5), []uint32{2, 3, 8}, false},
		"twice":         {bucket(key, 2, 1, 4, other, 1, 9, key, 2, 2, 3), []uint32{1, 2, 5}, false},
		"cut in a key":  {bucket(other, 1, 1)[:5], nil, true},
		"no length":     {bucket(key), nil, true},
		"too long":      {bucket(key, 4, 1, 1), nil, true},
		"no step":       {bucket(key, 2, 1, 0), nil, true},
		"cut in a step": {bucket(key, 1, 0x80), nil, true},
		"too far":       {bucket(key, 3, 0xff, 0xff, 0x7f), nil, true},
	} {
		got, err := find(c.bucket, key)
		if !slices.Equal(got, c.want) || (err != nil) != c.bad {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestFolder(t *testing.T) {
	home := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("HOME", home)
	if folder, err := Folder(); err != nil || folder != filepath.Join(home, ".cache", "entry") {
		t.Errorf("%q, %v", folder, err)
	}
	t.Setenv("HOME", filepath.Join(home, "none"))
	if folder, err := Folder(); err == nil {
		t.Errorf("a home that isn't there has %q", folder)
	}
}

// What an older checkpoint doesn't cover is no part of the log, whatever the index knew.
func TestOlderCheckpoint(t *testing.T) {
	p := newPlace(t, 13)
	p.settle()
	checkpoint := filepath.Join(p.dir, "checkpoint")
	var older [][]byte
	for range 10 {
		older = append(older, testkit.Must(os.ReadFile(checkpoint))(t))
		p.write(5)
	}
	p.write(30)
	x := p.index()
	q := audit.Query{Type: "login"}
	p.warm(x)
	before := p.found(q, x)
	for _, text := range older {
		testkit.Check(t, os.WriteFile(checkpoint, text, 0o600))
		p.same("under an older checkpoint", x, q)
		if after := p.found(q, x); len(after) >= len(before) {
			t.Errorf("%d events, and %d before", len(after), len(before))
		}
	}
}

// Of what isn't what it was when it was indexed nothing is shown, also where it is in form.
func TestChangedBlock(t *testing.T) {
	p := newPlace(t, 2)
	x := p.index()
	p.warm(x)
	f := p.sealed()[1]
	b := testkit.Must(os.ReadFile(f))(t)
	testkit.Check(t, os.WriteFile(f, bytes.ReplaceAll(b, []byte(`"user":"carol"`), []byte(`"user":"alice"`)), 0o600))
	q := audit.Query{User: "alice"}
	lists, _ := wanted(q)
	changed := 0
	for _, s := range x.spans {
		if part := p.part(f); s.segment == part.First && bytes.Contains(b[s.from:s.to], []byte(`"user":"carol"`)) && bytes.Contains(b[s.from:s.to], []byte(`"user":"alice"`)) {
			changed++
			if hits, err := x.hits(&content{part: part}, s, lists, q); !errors.Is(err, errContent) {
				t.Errorf("%d hits, %v", len(hits), err)
			}
		}
	}
	if changed == 0 {
		t.Error("nothing was changed")
	}
}

// A line that nobody signed isn't shown, also where the index knows all that comes before it.
func TestUnsignedLine(t *testing.T) {
	p := newPlace(t, 14)
	p.most = 1
	x := p.index()
	p.warm(x)
	path := filepath.Join(p.dir, segment.Current)
	first, _, _ := bytes.Cut(testkit.Must(os.ReadFile(path))(t), []byte{'\n'})
	f := testkit.Must(os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0))(t)
	_ = testkit.Must(f.Write(append(first, '\n')))(t) // it states a number that was signed
	testkit.Check(t, f.Close())
	p.same("unsigned", x, audit.Query{Since: time.Unix(0, 0)})
}
