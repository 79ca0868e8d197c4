package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// tree is what gets copied: an empty file, one with awkward bytes in its name,
// an executable, and one bigger than every buffer on the way.
func tree(t testing.TB) (dir string) {
	t.Helper()
	dir = filepath.Join(tempDir(t), "tree")
	if err := os.MkdirAll(filepath.Join(dir, "sub dir"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"empty":                 nil,
		"big":                   noise(3, 9<<20+1),
		"sub dir/größe 'x' $y":  []byte("awkward\n"),
		"sub dir/executable.sh": []byte("#!/bin/sh\necho ran\n"),
	} {
		writeFile(t, filepath.Join(dir, name), string(data))
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
		return mustRun(t, cmd).stdout
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
	t.Parallel()
	s, c := transferSite(t)
	c.master()
	src := tree(t)
	for name, option := range map[string]string{"sftp protocol": "-s", "scp protocol": "-O"} {
		t.Run(name, func(t *testing.T) {
			there, back := filepath.Join(tempDir(t), "there"), filepath.Join(tempDir(t), "back")
			args := []string{"-r", "-p", option, "-F", c.config, "-J", "entry"}
			mustRun(t, c.command("scp", append(args, src, "home:"+there)...))
			same(t, src, there)
			mustRun(t, c.command("scp", append(args, "home:"+there, back)...))
			same(t, src, back)
			if r := run(t, c.command("scp", append(args, "home:/nonexistent/x", back)...)); r.code == 0 || !strings.Contains(r.stderr, "No such file") {
				t.Errorf("missing file: %s", r)
			}
		})
	}
	t.Run("between two places on home", func(t *testing.T) {
		to := filepath.Join(tempDir(t), "copy")
		mustRun(t, c.command("scp", "-3", "-F", c.config, "-J", "entry", "home:"+filepath.Join(src, "big"), "home:"+to))
		if readFile(t, to) != readFile(t, filepath.Join(src, "big")) {
			t.Error("copies differ")
		}
	})
	s.awaitEvent("session.ended", nil)
}

func TestSFTP(t *testing.T) {
	t.Parallel()
	_, c := transferSite(t)
	src, there := tree(t), filepath.Join(tempDir(t), "there")
	back := filepath.Join(tempDir(t), "back")
	half := filepath.Join(tempDir(t), "half") // an upload that broke off
	writeFile(t, half, readFile(t, filepath.Join(src, "big"))[:4<<20])
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
	r := mustRun(t, cmd)
	same(t, src, back)
	if !strings.Contains(r.stdout, "moved") || fileExists(filepath.Join(there, "link")) {
		t.Errorf("%s", r)
	}
	if readFile(t, half) != readFile(t, filepath.Join(src, "big")) {
		t.Error("reput changed the file")
	}
}

func TestRsync(t *testing.T) {
	t.Parallel()
	_, c := transferSite(t)
	c.master()
	src, there, back := tree(t), filepath.Join(tempDir(t), "there"), filepath.Join(tempDir(t), "back")
	mustRun(t, c.command("rsync", "-a", "-e", c.rsh(), src+"/", "home:"+there+"/"))
	same(t, src, there)
	mustRun(t, c.command("rsync", "-az", "-e", c.rsh(), "home:"+there+"/", back+"/"))
	same(t, src, back)
	// A second run sends only what changed, with --delete what vanished.
	writeFile(t, filepath.Join(src, "new"), "new")
	if err := os.Remove(filepath.Join(src, "empty")); err != nil {
		t.Fatal(err)
	}
	r := mustRun(t, c.command("rsync", "-a", "-i", "--delete", "-e", c.rsh(), src+"/", "home:"+there+"/"))
	same(t, src, there)
	if !strings.Contains(r.stdout, "deleting") || strings.Contains(r.stdout, "big") {
		t.Errorf("%s", r)
	}
}

func TestGit(t *testing.T) {
	t.Parallel()
	_, c := transferSite(t)
	c.master()
	repo, work := filepath.Join(tempDir(t), "repo.git"), filepath.Join(tempDir(t), "work")
	git := func(args ...string) result {
		t.Helper()
		cmd := c.command("git", append([]string{"-c", "user.name=alice", "-c", "user.email=alice@example.org", "-c", "init.defaultBranch=main", "-c", "protocol.version=2"}, args...)...)
		cmd.Env = append(cmd.Env, "GIT_SSH_COMMAND="+c.rsh(), "GIT_TERMINAL_PROMPT=0")
		return mustRun(t, cmd)
	}
	git("init", "--bare", repo)
	git("clone", "ssh://home"+repo, work)
	writeFile(t, filepath.Join(work, "data"), string(noise(4, 4<<20)))
	git("-C", work, "add", "data")
	git("-C", work, "commit", "-q", "-m", "data")
	git("-C", work, "push", "origin", "HEAD:main")
	again := filepath.Join(tempDir(t), "again")
	git("clone", "--branch", "main", "home:"+repo, again)
	if readFile(t, filepath.Join(again, "data")) != readFile(t, filepath.Join(work, "data")) {
		t.Error("the clone differs from what was pushed")
	}
	writeFile(t, filepath.Join(again, "more"), "more")
	git("-C", again, "add", "more")
	git("-C", again, "commit", "-q", "-m", "more")
	git("-C", again, "push")
	git("-C", work, "pull", "-q", "origin", "main")
	if readFile(t, filepath.Join(work, "more")) != "more" {
		t.Error("pull didn't bring the second commit")
	}
}

func TestSSHFS(t *testing.T) {
	t.Parallel()
	s, c := transferSite(t)
	src, mount := tree(t), filepath.Join(tempDir(t), "mnt")
	if err := os.Mkdir(mount, 0o700); err != nil {
		t.Fatal(err)
	}
	p := start(t, "sshfs", c.command("sshfs", "-f", "-F", c.config, "-o", "ssh_command="+c.rsh(), "home:"+src, mount))
	mounted := func() bool { return fileExists(filepath.Join(mount, "big")) }
	ok := within(waitTimeout, func() bool {
		select {
		case <-p.exited:
			return true
		default:
			return mounted()
		}
	})
	if !ok || !mounted() {
		t.Fatalf("not mounted: %s%s", p.stdout.String(), p.stderr.String())
	}
	unmounted := false
	unmount := func() {
		if !unmounted {
			unmounted = true
			mustRun(t, command("fusermount3", "-u", mount))
			p.wait(waitTimeout)
		}
	}
	defer unmount()
	same(t, src, mount)
	writeFile(t, filepath.Join(mount, "written"), string(noise(5, 3<<20)))
	if err := os.Rename(filepath.Join(mount, "written"), filepath.Join(mount, "sub dir", "renamed")); err != nil {
		t.Error(err)
	}
	if err := os.Remove(filepath.Join(mount, "empty")); err != nil {
		t.Error(err)
	}
	unmount()
	if readFile(t, filepath.Join(src, "sub dir", "renamed")) != string(noise(5, 3<<20)) {
		t.Error("what was written through the mount differs")
	}
	if fileExists(filepath.Join(src, "empty")) {
		t.Error("removing through the mount did nothing")
	}
	s.awaitSessions(1)
}
