//go:build linux

package audit

import (
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
	if _, err := l.Drop(t.Context(), began.AddDate(100, 0, 0)); err != nil {
		t.Fatal(err)
	}
	if left := p.sealed(t); len(left) != 1 {
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
	testkit.Check(t, l.Append(t.Context(), Event{Type: LogDropped, Count: 5, Hash: strings.Repeat("00", 32)}))
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
	testkit.Check(t, l.Close())
	if n, err := l.Drop(t.Context(), time.Now().AddDate(100, 0, 0)); n != 0 || err == nil {
		t.Errorf("%d, %v", n, err)
	}
	if !slices.Equal(p.sealed(t), before) {
		t.Error("something was dropped")
	}
}
