//go:build linux

package site

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"entry/bastion/admin"
	"entry/bastion/identity"
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

// Whoever has an account from elsewhere is left alone, unless all are renewed; who was begun
// and isn't served is by the same again.
func TestBegunAgain(t *testing.T) {
	t.Parallel()
	s := Secrets{Dir: filepath.Join(t.TempDir(), "out")}
	testkit.Check(t, s.Prepare(configs.Default()))
	people := []admin.NewPerson{{Person: identity.Person{Name: "alice"}}, {Person: identity.Person{Name: "bob"}}, {Person: identity.Person{Name: "carol"}}}
	users := []identity.UserInfo{{Name: "carol"}}
	wants := func(what string, users []identity.UserInfo, renew bool, want string) map[string]bool {
		t.Helper()
		begun := testkit.Must(s.Begun(people, users, renew))(t)
		var renewed []string
		for _, p := range people {
			if s.Renews(p.Name, begun, renew) {
				renewed = append(renewed, p.Name)
			}
		}
		if got := strings.Join(renewed, " "); got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
		return begun
	}
	begun := wants("at first", users, false, "alice bob")
	_, err := s.Begin(begun)
	testkit.Check(t, err)
	testkit.Check(t, s.Serve(t.Context(), admin.ManyResult{User: "alice", Passphrase: "one"}, ""))
	all := append(users, identity.UserInfo{Name: "alice"}, identity.UserInfo{Name: "bob"})
	wants("cut off", all, false, "bob")
	wants("renewed", all, true, "alice bob carol")
	if n := s.Elsewhere([]admin.ManyResult{{User: "alice", Outcome: identity.Waits}, {User: "carol", Outcome: identity.Waits}, {User: "bob", Outcome: identity.Added}}); n != 1 {
		t.Errorf("%d invited elsewhere", n)
	}
}
