//go:build linux

package logs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"entry/audit"
	"entry/e2e/testkit"
)

// two are logs that are written, one second after the other.
func two(t *testing.T, origins ...string) (dirs []string, all []*audit.Log) {
	t.Helper()
	clock := testkit.NewClock(time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC))
	clock.Stride(time.Second)
	for _, name := range origins {
		dir := filepath.Join(t.TempDir(), "audit")
		key, _, err := audit.GenerateKey(name)
		testkit.Check(t, err)
		l := testkit.Must(audit.Open(dir, audit.Options{Key: key, Now: clock.Now}))(t)
		t.Cleanup(func() { _ = l.Close() })
		dirs, all = append(dirs, dir), append(all, l)
	}
	return dirs, all
}

// Each log has a name that no other has, and what is said of it says so.
func TestNames(t *testing.T) {
	t.Parallel()
	dirs, _ := two(t, "one.test", "one.test", "two.test")
	all := testkit.Must(Of(dirs...))(t)
	if all[0].Name != dirs[0] || all[1].Name != dirs[1] || all[2].Name != "two.test" {
		t.Errorf("%+v", all)
	}
	if one := testkit.Must(Of(dirs[0]))(t); one[0].Name != "" || string(one[0].JSON([]byte(`{"a":1}`))) != `{"a":1}` || one[0].Line("x") != "x" {
		t.Errorf("%+v", one)
	}
	if _, err := Of(dirs[0], dirs[0]+"/."); err == nil || !strings.HasSuffix(err.Error(), "is there twice") {
		t.Errorf("twice: %v", err)
	}
	link := filepath.Join(t.TempDir(), "link")
	testkit.Check(t, os.Symlink(dirs[0], link))
	if _, err := Of(dirs[0], dirs[2], link); err == nil || !strings.HasPrefix(err.Error(), link) {
		t.Errorf("twice, by a link: %v", err)
	}
	if others := Besides(all, link); len(others) != 2 || others[0].Dir != dirs[1] || others[1].Dir != dirs[2] || len(all) != 3 {
		t.Errorf("beside the first: %+v", others)
	}
	var out strings.Builder
	if _, err := fmt.Fprint(all[2].Beside(&out), "a\nb\n"); err != nil || out.String() != "two.test: a\ntwo.test: b\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
	evil := Log{Name: "\x1b<two>"}
	if got := string(evil.JSON([]byte(`{"a":1}`))); got != `{"log":"\u001b<two>","a":1}` || strings.Contains(evil.Failed(fs.ErrExist).Error(), "\x1b") {
		t.Errorf("%s", got)
	}
}

// The last events are those of all logs together; then come those of each, and a log that
// broke is left alone.
func TestTail(t *testing.T) {
	t.Parallel()
	dirs, logs := two(t, "one.test", "two.test")
	put := func(log int, user string) {
		testkit.Check(t, logs[log].Append(t.Context(), audit.Event{Type: audit.LoginSucceeded, User: user}))
	}
	for i := range 6 {
		put(i%2, fmt.Sprintf("old%d", i))
	}
	gone := filepath.Join(t.TempDir(), "none")
	var failed []string
	tail := OpenTail(testkit.Must(Of(append(dirs, gone)...))(t), 3, func(l Log, err error) {
		if errors.Is(err, fs.ErrNotExist) {
			failed = append(failed, l.Dir)
		}
	})
	defer tail.Close()
	broken := 0
	sees := func(want ...string) {
		t.Helper()
		var got []string
		for x := range tail.More() {
			if x.Err != nil {
				broken++
				continue
			}
			got = append(got, x.What.User)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	sees("old3", "old4", "old5")
	sees()
	put(1, "new1")
	put(0, "new0")
	sees("new1", "new0")
	testkit.Check(t, os.Truncate(filepath.Join(dirs[0], "events.jsonl"), 10))
	put(1, "new2")
	sees("new2")
	put(1, "new3")
	sees("new3")
	if !slices.Equal(failed, []string{gone}) || broken != 1 || tail.Over() {
		t.Errorf("failed %q, %d broken, over %t", failed, broken, tail.Over())
	}
}

// The start of an ID is looked for in all logs, of sessions and connections, by an index
// too; what one of them can't say is left out.
func TestIDs(t *testing.T) {
	t.Parallel()
	dirs, logs := two(t, "one.test", "two.test")
	testkit.Check(t, logs[0].Append(t.Context(), audit.Event{Type: audit.SessionStarted, Session: "01JQ8Z3M6W0000000000000001", Conn: "01JQ8Z3M6V0000000000000001"}))
	testkit.Check(t, logs[1].Append(t.Context(), audit.Event{Type: audit.SessionStarted, Session: "01JQ8Z3M6X0000000000000001"}))
	all := testkit.Must(Of(append(dirs, filepath.Join(t.TempDir(), "none"))...))(t)
	folder := filepath.Join(t.TempDir(), "index")
	for _, s := range []Searching{{}, {Folder: folder}, {Folder: folder}} {
		s.Told = func(l Log, note string) { t.Errorf("%s: %s", l.Name, note) }
		for start, want := range map[string]int{"01JQ8Z3M6": 3, "01jq8z3m6w": 1, "01JQ8Z3M6V0": 1, "01JQ8Z3M6Y": 0, "": 3} {
			if ids, err := s.IDs(all, start); err != nil || len(ids) != want {
				t.Errorf("%q with %q: %q, %v", start, s.Folder, ids, err)
			}
		}
	}
	if found, err := filepath.Glob(filepath.Join(folder, "*.db")); err != nil || len(found) != 2 {
		t.Errorf("the indexes are %q, %v", found, err)
	}
	if _, err := (Searching{}).IDs(all[2:], "01"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no log: %v", err)
	}
	testkit.Check(t, os.Chmod(folder, 0o777))
	var none *IndexError
	if _, err := (Searching{Folder: folder}).IDs(all, "01JQ8Z3M6"); !errors.As(err, &none) {
		t.Errorf("a folder that others may write in: %v", err)
	}
}
