//go:build linux

package witness

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"entry/e2e/testkit"
)

// stamped is a cosignature's line of that witness and time, which nobody verifies.
func stamped(name string, at time.Time) string {
	sig := make([]byte, 4+8+64)
	copy(sig, name)
	binary.BigEndian.PutUint64(sig[4:], uint64(at.Unix()))
	return "— " + name + " " + base64.StdEncoding.EncodeToString(sig) + "\n"
}

// TestThinned: of a long file the last day stays, one entry an hour of what is before,
// and the newest of each witness; what is left is what was there, in its order, for who
// reads it in between too.
func TestThinned(t *testing.T) {
	dir := t.TempDir()
	k := testkit.Must(openKept(dir))(t)
	defer func() { testkit.Check(t, k.Close()) }()
	log := newGrowing(t, "a.example/log").grow(1, "a")
	now := time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)
	gone := now.Add(-2*24*time.Hour + 17*time.Minute) // the witness that was left
	var want []string
	var last time.Time
	n := 0
	for at := now.Add(-3 * 24 * time.Hour); !at.After(now); at = at.Add(17 * time.Minute) {
		n++
		checkpoint := log.signed(fmt.Sprintf("a.example/log\n%d\n%s\n", n, base64.StdEncoding.EncodeToString(make([]byte, 32))))
		lines := []string{stamped("w1", at)}
		if !at.After(gone) {
			lines = append(lines, stamped("left", at.Add(-time.Second)))
		}
		testkit.Check(t, k.add(checkpoint, lines))
		newestOfLeft := at.After(gone.Add(-17*time.Minute)) && !at.After(gone)
		if !at.Before(now.Add(-24*time.Hour)) || at.Sub(last) >= time.Hour || newestOfLeft {
			want, last = append(want, string(checkpoint)+strings.Join(lines, "")), at
		}
	}
	testkit.Check(t, k.thinIfLong(now))
	path := filepath.Join(dir, CosignedName)
	before := testkit.ReadFile(t, path)
	if strings.Count(before, "a.example/log\n") != n {
		t.Fatal("a short file was thinned")
	}
	reading := testkit.Must(os.Open(path))(t)
	defer reading.Close()
	k.long = k.size
	testkit.Check(t, k.thinIfLong(now))
	if got := testkit.ReadFile(t, path); got != strings.Join(want, "") {
		t.Errorf("%d bytes are left of %d, want %d of %d entries", len(got), len(before), len(want), n)
	}
	if k.size != int64(len(strings.Join(want, ""))) || k.long <= k.size {
		t.Errorf("it is said to be %d long, and thinned again from %d on", k.size, k.long)
	}
	read := 0
	testkit.Check(t, each(reading, func(entry) error { read++; return nil }))
	if read != n {
		t.Errorf("who had it open reads %d entries of %d", read, n)
	}
	more := log.at(1)
	testkit.Check(t, k.add(more, []string{stamped("w1", now)}))
	var got []string
	again := testkit.Must(os.Open(path))(t)
	defer again.Close()
	testkit.Check(t, each(again, func(e entry) error { got = append(got, string(e.signed())); return nil }))
	if want = append(want, string(more)+stamped("w1", now)); !slices.Equal(got, want) {
		t.Errorf("%d entries after one more, want %d", len(got), len(want))
	}
	if others := testkit.Must(os.ReadDir(dir))(t); len(others) != 1 {
		t.Errorf("left behind: %v", others)
	}
}
