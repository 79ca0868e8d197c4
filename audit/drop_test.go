//go:build linux

package audit

import (
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"entry/audit/segment"
	"entry/e2e/testkit"
)

// What is older than a time goes in whole segments, from the first on, wherever and however
// they lie; the log verifies, says what went, and goes on.
func TestDrop(t *testing.T) {
	t.Parallel()
	p := newSegments(t, 40)
	names := p.sealed(t)
	p.compress(t, names[0], ".gz")
	p.move(t, names[1], filepath.Join(segment.Archive, names[1]))
	l := p.open(t)
	at := func(name string) (uint64, time.Time) {
		first, _ := segment.First(name)
		return first, testkit.Must(EventAt(p.dir, first))(t).Time
	}
	p.clock.Advance(LeastKeep + 24*time.Hour)
	if n, err := l.Drop(t.Context(), time.Time{}); n != 0 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	first, began := at(names[4])
	if n, err := l.Drop(t.Context(), began); n >= first || err != nil {
		t.Fatalf("%d of %d, %v", n, first, err)
	}
	n, err := l.Drop(t.Context(), began.Add(time.Nanosecond))
	if n != first-1 || err != nil {
		t.Fatalf("%d, want %d; %v", n, first-1, err)
	}
	if left := p.sealed(t); left[0] != names[4] || len(testkit.Must(os.ReadDir(p.path(segment.Archive)))(t)) != 0 {
		t.Errorf("left: %q", left)
	}
	if n, err := l.Drop(t.Context(), began.Add(time.Nanosecond)); n != 0 || err != nil {
		t.Errorf("again: %d, %v", n, err)
	}
	testkit.Check(t, l.Append(t.Context(), Event{Type: LoginSucceeded, User: "after"}))
	rep, err := p.verify()
	if err != nil || rep.Dropped.Through != first-1 || !rep.Dropped.Has(1, first-1) || len(rep.Absent) != 1 || rep.Absent[0].To != first-1 {
		t.Errorf("%+v, %v", rep, err)
	}
	// The last sealed segment stays, whatever the time.
	p.clock.Advance(LeastKeep + 24*time.Hour)
	before := p.sealed(t)
	if _, err := l.Drop(t.Context(), began.AddDate(100, 0, 0)); err != nil {
		t.Fatal(err)
	}
	if left := p.sealed(t); left[0] != before[len(before)-1] {
		t.Errorf("left: %q", left)
	}
	testkit.Check(t, l.Close())
	if rep, err := p.verify(); err != nil || rep.Dropped.Through < first {
		t.Errorf("%+v, %v", rep, err)
	}
	l = p.open(t)
	testkit.Check(t, l.Append(t.Context(), Event{Type: LoginSucceeded, User: "after a start"}))
	testkit.Check(t, l.Close())
	if _, err := p.verify(); err != nil {
		t.Error(err)
	}
}

// What was dropped and turns up again belongs to the log, or is named.
func TestDroppedComesBack(t *testing.T) {
	t.Parallel()
	p := newSegments(t, 30)
	names := p.sealed(t)
	old := p.read(t, names[0])
	l := p.open(t)
	p.clock.Advance(LeastKeep + 24*time.Hour)
	second, _ := segment.First(names[1])
	if n, err := l.Drop(t.Context(), testkit.Must(EventAt(p.dir, second))(t).Time.Add(1)); n != second-1 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	testkit.Check(t, l.Close())
	p.write(t, names[0], old)
	if rep, err := p.verify(); err != nil || len(rep.Absent) != 0 {
		t.Errorf("%+v, %v", rep, err)
	}
	p.write(t, names[0], []byte(strings.Replace(string(old), "user1", "userX", 1)))
	var bad *BadRecord
	if _, err := p.verify(); !errors.As(err, &bad) {
		t.Errorf("changed: %v", err)
	}
}

// An event that says that others were dropped than were is named.
func TestDroppedOthers(t *testing.T) {
	t.Parallel()
	p := newSegments(t, 30)
	l := p.open(t)
	at := p.clock.Advance(LeastKeep + 24*time.Hour).Add(-LeastKeep)
	testkit.Check(t, l.Append(t.Context(), Event{Type: LogDropped, Count: 5, Hash: strings.Repeat("00", 32), Until: &at}))
	testkit.Check(t, l.Close())
	var bad *BadRecord
	if _, err := p.verify(); !errors.As(err, &bad) || !strings.Contains(bad.Why, "another tree head") {
		t.Errorf("%v", err)
	}
}

// Where the event can't be written nothing is dropped.
func TestDropWithoutALog(t *testing.T) {
	t.Parallel()
	p := newSegments(t, 30)
	l := p.open(t)
	before := p.sealed(t)
	p.clock.Advance(LeastKeep + 24*time.Hour)
	testkit.Check(t, l.Close())
	if n, err := l.Drop(t.Context(), time.Now().AddDate(100, 0, 0)); n != 0 || err == nil {
		t.Errorf("%d, %v", n, err)
	}
	if !slices.Equal(p.sealed(t), before) {
		t.Error("something was dropped")
	}
}

// Records that are younger than every log keeps them aren't dropped, whatever is asked.
func TestDropKeepsTheLeast(t *testing.T) {
	t.Parallel()
	p := newSegments(t, 30)
	l := p.open(t)
	if n, err := l.Drop(t.Context(), p.clock.Peek().AddDate(1, 0, 0)); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

// What is wrong in the file of hashes is mended before anything goes, while the records are
// here; where it can't be, or one of the records isn't what was signed, nothing goes.
func TestDropProvesFirst(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		do   func(*testing.T, *place)
		goes bool
	}{
		"a hash of what goes":  {func(t *testing.T, p *place) { p.overwrite(t, hashesName, 32*12+5) }, true},
		"a hash of what stays": {func(t *testing.T, p *place) { p.overwrite(t, hashesName, 32*40+5) }, true},
		"a record that goes": {func(t *testing.T, p *place) {
			name := p.sealed(t)[0]
			p.write(t, name, []byte(strings.Replace(string(p.read(t, name)), "user1", "userX", 1)))
		}, false},
		"a hash, and its record": {func(t *testing.T, p *place) {
			p.overwrite(t, hashesName, 32*12+5)
			name := p.sealed(t)[0]
			p.write(t, name, []byte(strings.Replace(string(p.read(t, name)), "user1", "userX", 1)))
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newSegments(t, 40)
			l := p.open(t)
			testkit.Check(t, l.Append(t.Context(), Event{Type: LoginSucceeded, User: "now"})) // the start has looked by then, or does
			p.clock.Advance(LeastKeep + 24*time.Hour)
			tt.do(t, p)
			before := p.sealed(t)
			n, err := l.Drop(t.Context(), p.clock.Peek())
			if gone := len(p.sealed(t)) < len(before); gone != tt.goes || (err == nil) != tt.goes || (n > 0) != tt.goes {
				t.Errorf("%d, %v, gone: %v", n, err, gone)
			}
			testkit.Check(t, l.Close())
			rep, err := p.verify()
			if tt.goes && (err != nil || rep.Dropped.Through != n) {
				t.Errorf("%+v, %v", rep.Dropped, err)
			}
			said := 0
			for e, err := range ScanWhole(p.dir, LogRecovered) {
				if err == nil && (e.Reason == "not-dropped" || e.Reason == "hashes-mended") {
					said++
				}
			}
			if said == 0 {
				t.Error("nothing is on record")
			}
		})
	}
}

// overwrite changes four bytes of a file of the log.
func (p *place) overwrite(t *testing.T, name string, at int64) {
	t.Helper()
	f := testkit.Must(os.OpenFile(p.path(name), os.O_WRONLY, 0))(t)
	_, err := f.WriteAt([]byte("zzzz"), at)
	testkit.Check(t, errors.Join(err, f.Close()))
}

// Whoever has the log's key can say that records were dropped; one that contradicts its own
// times, or those of what is left, is named.
func TestDroppedTooYoung(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		until func(now, next time.Time) time.Time
		says  string
	}{
		"younger than any log keeps":  {func(now, _ time.Time) time.Time { return now.Add(-time.Hour) }, "keeps each for 90 days"},
		"while the next one is older": {func(_, next time.Time) time.Time { return next.Add(-time.Second) }, "but the next one is of"},
		"without a time":              {nil, "not how old they were"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newSegments(t, 30)
			l := p.open(t)
			first, _ := segment.First(p.sealed(t)[1])
			next := testkit.Must(EventAt(p.dir, first))(t).Time
			now := p.clock.Advance(LeastKeep + 24*time.Hour)
			at := l.Position()
			head, ok := storedHashes{l.hashes}.rootAt(first-1, checkpoint{at.Size, at.Root})
			e := Event{Type: LogDropped, Count: int(first - 1), Hash: hex.EncodeToString(head[:])}
			if tt.until != nil {
				until := tt.until(now, next)
				e.Until = &until
			}
			testkit.Check(t, l.Append(t.Context(), e))
			testkit.Check(t, l.Close())
			testkit.Check(t, segment.Drop(p.dir, first))
			var bad *BadRecord
			if _, err := p.verify(); !ok || !errors.As(err, &bad) || !strings.Contains(bad.Why, tt.says) {
				t.Errorf("%v", err)
			}
		})
	}
}

// The changes of a log's key outlive the records that made them: the file of changes isn't the
// only one that has them, and where it is lost that is named, and a start makes it anew.
func TestDroppedKeys(t *testing.T) {
	t.Parallel()
	p := newSegments(t, 10)
	first := p.verifier
	signer, public, err := GenerateKey("entry.test")
	testkit.Check(t, err)
	l := p.open(t)
	testkit.Check(t, l.ChangeKey(t.Context(), Options{Key: signer}, Event{}))
	p.signer, p.verifier = signer, public
	for range 2 {
		p.clock.Advance(LeastKeep + 24*time.Hour)
		for range 12 {
			testkit.Check(t, l.Append(t.Context(), Event{Type: LoginSucceeded, User: "alice", Source: "192.0.2.7:50122"}))
		}
		p.clock.Advance(LeastKeep + 24*time.Hour)
		if n, err := l.Drop(t.Context(), p.clock.Peek()); n == 0 || err != nil { // the second time what said so goes, too
			t.Fatalf("%d, %v", n, err)
		}
	}
	testkit.Check(t, l.Close())
	for e, err := range ScanWhole(p.dir, LogKey) {
		if err == nil {
			t.Fatalf("the record of the change is there still: %d", e.Seq)
		}
	}
	testkit.Check(t, os.Remove(p.path(keysName)))
	var bad *BadRecord
	if _, err := p.verify(); !errors.As(err, &bad) || bad.File != keysName {
		t.Errorf("without the file of changes: %v", err)
	}
	p.verifier = first
	if _, err := p.verify(); !errors.As(err, &bad) || bad.File != keysName {
		t.Errorf("without the file of changes, by the first key: %v", err)
	}
	o := p.options()
	o.Renamed = func(name string) (bool, error) { return name == testkit.Must(LogName(public))(t), nil } // as the database says
	l = testkit.Must(Open(p.dir, o))(t)
	testkit.Check(t, l.Append(t.Context(), Event{Type: LoginSucceeded, User: "alice"}))
	testkit.Check(t, l.Close())
	if rep, err := p.verify(); err != nil || len(rep.Keys) != 1 {
		t.Errorf("after a start: %+v, %v", rep.Keys, err)
	}
}

// The gap with which a log began is the same one once its record was dropped, and once the
// event was that dropped it: what an auditor accepted stays accepted.
func TestDroppedGap(t *testing.T) {
	t.Parallel()
	o, _ := lostLog(t)
	testkit.Check(t, BeginAnew(o))
	key, public := testkit.Must(ReadKey(o.Key))(t), testkit.Must(ReadKey(o.PublicKey))(t)
	gap := begun(t, o)
	now := time.Now()
	l := testkit.Must(Open(o.Dir, Options{Key: key, Witness: o.Witness, Segment: 1, Now: func() time.Time { return now }}))(t)
	defer func() { testkit.Check(t, l.Close()) }()
	for range 2 {
		for range 3 {
			testkit.Check(t, l.Append(t.Context(), Event{Type: ServerStarted}))
		}
		now = now.Add(LeastKeep + 24*time.Hour)
		if n, err := l.Drop(t.Context(), now); n == 0 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		rep, err := Verify(o.Dir, VerifyOptions{PublicKey: public, Witness: o.Witness})
		if err != nil || len(rep.Gaps) != 1 || rep.Gaps[0] != gap {
			t.Errorf("%+v, was %+v, %v", rep.Gaps, gap, err)
		}
		if own, _ := firstGap(o.Dir, public); own == nil || *own != gap {
			t.Errorf("%+v", own)
		}
	}
}
