package transfer

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"entry/e2e/testkit"
)

// instead is a program to be run for ssh: it speaks with what listens at socket,
// whatever it is called with.
func instead(t testing.TB, socket string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ssh")
	if err := os.WriteFile(path, []byte("#!/bin/sh\nexec nc -N -U "+socket+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func perform(t testing.TB, stdin string, command ...string) (output string) {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v\n%s", command, err, out)
	}
	return string(out)
}

// reasons counts what was moved, by why its hash isn't known.
func reasons(entries []Entry) (all map[string]int) {
	all = map[string]int{}
	for _, e := range entries {
		if e.Operation == "put" || e.Operation == "get" {
			why := e.Unknown
			if e.SHA256 != nil {
				why = "known"
			}
			all[e.Operation+": "+strings.Trim(why, "0123456789")]++
		}
	}
	return all
}

// scp and lftp move files of any size; all hashes are known.
func TestSoakOtherClientsFiles(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 9))
	remote, local := t.TempDir(), t.TempDir()
	n, most := testkit.Long(12, 200), testkit.Long(4<<20, 64<<20)
	var names, copies []string
	var script strings.Builder
	fmt.Fprintf(&script, "lcd %s; cd %s; mkdir back\n", local, remote)
	for i, size := range sizes(n, most, r) {
		name := filepath.Join(local, fmt.Sprint("f", i))
		fill(t, name, size, r)
		names = append(names, name)
		copies = append(copies, fmt.Sprintf("x:%s/f%d", remote, i))
		fmt.Fprintf(&script, "put f%d\nget f%d -o back-f%d\n", i, i, i)
	}
	socket, relays := listen(t, anything, remote)
	ssh := instead(t, socket)
	back := filepath.Join(local, "back")
	if err := os.Mkdir(back, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, commands := range map[string][][]string{
		"scp": {append(append([]string{"scp", "-q", "-S", ssh}, names...), "x:"+remote), append(append([]string{"scp", "-q", "-p", "-S", ssh}, copies...), back)},
		"lftp": {{"lftp", "-c", fmt.Sprintf("set sftp:auto-confirm yes; set sftp:connect-program %s; open sftp://u:p@x\n%s", ssh, script.String())},
			{"lftp", "-c", fmt.Sprintf("set sftp:connect-program %s; open sftp://u:p@x; lcd %s; cd %s; mirror -R --parallel=4 . mirrored; mirror --parallel=4 mirrored again", ssh, local, remote)}},
	} {
		var entries []Entry
		for _, command := range commands {
			perform(t, "", command...)
		}
		for len(relays) > 0 {
			entries = append(entries, (<-relays).all(t)...)
		}
		moved, unknown := holds(t, remote, entries)
		t.Logf("%s: %d files moved, %d of unknown hash: %v", name, moved, unknown, reasons(entries))
		if moved < 2*n || unknown != 0 {
			t.Errorf("%s: %d were moved, %d with unknown hash", name, moved, unknown)
		}
	}
}

// paramiko asks for all of a file at once, and reads and writes as files in Python
// do.
const paramiko = `
import os, select, socket, sys
import paramiko
class Named(socket.socket):
    def get_name(self):
        return "sftp"
    def recv_ready(self):
        return bool(select.select([self], [], [], 0)[0])
s = Named(socket.AF_UNIX)
s.connect(sys.argv[1])
c = paramiko.SFTPClient(s)
os.chdir(sys.argv[2])
for name in sorted(os.listdir(".")):
    c.put(name, "p" + name)
    c.get("p" + name, "../back")
    assert open("../back", "rb").read() == open(name, "rb").read()
    with c.open("p" + name, "rb") as f:
        f.read()
    with c.open("q" + name, "wb") as f:
        f.set_pipelined(True)
        f.write(open(name, "rb").read())
s.shutdown(socket.SHUT_WR)
`

func TestSoakParamikosFiles(t *testing.T) {
	r := rand.New(rand.NewPCG(14, 15))
	remote, local := t.TempDir(), filepath.Join(t.TempDir(), "local")
	if err := os.Mkdir(local, 0o700); err != nil {
		t.Fatal(err)
	}
	n, most := testkit.Long(12, 200), testkit.Long(2<<20, 64<<20)
	for i, size := range sizes(n, most, r) {
		fill(t, filepath.Join(local, fmt.Sprint("f", i)), size, r)
	}
	socket, relays := listen(t, anything, remote)
	perform(t, paramiko, "/usr/bin/python3", "-", socket, local)
	entries := (<-relays).all(t)
	moved, unknown := holds(t, remote, entries)
	t.Logf("%d files moved, %d of unknown hash: %v", moved, unknown, reasons(entries))
	// It asks twice for a block now and then, of large files also when the first
	// answer can't be compared with any more.
	if moved != 4*n || unknown > moved/50 {
		t.Errorf("%d were moved, %d with unknown hash", moved, unknown)
	}
}

// What OpenSSH's sftp resumes has no hash. What goes along with a transfer is in
// the manifest.
func TestResumedByOpenSSH(t *testing.T) {
	remote, local := t.TempDir(), t.TempDir()
	r := rand.New(rand.NewPCG(10, 11))
	fill(t, filepath.Join(local, "f"), 300_000, r)
	b, err := os.ReadFile(filepath.Join(local, "f"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(remote, "part"), filepath.Join(local, "part")} {
		if err := os.WriteFile(path, b[:100_000], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	socket, relays := listen(t, anything, remote)
	perform(t, strings.Join([]string{"lcd " + local, "reput f part", "put -p f whole", "reget whole part", "mkdir d", "rename whole d/w", "ln d/w hard", "ln -s d/w soft", "cp d/w copied", "chmod 640 copied", "rm hard", "rm soft", "rm d/w", "rmdir d"}, "\n"),
		"sftp", "-q", "-b", "-", "-S", instead(t, socket), "x")
	var got []string
	for _, e := range (<-relays).all(t) {
		got = append(got, strings.ReplaceAll(line(e), remote, ""))
	}
	want := strings.ReplaceAll(`put upload /part ok size=200000 unknown=it was opened for appending
setstat  /whole ok detail=mode 0644, times
put upload /whole ok size=300000 sha256=HASH
get download /whole ok size=200000 unknown=bytes from 0 on weren't read
mkdir  /d ok detail=mode 0777
posix-rename  /whole ok to=/d/w
hardlink  /d/w ok to=/hard
symlink  /soft ok to=d/w
copy-data  /d/w ok to=/copied detail=all from 0 to 0
get download /d/w ok size=0 unknown=it was read to byte 0, and no end seen there
put upload /copied ok size=0 unknown=content was copied into it on the target
setstat  /copied ok detail=mode 0640
remove  /hard ok
remove  /soft ok
remove  /d/w ok
rmdir  /d ok`, "HASH", hashOf(string(b)))
	if out := strings.Join(got, "\n"); out != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
	if b2, err := os.ReadFile(filepath.Join(local, "part")); err != nil || !bytes.Equal(b, b2) {
		t.Error("the resumed file isn't whole")
	}
}

// Whoever works with files below sshfs.
func TestSoakFilesBelowSSHFS(t *testing.T) {
	r := rand.New(rand.NewPCG(12, 13))
	remote, local, mount := t.TempDir(), t.TempDir(), testkit.ShortDir(t)
	socket, relays := listen(t, anything, remote)
	perform(t, "", "sshfs", "-o", "ssh_command="+instead(t, socket), "x:"+remote, mount)
	mounted := true
	unmount := func() {
		if mounted {
			mounted = false
			perform(t, "", "fusermount3", "-u", mount)
		}
	}
	t.Cleanup(unmount)
	n, most := testkit.Long(12, 200), testkit.Long(4<<20, 64<<20)
	for i, size := range sizes(n, most, r) {
		name := fmt.Sprint("f", i)
		fill(t, filepath.Join(local, name), size, r)
		perform(t, "", "cp", filepath.Join(local, name), mount)
		// What the kernel has read is read no more.
		perform(t, "", "cp", filepath.Join(remote, name), filepath.Join(remote, "r"+name))
		perform(t, "", "cmp", filepath.Join(mount, "r"+name), filepath.Join(local, name))
	}
	perform(t, "", "sh", "-c", "cd "+mount+" && echo one > a && echo two > a && echo three >> a && mv a b && truncate -s 5 b && ln -s b c && mkdir d && rmdir d && rm b")
	unmount()
	entries := (<-relays).all(t)
	var files []Entry
	var got []string
	for _, e := range entries {
		if name := filepath.Base(e.Path); len(name) > 1 {
			files = append(files, e)
		} else {
			got = append(got, strings.ReplaceAll(line(e), remote, ""))
		}
	}
	want := []string{
		"put upload /a ok size=4 sha256=" + hashOf("one\n"),
		"put upload /a ok size=4 sha256=" + hashOf("two\n"),
		"put upload /a ok size=6 unknown=it was opened for appending",
		"posix-rename  /a ok to=/b",
		"setstat  /b ok detail=size 5",
		"put upload /b ok size=0 unknown=bytes from 0 on weren't written here",
		"symlink  /c ok to=b",
		"mkdir  /d ok detail=mode 0755",
		"rmdir  /d ok",
		"remove  /b ok",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	moved, unknown := holds(t, remote, files)
	t.Logf("%d files moved, %d of unknown hash: %v", moved, unknown, reasons(files))
	// Of an empty file the kernel reads nothing.
	if moved != 2*n || unknown != 1 {
		t.Errorf("%d were moved, %d with unknown hash", moved, unknown)
	}
}

// Who may do what, with stock clients: what isn't allowed is refused, the session
// goes on, and the rest works.
func TestRightsAndStockClients(t *testing.T) {
	neither := func(d Direction) string { return "entry: no " + d.String() }
	for name, test := range map[string]struct {
		may      May
		up, down bool
	}{
		"both":          {anything, true, true},
		"upload only":   {noDownload, true, false},
		"download only": {noUpload, false, true},
		"neither":       {neither, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			remote, local, mount := t.TempDir(), t.TempDir(), testkit.ShortDir(t)
			for _, path := range []string{filepath.Join(local, "mine"), filepath.Join(remote, "theirs")} {
				if err := os.WriteFile(path, []byte("content"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			socket, relays := listen(t, test.may, remote)
			ssh := instead(t, socket)
			sh := func(script string) (string, bool) {
				cmd := exec.Command("sh", "-c", script)
				cmd.Dir = local
				out, err := cmd.CombinedOutput()
				return string(out), err == nil
			}
			there := func(path string) bool {
				b, err := os.ReadFile(path)
				return err == nil && string(b) == "content"
			}
			for client, scripts := range map[string][3]string{
				"sftp": {"printf -- '-get theirs sftp-b\n-put mine sftp-a\nls\n' | sftp -b - -S " + ssh + " x", "", ""},
				"scp":  {"", "scp -S " + ssh + " mine x:" + remote + "/scp-a", "scp -S " + ssh + " x:" + remote + "/theirs scp-b"},
				"lftp": {"", "lftp -c 'set sftp:connect-program " + ssh + "; open sftp://u:p@x" + remote + "; put mine -o lftp-a'", "lftp -c 'set sftp:connect-program " + ssh + "; open sftp://u:p@x" + remote + "; get theirs -o lftp-b'"},
			} {
				for i, script := range scripts {
					out, ok := sh(script)
					allowed := i == 0 && (test.up || test.down) || i == 1 && test.up || i == 2 && test.down
					if script != "" && ok != allowed {
						t.Errorf("%s: %v\n%s", client, ok, out)
					}
					if script != "" && !allowed && (test.up || test.down) && !strings.Contains(strings.ToLower(out), "permission denied") && !strings.Contains(out, "entry: no ") {
						t.Errorf("%s: %s", client, out)
					}
				}
				if there(filepath.Join(remote, client+"-a")) != test.up || there(filepath.Join(local, client+"-b")) != test.down {
					t.Errorf("%s moved other files than it may", client)
				}
			}
			if test.up || test.down {
				perform(t, "", "sshfs", "-o", "ssh_command="+ssh, "x:"+remote, mount)
				_, up := sh("cp mine " + mount + "/fs-a")
				_, down := sh("cp " + mount + "/theirs fs-b")
				perform(t, "", "fusermount3", "-u", mount)
				if up != test.up || down != test.down {
					t.Errorf("sshfs: up %v, down %v", up, down)
				}
			}
			for len(relays) > 0 {
				for _, e := range (<-relays).all(t) {
					if e.Outcome == OK && e.Size > 0 && test.may(e.Direction) != "" {
						t.Errorf("%s", line(e))
					}
				}
			}
		})
	}
}
