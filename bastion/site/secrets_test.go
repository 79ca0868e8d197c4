//go:build linux

package site

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"entry/bastion/admin"
	"entry/configs"
	"entry/e2e/testkit"
)

// Who was served has a file for each secret, or the mark of having been handed theirs; of
// two secrets neither is left alone, and nothing of before.
func TestSecrets(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := Secrets{Dir: dir, Invite: true}
	testkit.Check(t, s.Prepare(configs.Default()))
	serve := func(first, second string) {
		t.Helper()
		testkit.Check(t, s.Serve(t.Context(), admin.ManyResult{User: "alice", First: first, Second: second, Until: time.Now()}, ""))
	}
	if s.Served("alice") {
		t.Error("served before")
	}
	serve("one", "two")
	if !s.Served("alice") || s.Served("bob") || testkit.ReadFile(t, filepath.Join(dir, "alice.first-half")) != "one\n" {
		t.Error("not served")
	}
	serve("", "") // an account that waits as before keeps its files
	if testkit.ReadFile(t, filepath.Join(dir, "alice.second-half")) != "two\n" {
		t.Error("the file is gone")
	}
	if i := testkit.Must(os.Stat(filepath.Join(dir, "alice.first-half")))(t); i.Mode().Perm() != 0o600 {
		t.Errorf("others may read it: %v", i.Mode())
	}
	testkit.Check(t, os.Remove(filepath.Join(dir, "alice.second-half")))
	if s.Served("alice") {
		t.Error("served with one half")
	}

	out := filepath.Join(t.TempDir(), "out")
	cfg := configs.Default()
	h := Secrets{Dir: dir, Invite: true, HandOut: true}
	if err := h.Prepare(cfg); err == nil || !strings.Contains(err.Error(), "notices.command") {
		t.Errorf("without a command: %v", err)
	}
	cfg.Notices = &configs.Notices{Command: []string{"/bin/sh", "-c", "cat >> " + out}, Timeout: time.Minute}
	testkit.Check(t, h.Prepare(cfg))
	testkit.Check(t, h.Serve(t.Context(), admin.ManyResult{User: "alice", First: "three", Second: "four", Until: time.Now()}, "+46701234567"))
	if got := testkit.ReadFile(t, out); strings.Count(got, "\n") != 2 || !strings.Contains(got, `"three"`) || !strings.Contains(got, `"four"`) {
		t.Errorf("%q", got)
	}
	left := testkit.Must(filepath.Glob(filepath.Join(dir, "alice.*")))(t)
	if len(left) != 1 || !strings.HasSuffix(left[0], ".handed-out") || !h.Served("alice") {
		t.Errorf("%q", left)
	}
}
