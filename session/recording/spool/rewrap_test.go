//go:build linux

package spool

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"filippo.io/age"

	"entry/e2e/testkit"
	"entry/session/recording"
)

// A key takes the place of the one that is there, once; where that is gone, or the
// recording with it, nothing comes back.
func TestPlace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := testkit.Must(Open(Options{Dir: dir, Commit: func(context.Context, recording.Tick) error { return nil }}))(t)
	w := testkit.Must(s.Create(recording.Header{ID: id(1), User: "alice"}, []age.Recipient{auditor().Recipient()}))(t)
	if err := Stage(dir, id(1), []byte("new")); !errors.Is(err, ErrLive) {
		t.Errorf("while it is written: %v", err)
	}
	testkit.Must(w.Close())(t)
	for _, n := range []int{2, 3} {
		testkit.Must(testkit.Must(s.Create(recording.Header{ID: id(n), User: "alice"}, []age.Recipient{auditor().Recipient()}))(t).Close())(t)
	}
	testkit.Check(t, s.Close())
	key := func(n int, ext string) string { return filepath.Join(dir, id(n)+ext) }
	files := func(n int) []string { return testkit.Must(filepath.Glob(key(n, "*")))(t) }

	testkit.WriteFile(t, key(1, recording.NextKeyExt), "what a crash left")
	testkit.Check(t, Stage(dir, id(1), []byte("new 1")))
	testkit.Check(t, Stage(dir, id(2), []byte("new 2")))
	testkit.Check(t, Stage(dir, id(3), []byte("new 3")))
	testkit.Check(t, os.Remove(key(2, recording.KeyExt))) // shredded meanwhile
	testkit.Check(t, Remove(dir, id(3)))
	if len(files(3)) != 0 {
		t.Errorf("left of what was removed: %q", files(3))
	}
	testkit.Check(t, Place(dir, []string{id(1), id(2), id(3)}))
	if got := testkit.ReadFile(t, key(1, recording.KeyExt)); got != "new 1" || len(files(1)) != 2 {
		t.Errorf("%q, %q", got, files(1))
	}
	if st := testkit.Must(os.Stat(key(1, recording.KeyExt)))(t); st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", st.Mode())
	}
	if len(files(2)) != 1 || len(files(3)) != 0 {
		t.Errorf("came back: %q, %q", files(2), files(3))
	}
	for _, no := range []string{id(2), id(3), "../x"} {
		if err := Stage(dir, no, []byte("x")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", no, err)
		}
	}
	testkit.Check(t, Stage(dir, id(1), []byte("again")))
	testkit.Check(t, Unstage(dir, id(1)))
	testkit.Check(t, Unstage(dir, id(1)))
	if len(files(1)) != 2 {
		t.Errorf("left: %q", files(1))
	}
}
