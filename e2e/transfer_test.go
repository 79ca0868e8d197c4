package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"entry/e2e/testkit"
)

// tree is what gets copied: an empty file, one with awkward bytes in its name,
// an executable, and one bigger than every buffer on the way.
func tree(t testing.TB) (dir string) {
	t.Helper()
	dir = filepath.Join(testkit.ShortDir(t), "tree")
	if err := os.MkdirAll(filepath.Join(dir, "sub dir"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"empty":                 nil,
		"big":                   noise(3, 9<<20+1),
		"sub dir/größe 'x' $y":  []byte("awkward\n"),
		"sub dir/executable.sh": []byte("#!/bin/sh\necho ran\n"),
	} {
		testkit.WriteFile(t, filepath.Join(dir, name), string(data))
	}
	if err := os.Chmod(filepath.Join(dir, "sub dir/executable.sh"), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// same compares two trees, contents and modes.
func same(t testing.TB, a, b string) {
	t.Helper()
	list := func(dir string) string {
		cmd := exec.Command("sh", "-c", `cd "$1" && find . -type f -printf '%p %m\n' -exec sha256sum {} \; | sort`, "sh", dir)
		return testkit.MustRun(t, cmd).Stdout
	}
	if x, y := list(a), list(b); x != y {
		t.Errorf("trees differ:\n%s\n%s", x, y)
	}
}

// transferSite is shared by the tests of this file: one login each.
func transferSite(t *testing.T) (*site, *client) {
	t.Helper()
	s, _ := quickSite(t, recordAll())
	return s, s.client(s.enrolled("alice"))
}

func TestSCP(t *testing.T) {
	beside(t)
	s, c := transferSite(t)
	c.master()
	src := tree(t)
	for name, option := range map[string]string{"sftp protocol": "-s", "scp protocol": "-O"} {
		t.Run(name, func(t *testing.T) {
			there, back := filepath.Join(testkit.ShortDir(t), "there"), filepath.Join(testkit.ShortDir(t), "back")
			args := []string{"-r", "-p", option, "-F", c.config, "-J", "entry"}
			testkit.MustRun(t, c.command("scp", append(args, src, "home:"+there)...))
			same(t, src, there)
			testkit.MustRun(t, c.command("scp", append(args, "home:"+there, back)...))
			same(t, src, back)
			if r := testkit.Run(t, c.command("scp", append(args, "home:/nonexistent/x", back)...)); r.Code == 0 || !strings.Contains(r.Stderr, "No such file") {
				t.Errorf("missing file: %s", r)
			}
		})
	}
	t.Run("between two places on home", func(t *testing.T) {
		to := filepath.Join(testkit.ShortDir(t), "copy")
		testkit.MustRun(t, c.command("scp", "-3", "-F", c.config, "-J", "entry", "home:"+filepath.Join(src, "big"), "home:"+to))
		if testkit.ReadFile(t, to) != testkit.ReadFile(t, filepath.Join(src, "big")) {
			t.Error("copies differ")
		}
	})
	s.awaitEvent("session.ended", nil)
}

func TestSFTP(t *testing.T) {
	beside(t)
	_, c := transferSite(t)
	src, there := tree(t), filepath.Join(testkit.ShortDir(t), "there")
	back := filepath.Join(testkit.ShortDir(t), "back")
	half := filepath.Join(testkit.ShortDir(t), "half") // an upload that broke off
	testkit.WriteFile(t, half, testkit.ReadFile(t, filepath.Join(src, "big"))[:4<<20])
	batch := strings.Join([]string{
		"mkdir " + there,
		fmt.Sprintf("put -r -p %s %s", src, there),
		fmt.Sprintf("get -r -p %s/tree %s", there, back),
		fmt.Sprintf("rename %s/tree/empty %s/moved", there, there),
		fmt.Sprintf("symlink moved %s/link", there),
		fmt.Sprintf("ls -l %s", there),
		fmt.Sprintf("rm %s/link", there),
		fmt.Sprintf("reput %s/big %s", src, half),
	}, "\n") + "\n"
	cmd := c.command("sftp", "-o", "BatchMode=no", "-b", "-", "-F", c.config, "-J", "entry", "home")
	cmd.Args = append([]string{"sftp"}, cmd.Args[1:]...)
	cmd.Stdin = strings.NewReader(batch)
	r := testkit.MustRun(t, cmd)
	same(t, src, back)
	if !strings.Contains(r.Stdout, "moved") || fileExists(filepath.Join(there, "link")) {
		t.Errorf("%s", r)
	}
	if testkit.ReadFile(t, half) != testkit.ReadFile(t, filepath.Join(src, "big")) {
		t.Error("reput changed the file")
	}
}

func TestRsync(t *testing.T) {
	beside(t)
	_, c := transferSite(t)
	c.master()
	src, there, back := tree(t), filepath.Join(testkit.ShortDir(t), "there"), filepath.Join(testkit.ShortDir(t), "back")
	testkit.MustRun(t, c.command("rsync", "-a", "-e", c.rsh(), src+"/", "home:"+there+"/"))
	same(t, src, there)
	testkit.MustRun(t, c.command("rsync", "-az", "-e", c.rsh(), "home:"+there+"/", back+"/"))
	same(t, src, back)
	// A second run sends only what changed, with --delete what vanished.
	testkit.WriteFile(t, filepath.Join(src, "new"), "new")
	if err := os.Remove(filepath.Join(src, "empty")); err != nil {
		t.Fatal(err)
	}
	r := testkit.MustRun(t, c.command("rsync", "-a", "-i", "--delete", "-e", c.rsh(), src+"/", "home:"+there+"/"))
	same(t, src, there)
	if !strings.Contains(r.Stdout, "deleting") || strings.Contains(r.Stdout, "big") {
		t.Errorf("%s", r)
	}
}

func TestGit(t *testing.T) {
	beside(t)
	_, c := transferSite(t)
	c.master()
	repo, work := filepath.Join(testkit.ShortDir(t), "repo.git"), filepath.Join(testkit.ShortDir(t), "work")
	git := func(args ...string) testkit.Result {
		t.Helper()
		cmd := c.command("git", append([]string{"-c", "user.name=alice", "-c", "user.email=alice@example.org", "-c", "init.defaultBranch=main", "-c", "protocol.version=2"}, args...)...)
		cmd.Env = append(cmd.Env, "GIT_SSH_COMMAND="+c.rsh(), "GIT_TERMINAL_PROMPT=0")
		return testkit.MustRun(t, cmd)
	}
	git("init", "--bare", repo)
	git("clone", "ssh://home"+repo, work)
	testkit.WriteFile(t, filepath.Join(work, "data"), string(noise(4, 4<<20)))
	git("-C", work, "add", "data")
	git("-C", work, "commit", "-q", "-m", "data")
	git("-C", work, "push", "origin", "HEAD:main")
	again := filepath.Join(testkit.ShortDir(t), "again")
	git("clone", "--branch", "main", "home:"+repo, again)
	if testkit.ReadFile(t, filepath.Join(again, "data")) != testkit.ReadFile(t, filepath.Join(work, "data")) {
		t.Error("the clone differs from what was pushed")
	}
	testkit.WriteFile(t, filepath.Join(again, "more"), "more")
	git("-C", again, "add", "more")
	git("-C", again, "commit", "-q", "-m", "more")
	git("-C", again, "push")
	git("-C", work, "pull", "-q", "origin", "main")
	if testkit.ReadFile(t, filepath.Join(work, "more")) != "more" {
		t.Error("pull didn't bring the second commit")
	}
}

func TestSSHFS(t *testing.T) {
	beside(t)
	s, c := transferSite(t)
	src, mount := tree(t), filepath.Join(testkit.ShortDir(t), "mnt")
	if err := os.Mkdir(mount, 0o700); err != nil {
		t.Fatal(err)
	}
	p := testkit.Start(t, "sshfs", c.command("sshfs", "-f", "-F", c.config, "-o", "ssh_command="+c.rsh(), "home:"+src, mount))
	if !p.Within(testkit.Soon, func() bool { return fileExists(filepath.Join(mount, "big")) }) {
		t.Fatalf("not mounted: %s%s", p.Stdout.String(), p.Stderr.String())
	}
	unmounted := false
	unmount := func() {
		if !unmounted {
			unmounted = true
			testkit.MustRun(t, command("fusermount3", "-u", mount))
			p.Wait()
		}
	}
	defer unmount()
	same(t, src, mount)
	testkit.WriteFile(t, filepath.Join(mount, "written"), string(noise(5, 3<<20)))
	if err := os.Rename(filepath.Join(mount, "written"), filepath.Join(mount, "sub dir", "renamed")); err != nil {
		t.Error(err)
	}
	if err := os.Remove(filepath.Join(mount, "empty")); err != nil {
		t.Error(err)
	}
	unmount()
	if testkit.ReadFile(t, filepath.Join(src, "sub dir", "renamed")) != string(noise(5, 3<<20)) {
		t.Error("what was written through the mount differs")
	}
	if fileExists(filepath.Join(src, "empty")) {
		t.Error("removing through the mount did nothing")
	}
	s.awaitSessions(1)
}
