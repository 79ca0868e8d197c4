package bench

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"go.yaml.in/yaml/v4"
	"golang.org/x/crypto/ssh"

	"entry/e2e/testkit"
)

// The names under which the one home machine is reached through entry: what is kept of
// a session differs.
const (
	full     = "full"     // as a rule has it that only says `record: full`: the first 64 MiB of bulk, of the rest size and hash
	hashed   = "hashed"   // hardly more of bulk than those
	kept     = "kept"     // all of bulk
	manifest = "manifest" // of transfers what moved
	metadata = "metadata" // sizes and times
)

// records are what the rules for these targets say.
var records = map[string][]string{
	full:     {"record: full"},
	hashed:   {"record: full", "bulk: {keep: 1MiB}"},
	kept:     {"record: full", "bulk: {then: keep}"},
	manifest: {"record: manifest"},
	metadata: {"record: metadata"},
}

// targets are all of them.
var targets = []string{full, hashed, kept, manifest, metadata}

// users have a key that entry remembers: a jump asks them nothing.
var users = []string{"alice", "bob"}

// site is an installation of entry, with a home machine behind it, and a plain jump host
// in front of the same machine.
type site struct {
	t    testing.TB
	dir  string // of entry, as `entry init` makes it
	port int
	proc *testkit.Program

	keys map[string]string // file of each user's key
	jump *testkit.SSHD
	home *testkit.SSHD
}

// newSite makes one and starts it. Its home machine is an sshd, the same one for both jump
// hosts.
func newSite(t testing.TB) *site {
	t.Helper()
	top := testkit.ShortDir(t)
	s := &site{t: t, dir: filepath.Join(top, "d"), port: testkit.FreePort(t), keys: map[string]string{}}
	s.entry("init")
	var c map[string]any
	testkit.Check(t, yaml.Unmarshal([]byte(testkit.ReadFile(t, s.path("entry.yaml"))), &c))
	c["listeners"] = []any{map[string]any{"address": s.addr()}}
	c["limits"] = map[string]any{"startups": "100:30:200", "per_source": 1000, "events": "1000000:1000", "connections": 100_000, "channels": 1_000_000}
	c["login"] = map[string]any{"remembered_keys": map[string]any{"ipv4": 8}}         // clients come from all of 127.0.0.0/8
	c["recording"] = map[string]any{"share": 0, "reserve": "64MiB", "notice": "none"} // bulk is kept, however much; nothing stands before it
	c["drain"] = "1s"
	testkit.WriteFile(t, s.path("entry.yaml"), string(testkit.Must(yaml.Marshal(c))(t)))

	var public []string
	for _, name := range users {
		s.keys[name] = filepath.Join(top, name)
		public = append(public, testkit.Authorized(testkit.NewKeyFile(t, s.keys[name]).PublicKey()))
	}
	s.jump = testkit.StartSSHD(t, testkit.SSHDOptions{Keys: public})
	s.home = testkit.StartSSHD(t, testkit.SSHDOptions{Keys: public, UserCA: s.path("keys", "user_ca.pub")})
	s.targets(s.home.Addr(), s.home.HostKey(), testkit.Me(t))
	s.serve()
	for _, name := range users {
		s.remember(name)
	}
	return s
}

// targets writes the policy: all four names are the machine at addr.
func (s *site) targets(addr, hostKey, login string) {
	s.t.Helper()
	var lines, rules []string
	for _, name := range targets {
		lines = append(lines, testkit.TargetLine(name, addr, hostKey, "default_login: "+login))
		rules = append(rules, testkit.Rule(name, append([]string{testkit.On(name), "may: [shell, exec, upload, download]"}, records[name]...)...))
	}
	dir := s.path("policy.d")
	for _, old := range testkit.Must(filepath.Glob(filepath.Join(dir, "*.y*ml")))(s.t) {
		testkit.Check(s.t, os.Remove(old))
	}
	testkit.WriteFile(s.t, filepath.Join(dir, "tinker.yaml"), testkit.PolicyText(users, lines, rules...))
}

func (s *site) path(elem ...string) string {
	return filepath.Join(append([]string{s.dir}, elem...)...)
}

func (s *site) addr() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

// entry runs a verb that has to succeed, and gives what it prints.
func (s *site) entry(args ...string) string {
	s.t.Helper()
	return testkit.MustRun(s.t, quiet(built, append(args, "--dir", s.dir)...)).Stdout
}

// serve starts the server, under a program such as taskset if there is one, and waits
// until it takes connections.
func (s *site) serve(under ...string) {
	s.t.Helper()
	line := slices.Concat(under, []string{built, "serve", "--config", s.path("entry.yaml")})
	s.proc = testkit.Start(s.t, "entry serve", quiet(line[0], line[1:]...))
	s.proc.WaitFor(regexp.MustCompile(`(?m)^ready`))
}

// stop ends it, as a service manager does.
func (s *site) stop() {
	s.t.Helper()
	s.proc.Signal(syscall.SIGTERM)
	if code := s.proc.Wait(); code != 0 {
		s.t.Fatalf("entry serve ended with %d\n%s", code, testkit.Tail(s.proc.Stderr.String()))
	}
}

// pids are the jump hosts' processes, by side.
func (s *site) pids() map[string]int {
	return map[string]int{"sshd": s.jump.Cmd.Process.Pid, "entry": s.proc.Cmd.Process.Pid}
}

// quiet is a command whose environment says nothing of whoever measures.
func quiet(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "TERM=xterm-256color", "HOME=/nonexistent", "SHELL=/bin/sh"}
	return cmd
}

// remember makes an account, takes it through its first login and has it log in with
// its key and a code, so that the key alone opens more connections.
func (s *site) remember(name string) {
	s.t.Helper()
	p := &person{t: s.t, name: name, temporary: strings.TrimSpace(s.entry("user", "add", name))}
	signer := readKey(s.t, s.keys[name])
	testkit.Check(s.t, s.login(p))
	s.entry("user", "key", "add", name, s.keys[name]+".pub")
	testkit.Check(s.t, s.login(p, ssh.PublicKeys(signer)))
	testkit.Eventually(s.t, "the key of "+name+" is remembered", func() bool {
		return strings.Count(testkit.ReadFile(s.t, s.path("audit", "events.jsonl")), `"key.remembered"`) == slices.Index(users, name)+1
	})
}

// login is one connection, with these methods before the dialogue.
func (s *site) login(p *person, before ...ssh.AuthMethod) (err error) {
	conn, err := net.Dial("tcp", s.addr())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if err := conn.SetDeadline(testkit.Deadline(testkit.CommandTime)); err != nil {
		return err
	}
	_, _, _, err = ssh.NewClientConn(conn, "entry:22", &ssh.ClientConfig{
		User: p.name, Auth: append(before, ssh.KeyboardInteractive(p.answers)),
		HostKeyCallback: trusting(s.t, s.hostCA()), HostKeyAlgorithms: []string{ssh.CertAlgoED25519v01},
	})
	if err != nil {
		return fmt.Errorf("login of %s: %w (asked %q)", p.name, err, p.asked)
	}
	return nil
}

// hostCA vouches for entry and what is behind it.
func (s *site) hostCA() string { return testkit.ReadFile(s.t, s.path("keys", "host_ca.pub")) }

func readKey(t testing.TB, path string) ssh.Signer {
	t.Helper()
	return testkit.Must(ssh.ParsePrivateKey([]byte(testkit.ReadFile(t, path))))(t)
}
