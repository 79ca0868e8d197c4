//go:build linux

package spool

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"entry/session/recording"
	"entry/session/recording/auditors"
)

func TestRemove(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(Options{Dir: dir, Commit: func(context.Context, recording.Tick) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	_, recipient, err := auditors.Generate()
	if err != nil {
		t.Fatal(err)
	}
	all, err := auditors.Parse(strings.NewReader(recipient))
	if err != nil {
		t.Fatal(err)
	}
	const id, other = "01JQ8Z3M6W0000000000000001", "01JQ8Z3M6W0000000000000002"
	for _, i := range []string{id, other} {
		w, err := s.Create(recording.Header{ID: i, User: "alice", Lab: "tinker", Target: "home.tinker", Start: time.Now()}, auditors.Recipients(all))
		if err != nil {
			t.Fatal(err)
		}
		if err := Remove(dir, i); !errors.Is(err, ErrLive) {
			t.Errorf("while it is written: %v", err)
		}
		if _, err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := Remove(dir, id); err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, id+"*")); err != nil || len(left) != 0 {
		t.Errorf("left: %q, %v", left, err)
	}
	for _, no := range []string{id, "../" + filepath.Base(dir) + "/" + other, ""} {
		if err := Remove(dir, no); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %v", no, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, other+recording.KeyExt)); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
