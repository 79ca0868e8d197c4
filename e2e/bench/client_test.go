package bench

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"entry/e2e/testkit"
)

// gcm is the cipher that costs least where the processor has instructions for it.
const gcm = "aes128-gcm@openssh.com"

// byDefault is whatever client and server agree on unasked.
const byDefault = "default cipher"

// ciphers are what is measured.
var ciphers = []string{byDefault, gcm}

// client is a user's computer, with OpenSSH: it knows the same machine by one name
// through sshd and by others through entry.
type client struct {
	t      testing.TB
	dir    string
	config map[string]string   // ssh_config, by cipher
	master map[[2]string]*path // by cipher and host: see over
	peers  map[string]peer     // by side
}

// hostOf is the name under which a side's home machine is known. entry's sides are
// called by what is recorded, and entry alone is the usual.
func hostOf(side string) string {
	switch side {
	case "sshd":
		return "home"
	case "entry":
		return full
	}
	return side
}

// other is the name for the other user's connection.
func other(host string) string { return host + "-other" }

func newClient(t testing.TB, s *site) *client {
	t.Helper()
	c := &client{t: t, dir: testkit.ShortDir(t), config: map[string]string{}, master: map[[2]string]*path{}, peers: map[string]peer{}}
	known := "@cert-authority " + strings.Join(append([]string{"entry"}, targets...), ",") + " " + s.hostCA() +
		"jump " + s.jump.HostKey() + "\nhome " + s.home.HostKey() + "\n"
	testkit.WriteFile(t, filepath.Join(c.dir, "known_hosts"), known)
	var b strings.Builder
	host := func(name string, lines ...string) {
		fmt.Fprintf(&b, "Host %s\n    %s\n", name, strings.Join(lines, "\n    "))
	}
	for i, suffix := range []string{"", other("")} {
		key := "IdentityFile " + s.keys[users[i]]
		host("jump"+suffix, "HostName 127.0.0.1", fmt.Sprintf("Port %d", s.jump.Port), "HostKeyAlias jump", "User "+testkit.Me(t), key)
		host("home"+suffix, "HostName 127.0.0.1", fmt.Sprintf("Port %d", s.home.Port), "HostKeyAlias home", "User "+testkit.Me(t), "ProxyJump jump"+suffix, key)
		host("entry"+suffix, "HostName 127.0.0.1", fmt.Sprintf("Port %d", s.port), "HostKeyAlias entry", "User "+users[i], key)
		for _, name := range targets {
			host(name+suffix, "HostName "+name, "HostKeyAlias "+name, "ProxyJump entry"+suffix, key)
		}
	}
	all := []string{"UserKnownHostsFile " + filepath.Join(c.dir, "known_hosts"), "GlobalKnownHostsFile none", "StrictHostKeyChecking yes",
		"IdentitiesOnly yes", "BatchMode yes", "LogLevel ERROR",
		// From 9.5 on the client sends keys at a steady pace, 20 ms apart.
		"IgnoreUnknown ObscureKeystrokeTiming", "ObscureKeystrokeTiming no"}
	for i, cipher := range ciphers {
		lines := all
		if cipher != byDefault {
			lines = append(lines, "Ciphers "+cipher) // for both connections of a jump
		}
		c.config[cipher] = filepath.Join(c.dir, fmt.Sprintf("config%d", i))
		testkit.WriteFile(t, c.config[cipher], b.String()+"Host *\n    "+strings.Join(lines, "\n    ")+"\n")
	}
	return c
}

// command runs a program as this user.
func (c *client) command(name string, args ...string) *exec.Cmd {
	cmd := quiet(name, args...)
	cmd.Env = append(cmd.Env, "HOME="+c.dir)
	return cmd
}

// path is a connection to a home machine that is logged in already: what runs over it
// pays for its channel alone.
type path struct {
	*client
	host, config, socket string
}

// over gives the path to a host, or to the machine behind a peer, which is there from
// then on.
func (c *client) over(cipher, host string) (*path, error) {
	if p := c.master[[2]string{cipher, host}]; p != nil {
		return p, nil
	}
	p := &path{client: c, host: host, config: c.config[cipher], socket: filepath.Join(c.dir, fmt.Sprintf("m%d", len(c.master)))}
	if peer, ok := c.peers[host]; ok {
		p.host, p.config = peer.host, peer.config
	}
	m := testkit.Start(c.t, "ssh master "+host, c.command("ssh", "-F", p.config, "-M", "-N", "-S", p.socket, p.host))
	if !m.Within(testkit.CommandTime, func() bool {
		return c.command("ssh", "-F", p.config, "-S", p.socket, "-O", "check", p.host).Run() == nil
	}) {
		return nil, fmt.Errorf("no connection to %s: %s", host, testkit.Tail(m.Stderr.String()))
	}
	c.master[[2]string{cipher, host}] = p
	return p, nil
}

// leave forgets all paths: the servers that they led through are gone.
func (c *client) leave() {
	for _, p := range c.master {
		// It may have ended with its server.
		_ = c.command("ssh", "-F", p.config, "-S", p.socket, "-O", "exit", p.host).Run()
	}
	c.master = map[[2]string]*path{}
}

// ssh runs a command on the home machine.
func (p *path) ssh(options []string, remote string) *exec.Cmd {
	return p.command("ssh", append(append([]string{"-F", p.config, "-S", p.socket}, options...), p.host, remote)...)
}

// ends runs cmd to its end, which is a success. What it wrote to stderr is in the error
// otherwise. Bulk takes its time: what hangs is ended by go test's own.
func ends(cmd *exec.Cmd) error {
	var errs bytes.Buffer
	cmd.Stderr = &errs
	testkit.OwnGroup(cmd)
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", cmd, err, testkit.Clip(errs.String()))
	}
	return nil
}

// cost is what moving something took.
type cost struct {
	wall time.Duration
	cpu  time.Duration // of the jump host
}

// costs measures f.
func (r *run) costs(t testing.TB, side string, f func() error) (cost, error) {
	t.Helper()
	pid := r.of[side]
	if pid == 0 {
		pid = r.of["entry"]
	}
	used, began := testkit.CPU(t, pid), time.Now()
	err := f()
	wall := time.Since(began)
	return cost{wall, testkit.CPU(t, pid) - used}, err
}

// bulk notes the cost of moving the run's size.
func (r *run) bulk(name, side string, c cost) {
	gb := float64(r.plan.size) / 1e9
	r.add(name, "MB/s", side, gb*1e3/c.wall.Seconds())
	r.add(name, "cpu-s/GB", side, c.cpu.Seconds()/gb)
}

// data is what is moved: a file of zeros, and one that no codec can make smaller.
type data struct{ name, path, sum string }

// newData makes both, of the run's size.
func (r *run) newData(t testing.TB) []data {
	t.Helper()
	dir := testkit.ShortDir(t)
	var all []data
	for _, d := range []struct{ name, source string }{{"zeros", "/dev/zero"}, {"random", "/dev/urandom"}} {
		path := filepath.Join(dir, d.name)
		from := testkit.Must(os.Open(d.source))(t)
		to := testkit.Must(os.Create(path))(t)
		hash := sha256.New()
		_, err := io.CopyN(io.MultiWriter(to, hash), from, r.plan.size)
		testkit.Check(t, err)
		testkit.Check(t, from.Close())
		testkit.Check(t, to.Close())
		all = append(all, data{d.name, path, hex.EncodeToString(hash.Sum(nil))})
	}
	return all
}

// sums holds the digest of what arrived to what was sent.
func (d data) sums(got string) error {
	if got != d.sum {
		return fmt.Errorf("%s arrived with SHA-256 %s, not %s", d.name, got, d.sum)
	}
	return nil
}

// sumOf is a file's digest.
func sumOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
