package e2e

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"entry/e2e/testkit"
)

// carrier is a user's computer with what its programs need to move files to and
// from one target through the jump host: nearly all by one session, which every
// refusal leaves as it was.
type carrier struct {
	*client
	t    *testing.T
	host string
	port int    // behind which host is, for programs that bring their own SSH
	key  string // host's there, as PuTTY is told it
}

// carrierTo opens the session. c has a master connection to the jump host.
func (c *client) carrierTo(t *testing.T, host string) (*carrier, *testkit.Program) {
	t.Helper()
	socket := filepath.Join(testkit.ShortDir(t), "m")
	own := *c
	own.t, own.config, own.target = t, filepath.Join(testkit.ShortDir(t), "ssh_config"), host
	testkit.WriteFile(t, own.config, testkit.ReadFile(t, c.config))
	own.multiplex(host, socket)
	master := testkit.Start(t, "session on "+host, own.home([]string{"-M", "-N", "-S", socket}))
	awaitMaster(&own, master, socket, host)
	return &carrier{client: &own, t: t, host: host, port: own.behind(t, host)}, master
}

// behind listens on a port, behind which host is by a jump of its own for each
// connection.
func (c *client) behind(t *testing.T, host string) (port int) {
	t.Helper()
	l := testkit.Must(net.Listen("tcp", "127.0.0.1:0"))(t)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				jump := c.ssh("-W", host+":22", "entry")
				in, err := jump.StdinPipe()
				if err != nil {
					return
				}
				jump.Stdout = conn
				go func() {
					_, _ = io.Copy(in, conn)
					_ = in.Close()
				}()
				_ = jump.Run() // the program at the other end says what went wrong
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

// run is testkit.Run for a program that talks with what stdin says.
func (c *carrier) run(stdin, name string, args ...string) testkit.Result {
	c.t.Helper()
	cmd := c.command(name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	return testkit.Run(c.t, cmd)
}

// far is how scp and rsync call a place on the target.
func (c *carrier) far(path string) string { return c.host + ":" + path }

// putty runs one of PuTTY's programs, which wants to know the host's key: it says
// itself which one it saw.
func (c *carrier) putty(stdin, name string, args ...string) testkit.Result {
	c.t.Helper()
	usual := []string{"-batch", "-P", strconv.Itoa(c.port), "-l", testkit.Me(c.t)}
	if c.key == "" {
		seen := c.run("", "plink", append(usual, "127.0.0.1", "true")...)
		if c.key = regexp.MustCompile(`SHA256:\S+`).FindString(seen.Stderr); c.key == "" {
			c.t.Fatalf("plink doesn't say which key it saw: %s", seen)
		}
	}
	return c.run(stdin, name, append(append(usual, "-hostkey", c.key), args...)...)
}

// mover is one program with which people copy files.
type mover struct {
	name string
	copy func(c *carrier, up bool, from, to string) testkit.Result
	// says is what it shows of a refusal: entry's reason, if nothing else stands here.
	says   string
	mute   string // what it shows if even the start is refused: entry's reason, if nothing else stands here
	silent bool   // it ends with 0 all the same
}

// either is one of two words: that for an upload, or for a download.
func either(up bool, put, get string) string {
	if up {
		return put
	}
	return get
}

// places puts the target's name in front of the path that is there.
func (c *carrier) places(up bool, from, to string) []string {
	if up {
		return []string{from, c.far(to)}
	}
	return []string{c.far(from), to}
}

func (c *carrier) scp(up bool, from, to string, options ...string) testkit.Result {
	return c.run("", "scp", append(append(options, "-F", c.config, "-J", "entry"), c.places(up, from, to)...)...)
}

func (c *carrier) sftp(up bool, from, to string, options ...string) testkit.Result {
	return c.run(fmt.Sprintf("%s %s %s\n", either(up, "put", "get"), from, to), "sftp", append(options, "-b", "-", "-F", c.config, "-J", "entry", c.host)...)
}

func (c *carrier) lftp(script string) testkit.Result {
	return c.run("", "lftp", "-c", fmt.Sprintf("set sftp:connect-program 'ssh -a -x -F %s -J entry'; set net:max-retries 1; open sftp://%s; %s", c.config, c.host, script))
}

func (c *carrier) rclone(args ...string) testkit.Result {
	// It asks for an agent unless it has a password, which nobody wants from it.
	password := strings.TrimSpace(testkit.MustRun(c.t, c.command("rclone", "obscure", "unused")).Stdout)
	return c.run("", "rclone", append(args, "--config", "/dev/null", "--sftp-pass", password, "--retries", "1", "--low-level-retries", "1", "--sftp-host", "127.0.0.1", "--sftp-port", strconv.Itoa(c.port), "--sftp-user", testkit.Me(c.t))...)
}

// git pushes, or clones, a repository that has one file.
func (c *carrier) git(up bool, from, to string) testkit.Result {
	c.t.Helper()
	dir := testkit.ShortDir(c.t)
	git := func(args ...string) *exec.Cmd {
		cmd := c.command("git", append([]string{"-c", "user.name=alice", "-c", "user.email=alice@example.org", "-c", "init.defaultBranch=main"}, args...)...)
		cmd.Env = append(cmd.Env, "GIT_SSH_COMMAND="+c.rsh(), "GIT_TERMINAL_PROMPT=0")
		return cmd
	}
	work, bare := filepath.Join(dir, "work"), filepath.Join(dir, "bare.git")
	testkit.MustRun(c.t, git("init", "-q", work))
	testkit.WriteFile(c.t, filepath.Join(work, "file"), testkit.ReadFile(c.t, from))
	testkit.MustRun(c.t, git("-C", work, "add", "file"))
	testkit.MustRun(c.t, git("-C", work, "commit", "-q", "-m", "file"))
	if up {
		testkit.MustRun(c.t, git("init", "-q", "--bare", bare))
		r := testkit.Run(c.t, git("-C", work, "push", "-q", c.far(bare), "HEAD:main"))
		if shown := testkit.Run(c.t, git("--git-dir", bare, "show", "main:file")); shown.Code == 0 {
			testkit.WriteFile(c.t, to, shown.Stdout)
		}
		return r
	}
	testkit.MustRun(c.t, git("clone", "-q", "--bare", work, bare))
	r := testkit.Run(c.t, git("clone", "-q", c.far(bare), filepath.Join(dir, "again")))
	if file := filepath.Join(dir, "again", "file"); fileExists(file) {
		testkit.WriteFile(c.t, to, testkit.ReadFile(c.t, file))
	}
	return r
}

// sshfs mounts the folder on the target, copies by its name there, and unmounts.
func (c *carrier) sshfs(up bool, from, to string) testkit.Result {
	c.t.Helper()
	mount := filepath.Join(testkit.ShortDir(c.t), "mnt")
	testkit.Check(c.t, os.Mkdir(mount, 0o700))
	there := either(up, to, from)
	r := c.run("", "sshfs", "-F", c.config, "-o", "ssh_command="+c.rsh(), c.far(filepath.Dir(there)), mount)
	if r.Code != 0 {
		return r
	}
	defer testkit.MustRun(c.t, command("fusermount3", "-u", mount))
	if up {
		return c.run("", "cp", from, filepath.Join(mount, filepath.Base(there)))
	}
	return c.run("", "cp", filepath.Join(mount, filepath.Base(there)), to)
}

// sftpServer is where Debian has it.
const sftpServer = "/usr/lib/openssh/sftp-server"

var movers = []mover{
	{name: "sftp", copy: func(c *carrier, up bool, from, to string) testkit.Result { return c.sftp(up, from, to) }, says: "ermission denied"},
	{name: "sftp -s", copy: func(c *carrier, up bool, from, to string) testkit.Result {
		return c.sftp(up, from, to, "-s", sftpServer)
	}, says: "ermission denied"},
	{name: "scp", copy: func(c *carrier, up bool, from, to string) testkit.Result { return c.scp(up, from, to) }, says: "ermission denied"},
	{name: "scp -O", copy: func(c *carrier, up bool, from, to string) testkit.Result { return c.scp(up, from, to, "-O") }},
	{name: "rsync", copy: func(c *carrier, up bool, from, to string) testkit.Result {
		return c.run("", "rsync", append([]string{"-a", "-e", c.rsh()}, c.places(up, from, to)...)...)
	}},
	{name: "git", copy: (*carrier).git},
	{name: "sshfs", copy: (*carrier).sshfs, says: "ermission denied", mute: "remote host has disconnected"},
	{name: "lftp", copy: func(c *carrier, up bool, from, to string) testkit.Result {
		return c.lftp(fmt.Sprintf("%s %s -o %s", either(up, "put", "get"), from, to))
	}, says: "Access failed: entry: "},
	{name: "rclone", copy: func(c *carrier, up bool, from, to string) testkit.Result {
		if up {
			return c.rclone("copyto", from, ":sftp:"+to)
		}
		return c.rclone("copyto", ":sftp:"+from, to)
	}, says: "ermission denied", mute: "couldn't initialise SFTP"},
	{name: "psftp", copy: func(c *carrier, up bool, from, to string) testkit.Result {
		return c.putty(fmt.Sprintf("%s %s %s\n", either(up, "put", "get"), from, to), "psftp", "-b", "/dev/stdin", "127.0.0.1")
	}, says: "ermission denied"},
	{name: "pscp", copy: func(c *carrier, up bool, from, to string) testkit.Result {
		if up {
			return c.putty("", "pscp", "-q", from, "127.0.0.1:"+to)
		}
		return c.putty("", "pscp", "-q", "127.0.0.1:"+from, to)
	}, says: "ermission denied"},
	{name: "pscp -scp", copy: func(c *carrier, up bool, from, to string) testkit.Result {
		if up {
			return c.putty("", "pscp", "-q", "-scp", from, "127.0.0.1:"+to)
		}
		return c.putty("", "pscp", "-q", "-scp", "127.0.0.1:"+from, to)
	}, silent: true},
}

// TestWhoMayMoveFiles has every program copy a file up and down under each grant:
// what the grant gives works, the rest is refused with the reason, and the session
// goes on after it.
func TestWhoMayMoveFiles(t *testing.T) {
	beside(t)
	grants := []struct {
		name     string
		up, down bool
		rules    []string
	}{
		{"up", true, false, []string{"may: [upload]"}},
		{"down", false, true, []string{"may: [download]"}},
		{"both", true, true, []string{"may: [upload, download]"}},
		{"neither", false, false, []string{"may: [forward-local]", "forward_local: [\"127.0.0.1:1\"]"}},
		{"free", true, true, []string{"may: [shell, exec, upload, download]"}},
	}
	s := initSite(t)
	home := s.startHome()
	var targets, rules []string
	for _, g := range grants {
		targets = append(targets, home.Target(t, g.name))
		rules = append(rules, testkit.Rule(g.name, append(g.rules, testkit.On(g.name), "record: full")...))
	}
	s.setPolicy([]string{"alice"}, targets, rules...)
	s.serve()
	c := s.client(s.enrolled("alice"))
	c.master()
	for _, g := range grants {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			with, master := c.carrierTo(t, g.name+".tinker")
			for i, m := range movers {
				for _, up := range []bool{true, false} {
					word, allowed := either(up, "upload", "download"), up && g.up || !up && g.down
					dir := testkit.ShortDir(t)
					from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
					content := string(noise(uint64(i), 70_001))
					testkit.WriteFile(t, from, content)
					r := m.copy(with, up, from, to)
					arrived := fileExists(to) && testkit.ReadFile(t, to) == content
					says := m.says
					if !g.up && !g.down {
						says = m.mute
					}
					switch {
					case allowed && (!arrived || r.Code != 0):
						t.Errorf("%s: %s: exit %d, the file arrived: %v: %s", m.name, word, r.Code, arrived, r)
					case !allowed && (fileExists(to) && testkit.ReadFile(t, to) != "" || r.Code == 0 && !m.silent):
						t.Errorf("%s: %s isn't refused: %s", m.name, word, r)
					case !allowed:
						if says == "" {
							says = `entry: .*you may not ` + either(g.up || g.down, word, `(upload|download)`) + ` files `
						}
						if !regexp.MustCompile(says).MatchString(r.Stdout + r.Stderr) {
							t.Errorf("%s: %s is refused without %q: %s", m.name, word, says, r)
						}
					}
				}
			}
			if !master.Running() {
				t.Errorf("the session ended: %s", master.Stderr.String())
			}
		})
	}
}
