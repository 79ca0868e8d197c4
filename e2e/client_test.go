package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/e2e/testkit"
)

// command is exec.Command in an environment that says nothing about whoever
// runs the tests: no agent, no display, no proxies.
func command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "TERM=xterm-256color", "HOME=/nonexistent", "SHELL=/bin/sh"}
	return cmd
}

// client is one user's computer: a home folder, an OpenSSH configuration and
// somebody who answers the prompts.
type client struct {
	t      testing.TB
	dir    string   // also $HOME
	config string   // ssh_config
	jump   []string // what makes ssh go through the jump host: -J entry
	target string   // home
	env    []string
}

func (c *client) path(elem ...string) string {
	return filepath.Join(append([]string{c.dir}, elem...)...)
}

// client sets up p's computer for this site, exactly with the one
// @cert-authority line that the lab hands out. extra are more lines for the
// `Host entry` block. Prompts are answered by askpass, unless a terminal is
// put in its place.
func (s *site) client(p *person, extra ...string) *client {
	s.t.Helper()
	dir := testkit.ShortDir(s.t)
	testkit.WriteFile(s.t, filepath.Join(dir, "known_hosts"),
		"@cert-authority home,*.tinker,entry "+testkit.ReadFile(s.t, s.path("keys", "host_ca.pub")))
	block := append([]string{"HostName 127.0.0.1", fmt.Sprintf("Port %d", s.port), "User " + p.name, "HostKeyAlias entry"}, extra...)
	return newClient(s.t, dir, block, p.askpass())
}

func newClient(t testing.TB, dir string, entryBlock, env []string) *client {
	t.Helper()
	c := &client{t: t, dir: dir, config: filepath.Join(dir, "ssh_config"), jump: []string{"-J", "entry"}, target: "home", env: env}
	testkit.WriteFile(t, c.config, fmt.Sprintf(`Host entry
    %s
Host *
    UserKnownHostsFile %s
    GlobalKnownHostsFile none
    StrictHostKeyChecking yes
    IdentityFile none
`, strings.Join(entryBlock, "\n    "), filepath.Join(dir, "known_hosts")))
	return c
}

// appendConfig adds a block to the client's ssh_config.
func (c *client) appendConfig(lines ...string) {
	c.t.Helper()
	testkit.WriteFile(c.t, c.config, testkit.ReadFile(c.t, c.config)+strings.Join(lines, "\n")+"\n")
}

// command runs any program as this user.
func (c *client) command(name string, args ...string) *exec.Cmd {
	cmd := command(name, args...)
	// PuTTY's programs look for the account's real home unless they are told.
	cmd.Env = append(cmd.Env, "HOME="+c.dir, "PUTTYDIR="+c.path(".putty"))
	cmd.Env = append(cmd.Env, c.env...)
	return cmd
}

// byHand takes the askpass helper away: the user answers on a terminal.
func (c *client) byHand() *client {
	by := *c
	by.env = nil
	return &by
}

// ssh is `ssh -F config args…`.
func (c *client) ssh(args ...string) *exec.Cmd {
	return c.command("ssh", append([]string{"-F", c.config}, args...)...)
}

// home is `ssh -F config options… -J entry home command…`.
func (c *client) home(options []string, remote ...string) *exec.Cmd {
	args := append(append([]string{}, options...), c.jump...)
	return c.ssh(append(append(args, c.target), remote...)...)
}

// exec is the common case of home: one command, no options.
func (c *client) exec(remote string) *exec.Cmd { return c.home(nil, remote) }

// master keeps one authenticated connection to the jump host open, over which
// every later -J goes: one code serves a whole test. Refusals of a jump are
// shown on its stderr.
func (c *client) master() *testkit.Program {
	c.t.Helper()
	socket := c.path("m")
	c.multiplex("entry", socket)
	// A master notices a client that was killed, or whose one forward was refused, only
	// when something else happens (OpenSSH 9.2): its own keepalives do.
	p := testkit.Start(c.t, "ssh master", c.ssh("-M", "-N", "-S", socket, "-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=1000", "entry"))
	awaitMaster(c, p, socket, "entry")
	return p
}

// jumpTo runs ssh through a master connection and adds what the master said
// meanwhile, where OpenSSH shows why a jump was refused.
func (c *client) jumpTo(master *testkit.Program, args ...string) testkit.Result {
	c.t.Helper()
	before := len(master.Stderr.String())
	r := testkit.Run(c.t, c.ssh(append(append([]string{}, c.jump...), args...)...))
	if strings.Contains(r.Stderr, "Stdio forwarding request failed") {
		// The master says why, in its own time.
		testkit.Eventually(c.t, "the master says why", func() bool { return strings.Contains(master.Stderr.String()[before:], "open failed") })
	}
	r.Stderr += master.Stderr.String()[before:]
	return r
}

// multiplex makes connections to host use the master at socket.
func (c *client) multiplex(host, socket string) {
	c.t.Helper()
	testkit.WriteFile(c.t, c.config, fmt.Sprintf("Host %s\n    ControlPath %s\n", host, socket)+testkit.ReadFile(c.t, c.config))
}

func awaitMaster(c *client, p *testkit.Program, socket, host string) {
	c.t.Helper()
	if !p.Within(testkit.CommandTime, func() bool { return c.ssh("-S", socket, "-O", "check", host).Run() == nil }) {
		c.t.Fatalf("no master connection: %s", p.Stderr.String())
	}
}

// dial logs p in with a client written for the test, which can do what stock
// clients won't. methods replaces the keyboard-interactive dialogue.
func (s *site) dial(p *person, methods ...ssh.AuthMethod) (*ssh.Client, error) {
	if methods == nil {
		methods = []ssh.AuthMethod{p.keyboard()}
	}
	return s.dialAs(p.name, methods...)
}

func (s *site) dialAs(user string, methods ...ssh.AuthMethod) (*ssh.Client, error) {
	tcp, err := net.Dial("tcp", s.addr())
	if err != nil {
		return nil, err
	}
	return s.handshake(tcp, user, methods...)
}

// dialFrom logs p in from another loopback address, as somebody elsewhere.
func (s *site) dialFrom(source string, p *person) (*ssh.Client, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}
	tcp, err := d.Dial("tcp", s.addr())
	if err != nil {
		return nil, err
	}
	return s.handshake(tcp, p.name, p.keyboard())
}

// handshake logs in over tcp. A server that says nothing more is given up
// some time after its grace.
func (s *site) handshake(tcp net.Conn, user string, methods ...ssh.AuthMethod) (*ssh.Client, error) {
	if err := tcp.SetDeadline(testkit.Deadline(5 * time.Minute)); err != nil {
		return nil, errors.Join(err, tcp.Close())
	}
	conn, chans, reqs, err := ssh.NewClientConn(tcp, "entry:22", s.clientConfig(user, methods...))
	if err != nil {
		return nil, errors.Join(err, tcp.Close())
	}
	if err := tcp.SetDeadline(time.Time{}); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return ssh.NewClient(conn, chans, reqs), nil
}

func (s *site) clientConfig(user string, methods ...ssh.AuthMethod) *ssh.ClientConfig {
	s.t.Helper()
	ca, _, _, _, err := ssh.ParseAuthorizedKey([]byte(testkit.ReadFile(s.t, s.path("keys", "host_ca.pub"))))
	if err != nil {
		s.t.Fatal(err)
	}
	check := &ssh.CertChecker{IsHostAuthority: func(key ssh.PublicKey, _ string) bool {
		return bytes.Equal(key.Marshal(), ca.Marshal())
	}}
	return &ssh.ClientConfig{
		User:              user,
		Auth:              methods,
		HostKeyCallback:   check.CheckHostKey,
		HostKeyAlgorithms: []string{ssh.CertAlgoED25519v01},
	}
}

// keyboard answers keyboard-interactive as this person.
func (p *person) keyboard() ssh.AuthMethod {
	return ssh.RetryableAuthMethod(ssh.KeyboardInteractive(func(_, _ string, questions []string, _ []bool) ([]string, error) {
		answers := make([]string, len(questions))
		for i, q := range questions {
			a, ok := p.reply(q)
			if !ok {
				return nil, fmt.Errorf("%s gave up at %q", p.name, q)
			}
			answers[i] = a
		}
		return answers, nil
	}), 1)
}

// roundTrip sends a line through conn to an echo server and wants it back.
func roundTrip(conn net.Conn) error {
	if err := conn.SetDeadline(testkit.Deadline(testkit.Soon)); err != nil {
		return err
	}
	const line = "hello through the tunnel\n"
	if _, err := io.WriteString(conn, line); err != nil {
		return err
	}
	got := make([]byte, len(line))
	if _, err := io.ReadFull(conn, got); err != nil {
		return fmt.Errorf("read echo: %w", err)
	}
	if string(got) != line {
		return fmt.Errorf("echo is %q", got)
	}
	return nil
}

// tryForward dials a local port, waiting for the client to listen on it, and
// reports whether an echo server answers behind it.
func tryForward(p *testkit.Program, port int) error {
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	var conn net.Conn
	if !p.Within(testkit.Soon, func() (open bool) {
		var err error
		conn, err = net.Dial("tcp", addr)
		return err == nil
	}) {
		return fmt.Errorf("nobody listens on %s: %s", addr, p.Stderr.String())
	}
	defer conn.Close()
	return roundTrip(conn)
}

// socks dials host:port through a SOCKS5 proxy (RFC 1928), names resolved by
// the far end, as `curl --socks5-hostname` and browsers do it.
func socks(proxy, host string, port int) (net.Conn, error) {
	conn, err := net.Dial("tcp", proxy)
	if err != nil {
		return nil, err
	}
	fail := func(err error) (net.Conn, error) { return nil, errors.Join(err, conn.Close()) }
	if err := conn.SetDeadline(testkit.Deadline(testkit.Soon)); err != nil {
		return fail(err)
	}
	if _, err := conn.Write([]byte{5, 1, 0}); err != nil {
		return fail(err)
	}
	var method [2]byte
	if _, err := io.ReadFull(conn, method[:]); err != nil {
		return fail(err)
	}
	request := append([]byte{5, 1, 0, 3, byte(len(host))}, host...)
	if _, err := conn.Write(append(request, byte(port>>8), byte(port))); err != nil {
		return fail(err)
	}
	var reply [10]byte // OpenSSH answers with an IPv4 address
	if _, err := io.ReadFull(conn, reply[:]); err != nil {
		return fail(fmt.Errorf("SOCKS reply: %w", err))
	}
	if reply[1] != 0 {
		return fail(fmt.Errorf("SOCKS refused: %d", reply[1]))
	}
	return conn, nil
}
