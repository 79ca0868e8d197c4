//go:build linux

package index

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"entry/audit"
	"entry/audit/segment"
	"entry/e2e/testkit"
)

var (
	users   = []string{"", "alice", "bob", "carol", "häns", "al"}
	hashes  = []string{"", "", "hmac:aa", "hmac:bb"}
	targets = []string{"", "home.tinker", "home.kestrel", "homer.tinker", "desktop", "a.b.c"}
	types   = []audit.Type{audit.LoginSucceeded, audit.LoginFailed, audit.SessionStarted, audit.SessionEnded, audit.RecordingTick, audit.RecordingRead, audit.ChannelOpened}
	refs    = []string{"", "", "K7Q2MX", "k7q2mx", "K7Q2MY", "Straße", "Kelvin", "\u212aelvin"}
	sources = []string{"", "192.0.2.7:50122", "192.0.2.8:1", "[2001:db8::7]:2"}
)

func id(r *rand.Rand) string {
	return []string{"", "", fmt.Sprintf("01JQ8Z%04d%016d", r.IntN(3), r.IntN(4)), fmt.Sprintf("01JR%022d", r.IntN(5)), "01J"}[r.IntN(5)]
}

func pick[T any](r *rand.Rand, all []T) T { return all[r.IntN(len(all))] }

func event(r *rand.Rand) audit.Event {
	e := audit.Event{Type: pick(r, types), User: pick(r, users), UserHash: pick(r, hashes), Target: pick(r, targets), Ref: pick(r, refs),
		Source: pick(r, sources), Session: id(r), Conn: id(r)}
	if r.IntN(4) == 0 {
		e.Recording = &audit.Recording{ID: id(r)}
	}
	for range r.IntN(3) {
		e.Sessions = append(e.Sessions, id(r))
	}
	if r.IntN(5) == 0 {
		e.Detail = strings.Repeat("x", r.IntN(300))
	}
	return e
}

// place is a log and the folder of its index.
type place struct {
	t      testing.TB
	r      *rand.Rand
	dir    string
	folder string
	key    string
	clock  *testkit.Clock
	now    func() time.Time // of the index
	most   uint64           // records of a chunk
	odd    bool             // no server would go on with the log
}

// newPlace writes a log of some segments.
func newPlace(t testing.TB, seed uint64) *place {
	p := &place{t: t, r: rand.New(rand.NewPCG(seed, 7)), dir: filepath.Join(t.TempDir(), "audit"), folder: filepath.Join(t.TempDir(), "index"),
		clock: testkit.NewClock(time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)), now: time.Now, most: 8}
	p.clock.Stride(time.Second)
	p.key, _, _ = audit.GenerateKey("entry.test")
	p.write(30 + p.r.IntN(120))
	return p
}

func (p *place) write(n int) {
	p.t.Helper()
	l := testkit.Must(audit.Open(p.dir, audit.Options{Key: p.key, Now: p.clock.Now, Segment: 4 << 10}))(p.t)
	for n > 0 {
		batch := make([]audit.Event, 1+p.r.IntN(5))
		for i := range batch {
			batch[i] = event(p.r)
		}
		testkit.Check(p.t, l.Append(p.t.Context(), batch...))
		n -= len(batch)
		if p.r.IntN(40) == 0 {
			p.clock.Advance(24 * time.Hour)
		}
	}
	testkit.Check(p.t, l.Close())
}

// settle has files seem to be of long ago, so that their state alone is looked at.
func (p *place) settle() { p.now = func() time.Time { return time.Now().Add(time.Hour) } }

func (p *place) index() *Index {
	p.t.Helper()
	x := testkit.Must(Open(p.dir, Options{Folder: p.folder, Now: p.now}))(p.t)
	x.most = p.most
	p.t.Cleanup(func() { _ = x.Close() })
	return x
}

// sealed are the files of the sealed segments.
func (p *place) sealed() (all []string) {
	for _, pattern := range []string{"events-*", "archive/events-*"} {
		all = append(all, testkit.Must(filepath.Glob(filepath.Join(p.dir, pattern)))(p.t)...)
	}
	return all
}

func (p *place) query() (q audit.Query) {
	r := p.r
	for range 1 + r.IntN(3) {
		switch r.IntN(10) {
		case 0:
			q.User = pick(r, append(users, "nobody", "hmac:aa"))
		case 1:
			q.User, q.UserHashes = pick(r, users), []string{pick(r, hashes), pick(r, hashes)}
		case 2:
			q.Target = pick(r, append(targets, "home", "a.b", "a.", "tinker", "hom"))
		case 3:
			q.Session = pick(r, []string{id(r), strings.ToLower(id(r)), "none"})
		case 4:
			s := id(r)
			q.IDStart = s[:min(len(s), 1+r.IntN(14))]
		case 5:
			q.Ref = pick(r, append(refs, "STRASSE", "kelvin", "STRAßE"))
		case 6:
			q.Type = pick(r, []string{"login", "login.failed", "session", "recording", "recording.tick", "log", "user"})
		case 7:
			unit := pick(r, []time.Duration{time.Second, 6 * time.Minute}) // within a chunk, and beyond
			q.Since = p.clock.Peek().Add(-time.Duration(r.IntN(200)) * unit)
			if r.IntN(2) == 0 {
				q.Until = q.Since.Add(time.Duration(r.IntN(40)) * unit)
			}
		case 8:
			q.After = uint64(r.IntN(160))
		case 9:
			q.Source = pick(r, []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("192.0.2.8/32"), netip.MustParsePrefix("2001:db8::/32")})
		}
	}
	return q
}

// found is all that a search tells, errors too.
func (p *place) found(q audit.Query, x *Index) (all []string) {
	var index audit.Index
	if x != nil {
		index = x
	}
	for e, err := range audit.Search(p.dir, q, index) {
		if err != nil {
			all = append(all, err.Error())
			continue
		}
		all = append(all, string(e.AppendJSON(nil)))
	}
	return all
}

// same searches with and without the index.
func (p *place) same(what string, x *Index, q audit.Query) {
	p.t.Helper()
	want, got := p.found(q, nil), p.found(q, x)
	if !slices.Equal(got, want) {
		p.t.Fatalf("%s: %+v: by the index\n%s\nby the log\n%s", what, q, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// known is how many of the log's records the index has.
func (x *Index) records() (n uint64) {
	for _, s := range x.spans {
		n += s.end - s.first
	}
	return n
}

// warm has all of the log indexed that can be, and no more to learn.
func (p *place) warm(x *Index) {
	p.t.Helper()
	p.same("warming", x, audit.Query{User: "alice"})
	if x.records() == 0 {
		p.t.Fatal("nothing was indexed")
	}
}

// compress replaces a file.
func compress(t testing.TB, path string, zst bool) {
	b := testkit.Must(os.ReadFile(path))(t)
	var out bytes.Buffer
	if zst {
		w := testkit.Must(zstd.NewWriter(&out))(t)
		_ = testkit.Must(w.Write(b))(t)
		testkit.Check(t, w.Close())
		path += ".zst"
	} else {
		w := gzip.NewWriter(&out)
		_ = testkit.Must(w.Write(b))(t)
		testkit.Check(t, w.Close())
		path += ".gz"
	}
	testkit.Check(t, os.WriteFile(path, out.Bytes(), 0o600))
	testkit.Check(t, os.Remove(strings.TrimSuffix(strings.TrimSuffix(path, ".zst"), ".gz")))
}

// disturb does to the log's files what tools, operators and vandals do.
func (p *place) disturb() string {
	t, r := p.t, p.r
	var plain []string
	for _, f := range p.sealed() {
		if strings.HasSuffix(f, ".jsonl") {
			plain = append(plain, f)
		}
	}
	if len(plain) == 0 {
		return "nothing"
	}
	f := pick(r, plain)
	what := []string{"nothing", "compressed", "compressed", "archived", "removed", "changed", "replaced", "cut", "longer", "twice", "stranger", "copied", "more", "unsigned", "bad", "older"}[r.IntN(16)]
	b := testkit.Must(os.ReadFile(f))(t)
	lines := bytes.SplitAfter(b, []byte{'\n'})
	change := func(old, new string) {
		testkit.Check(t, os.WriteFile(f, bytes.ReplaceAll(b, []byte(old), []byte(new)), 0o600))
	}
	switch what {
	case "compressed":
		compress(t, f, r.IntN(2) == 0)
	case "archived":
		testkit.Check(t, os.MkdirAll(filepath.Join(p.dir, segment.Archive), 0o700))
		testkit.Check(t, os.Rename(f, filepath.Join(p.dir, segment.Archive, filepath.Base(f))))
	case "removed":
		testkit.Check(t, os.Remove(f))
	case "changed": // in place, as long as it was
		change(`"user":"carol"`, `"user":"alice"`)
	case "replaced":
		testkit.Check(t, os.WriteFile(f+".new", bytes.ReplaceAll(b, []byte(`"user":"alice"`), []byte(`"user":"bob"`)), 0o600))
		testkit.Check(t, os.Rename(f+".new", f))
	case "bad":
		change(`"type":"login.failed"`, `"type":"login.foiled"`)
	case "cut":
		testkit.Check(t, os.WriteFile(f, bytes.Join(lines[:len(lines)/2], nil), 0o600))
	case "longer":
		testkit.Check(t, os.WriteFile(f, append(b, lines[0]...), 0o600))
	case "twice":
		testkit.Check(t, os.WriteFile(f+".gz", []byte("no gzip"), 0o600))
	case "stranger":
		first, _ := segment.First(f)
		testkit.Check(t, os.WriteFile(filepath.Join(p.dir, segment.Name(first+1)), b, 0o600))
	case "copied": // its date too
		testkit.Check(t, os.WriteFile(f+".new", b, 0o600))
		testkit.Check(t, os.Chtimes(f+".new", time.Time{}, testkit.Must(os.Stat(f))(t).ModTime()))
		testkit.Check(t, os.Rename(f+".new", f))
	case "more":
		if !p.odd {
			p.write(20)
		}
	case "older": // checkpoint than what is there
		checkpoint := filepath.Join(p.dir, "checkpoint")
		was := testkit.Must(os.ReadFile(checkpoint))(t)
		if !p.odd {
			p.write(60)
		}
		testkit.Check(t, os.WriteFile(checkpoint, was, 0o600))
	case "unsigned":
		g := testkit.Must(os.OpenFile(filepath.Join(p.dir, segment.Current), os.O_APPEND|os.O_WRONLY, 0))(t)
		_ = testkit.Must(g.Write(lines[0]))(t)
		testkit.Check(t, g.Close())
	}
	p.odd = p.odd || what != "nothing" && what != "more"
	return what
}

// part is what a search offers of a file.
func (p *place) part(path string) segment.Part {
	first, ok := segment.First(path)
	r := testkit.Must(segment.Open(p.dir, first, func([]byte) uint64 { return 0 }))(p.t)
	defer r.Close()
	part, ahead := r.Ahead()
	if !ok || !ahead {
		p.t.Fatal(path)
	}
	return part
}
