//go:build linux

package site

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"entry/bastion/identity"
	"entry/e2e/testkit"
)

const guided = "labs:\n  tinker:\n    members: [alice, alice-b]\n"

func listing(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	for _, e := range testkit.Must(os.ReadDir(dir))(t) {
		all = append(all, e.Name())
	}
	return all
}

// A guide in a web server's folder has a name that nobody guesses, and stands in
// place of the user's older ones alone.
func TestPublish(t *testing.T) {
	_, cfg := newDir(t, guided)
	dir := t.TempDir()
	defer syscall.Umask(syscall.Umask(0o077))
	publish := func(user string) []string {
		t.Helper()
		return testkit.Must(testkit.Must(Guide(cfg, identity.UserInfo{Name: user}))(t).Publish(dir, user))(t)
	}
	first, other := publish("alice"), publish("alice-b")
	testkit.WriteFile(t, filepath.Join(dir, "alice-notes.txt"), "the operator's own")
	second := publish("alice")
	for _, f := range second {
		fi := testkit.Must(os.Stat(f))(t)
		if !regexp.MustCompile(`/alice-[a-z2-7]{26}\.(html|txt)$`).MatchString(f) || fi.Mode().Perm() != 0o644 || slices.Contains(first, f) {
			t.Errorf("%s with mode %v", f, fi.Mode())
		}
	}
	if text := testkit.ReadFile(t, second[1]); !strings.Contains(text, "alice") {
		t.Errorf("the text is %q", text)
	}
	for _, f := range append(other, filepath.Join(dir, "alice-notes.txt")) {
		testkit.ReadFile(t, f)
	}
	if got := listing(t, dir); len(got) != 5 {
		t.Errorf("there is %q", got)
	}
	testkit.Check(t, WithdrawGuide(dir, "alice"))
	if got := listing(t, dir); len(got) != 3 {
		t.Errorf("withdrawn, there is %q", got)
	}
	for _, nothing := range []string{"", filepath.Join(dir, "nowhere")} {
		testkit.Check(t, WithdrawGuide(nothing, "alice"))
	}
	if err := WithdrawGuide(filepath.Join(dir, "alice-notes.txt"), "alice"); err == nil {
		t.Error("a file was taken for a folder")
	}
}

// A guide in a folder of the operator's overwrites nothing, and says what was
// written before it failed.
func TestPut(t *testing.T) {
	t.Parallel()
	_, cfg := newDir(t, guided)
	dir := t.TempDir()
	testkit.WriteFile(t, filepath.Join(dir, "alice.txt"), "mine")
	p := testkit.Must(Guide(cfg, identity.UserInfo{Name: "alice"}))(t)
	files, err := p.Put(dir, "alice")
	if !errors.Is(err, os.ErrExist) || !slices.Equal(files, []string{filepath.Join(dir, "alice.html")}) || testkit.ReadFile(t, filepath.Join(dir, "alice.txt")) != "mine" {
		t.Errorf("%q, %v", files, err)
	}
}

func TestGuideNeedsAPolicy(t *testing.T) {
	t.Parallel()
	_, cfg := newDir(t, "labs: [\n")
	var e *Error
	if _, err := Guide(cfg, identity.UserInfo{Name: "alice"}); !errors.As(err, &e) || !e.Misused() {
		t.Errorf("%v", err)
	}
}
