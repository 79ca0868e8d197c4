//go:build linux

package audit

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"entry/audit/segment"
)

// newSegments is a log of several segments, closed, with n events of users, one a batch.
func newSegments(t testing.TB, n int) *place {
	t.Helper()
	p := newPlace(t)
	p.segment = 400 // bytes: three events or four
	p.fill(t, n)
	return p
}

// sealed are the names of the sealed segments, in order.
func (p *place) sealed(t testing.TB) []string {
	t.Helper()
	all, err := filepath.Glob(p.path("events-*"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		all[i] = filepath.Base(all[i])
	}
	return all
}

// whole is what Read yields: users, and what isn't there.
func (p *place) whole(t testing.TB) string {
	t.Helper()
	var out []string
	for e, err := range Read(p.dir) {
		switch {
		case err != nil && !Told(err):
			t.Fatal(err)
		case err != nil:
			out = append(out, "("+err.Error()+")")
		case e.User != "":
			out = append(out, strings.TrimPrefix(e.User, "user"))
		}
	}
	return strings.Join(out, " ")
}

func (p *place) move(t testing.TB, from, to string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(p.path(to)), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(p.path(from), p.path(to)); err != nil {
		t.Fatal(err)
	}
}

// compressed is b as a tool makes it.
func compressed(t testing.TB, ext string, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	switch ext {
	case ".gz":
		w := gzip.NewWriter(&out)
		if _, err := w.Write(b); err != nil || w.Close() != nil {
			t.Fatal(err)
		}
	case ".zst":
		w, err := zstd.NewWriter(&out)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(b); err != nil || w.Close() != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

// compress does what a tool does.
func (p *place) compress(t testing.TB, name, ext string) {
	t.Helper()
	p.write(t, name+ext, compressed(t, ext, p.read(t, name)))
	if err := os.Remove(p.path(name)); err != nil {
		t.Fatal(err)
	}
}

// TestRoll: a log rolls by size and by day, each sealed file is called after its first
// record, and all of them together are read, followed and verified as one.
func TestRoll(t *testing.T) {
	p := newPlace(t)
	p.segment = 600
	l := p.open(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	followed := make(chan uint64, 100)
	go func() {
		for e, err := range Tail(ctx, p.dir, 100, true) { // from the first record on, whenever it begins
			if err != nil {
				t.Error(err)
				close(followed)
				return
			}
			followed <- e.Seq
		}
	}()
	for i := range 20 {
		mustAppend(t, l, Event{Type: LoginSucceeded, User: fmt.Sprintf("user%d", i), Source: "192.0.2.7:50122"})
		if rep, err := p.verify(); err != nil || rep.Uncovered.Bytes > 0 || rep.Events != l.Position().Size {
			t.Fatalf("beside the writer: %+v, %v", rep, err)
		}
	}
	first := len(p.sealed(t))
	if first < 4 {
		t.Fatalf("sealed: %v", p.sealed(t))
	}
	p.segment = 1 << 20
	_ = l.Close()
	l = p.open(t)
	mustAppend(t, l, Event{Type: LoginSucceeded, User: "user20"})
	p.clock.Set(p.clock.Peek().Add(24 * time.Hour))
	mustAppend(t, l, Event{Type: LoginSucceeded, User: "user21"}, Event{Type: LoginSucceeded, User: "user22"})
	if now := len(p.sealed(t)); now != first+1 {
		t.Errorf("a day later: %v", p.sealed(t))
	}
	size := l.Position().Size
	for want := uint64(1); want <= size; want++ {
		if got := <-followed; got != want {
			t.Fatalf("followed %d, want %d", got, want)
		}
	}
	want := uint64(1)
	for _, name := range append(p.sealed(t), eventsName) {
		if name != eventsName && name != segment.Name(want) {
			t.Errorf("%s begins with record %d", name, want)
		}
		for line := range bytes.Lines(p.read(t, name)) {
			e, _, err := decode(bytes.TrimSuffix(line, []byte("\n")), nil)
			if err != nil || e.Seq != want {
				t.Errorf("%s: record %d, %v, want %d", name, e.Seq, err, want)
			}
			want++
		}
	}
	if want != size+1 {
		t.Errorf("%d records in the files, want %d", want-1, size)
	}
	if got := p.whole(t); got != "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22" {
		t.Error(got)
	}
	for n := range int(size) + 2 {
		var got []uint64
		for e, err := range Tail(t.Context(), p.dir, n, false) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, e.Seq)
		}
		if len(got) != min(n, int(size)) || len(got) > 0 && (got[0] != size-uint64(len(got))+1 || got[len(got)-1] != size) {
			t.Errorf("the last %d: %v", n, got)
		}
		var since int
		for _, err := range l.Since(uint64(n)) {
			if err != nil {
				t.Fatal(err)
			}
			since++
		}
		if since != max(0, int(size)-n) {
			t.Errorf("since %d: %d", n, since)
		}
		if at, ok, err := l.At(uint64(n)); err != nil || ok != (n <= int(size)) {
			t.Errorf("at %d: %v, %v", n, ok, err)
		} else if roots, err := RootsAt(p.dir, min(uint64(n), size)); ok && (err != nil || roots[0] != at.Root) {
			t.Errorf("at %d: another root, %v", n, err)
		}
	}
	_ = l.Close()
	if rep, err := p.verify(); err != nil || rep.Events != size || rep.Witnessed != size || len(rep.Absent) > 0 {
		t.Errorf("%+v, %v", rep, err)
	}
}

// TestOldLogGoesOn: the one file of a version without segments is the first segment.
func TestOldLogGoesOn(t *testing.T) {
	p := newPlace(t)
	p.fill(t, 9)
	p.segment = 600
	p.fill(t, 1)
	if got := p.sealed(t); !slices.Equal(got, []string{segment.Name(1)}) {
		t.Fatal(got)
	}
	if got := p.whole(t); got != "0 1 2 3 4 5 6 7 8 0" {
		t.Error(got)
	}
	if rep, err := p.verify(); err != nil || rep.Events != 11 || rep.Witnessed != 11 {
		t.Errorf("%+v, %v", rep, err)
	}
}

// TestSegmentsElsewhere has each sealed segment compressed, moved to the archive, both,
// half-way there, or away, and wants every reader to have all that is there, and to name
// what isn't.
func TestSegmentsElsewhere(t *testing.T) {
	const all = "0 1 2 3 4 5 6 7 8 9 10 11"
	for name, c := range map[string]struct {
		do     func(t *testing.T, p *place, name string)
		absent bool
	}{
		"gzip":     {func(t *testing.T, p *place, name string) { p.compress(t, name, ".gz") }, false},
		"zstd":     {func(t *testing.T, p *place, name string) { p.compress(t, name, ".zst") }, false},
		"archived": {func(t *testing.T, p *place, name string) { p.move(t, name, "archive/"+name) }, false},
		"both": {func(t *testing.T, p *place, name string) {
			p.compress(t, name, ".zst")
			p.move(t, name+".zst", "archive/"+name+".zst")
		}, false},
		"gzip, cut": {func(t *testing.T, p *place, name string) {
			p.write(t, name+".gz", compressed(t, ".gz", p.read(t, name))[:40])
		}, false},
		"zstd, none yet": {func(t *testing.T, p *place, name string) { p.write(t, name+".zst", nil) }, false},
		"gunzip, cut": {func(t *testing.T, p *place, name string) {
			b := p.read(t, name)
			p.write(t, name+".gz", compressed(t, ".gz", b))
			p.write(t, name, b[:len(b)/2])
		}, false},
		"copied in part": {func(t *testing.T, p *place, name string) {
			b := p.read(t, name)
			p.compress(t, name, ".gz")
			p.move(t, name+".gz", "archive/"+name+".gz")
			p.move(t, "archive/"+name+".gz", name+".gz")
			p.write(t, "archive/"+name+".gz", compressed(t, ".gz", b)[:30])
		}, false},
		"away": {func(t *testing.T, p *place, name string) { p.move(t, name, "../away/"+name) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := newSegments(t, 12)
			list := p.sealed(t)
			if len(list) < 3 {
				t.Fatal(list)
			}
			for i, one := range list {
				q := newPlace(t)
				q.signer, q.verifier, q.clock = p.signer, p.verifier, p.clock
				for from, to := range map[string]string{p.dir: q.dir, p.witness: q.witness} {
					if err := os.CopyFS(to, os.DirFS(from)); err != nil {
						t.Fatal(err)
					}
				}
				c.do(t, q, one)
				rep, err := q.verify()
				if err != nil || rep.Events == 0 || rep.Witnessed != rep.Events {
					t.Fatalf("%s: %+v, %v", one, rep, err)
				}
				first, _ := segment.First(one)
				end := rep.Events
				if i+1 < len(list) {
					next, _ := segment.First(list[i+1])
					end = next - 1
				} else if e, _, err := decode(bytes.Split(q.read(t, eventsName), []byte("\n"))[0], nil); err == nil {
					end = e.Seq - 1
				}
				switch {
				case !c.absent && (len(rep.Absent) > 0 || q.whole(t) != all):
					t.Errorf("%s: %v; read %s", one, rep.Absent, q.whole(t))
				case c.absent && !slices.Equal(rep.Absent, []segment.Absent{{From: first, To: end}}):
					t.Errorf("%s: absent %v, want %d to %d", one, rep.Absent, first, end)
				case c.absent:
					if got := q.whole(t); !strings.Contains(got, fmt.Sprintf("(records %d to %d aren't here: ", first, end)) {
						t.Errorf("%s: read %s", one, got)
					}
					var absent *segment.Absent
					if _, err := EventAt(q.dir, first); !errors.As(err, &absent) {
						t.Errorf("%s: EventAt says %v", one, err)
					}
				}
				// It goes on, and what was put in place of the file is verified again.
				q.fill(t, 1)
				if rep, err := q.verify(); err != nil || c.absent != (len(rep.Absent) == 1) {
					t.Errorf("%s, one start later: %+v, %v", one, rep, err)
				}
			}
		})
	}
}
