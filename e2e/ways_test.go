package e2e

import (
	"errors"
	"fmt"
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

// way is one way of getting something out of, or into, the home machine.
type way struct {
	name string
	// capability is what policy calls the right it needs, as refusals name it.
	capability string
	// try uses the way; its error carries what the client was told.
	try func(t *testing.T, w *wayfarer) error
}

// wayfarer is what the ways need around the client.
type wayfarer struct {
	*client
	home  *testkit.SSHD
	echo  int    // port of an echo server on the target
	agent string // SSH_AUTH_SOCK of the user's agent, holding the key at key
	key   string // private key file that home's authorized_keys holds
}

// ways are those in which a second factor has been skipped elsewhere.
var ways = []way{
	{"shell", "shell", tryShell},
	{"exec", "exec", tryExec},
	{"sftp", "upload", trySFTP},
	{"scp", "upload", tryLegacySCP},
	{"rsync", "upload", tryRsync},
	{"local-forward", "forward-local", tryLocal},
	{"remote-forward", "forward-remote", tryRemote},
	{"dynamic-forward", "forward-local", tryDynamic},
	{"agent", "agent", tryAgent},
	{"x11", "x11", tryX11},
	{"multiplexed", "exec", tryMultiplexed},
	{"nested-jump", "forward-local", tryNested},
}

// newWayfarer prepares c for every way. home must let the returned key's
// owner in without entry: start its sshd with the .pub beside it.
func newWayfarer(t testing.TB, c *client, home *testkit.SSHD, key string) *wayfarer {
	t.Helper()
	w := &wayfarer{client: c, home: home, echo: echoServer(t), key: key}
	w.agent = startAgent(t, key)
	c.appendConfig(
		"Host inner",
		"    HostName 127.0.0.1",
		"    Port "+strconv.Itoa(home.Port),
		"    User "+testkit.Me(t),
		"    HostKeyAlias inner",
		"    IdentityFile "+key,
	)
	known := c.path("known_hosts")
	testkit.WriteFile(t, known, testkit.ReadFile(t, known)+"inner "+home.HostKey()+"\n")
	return w
}

// startAgent runs an ssh-agent that holds the key.
func startAgent(t testing.TB, key string) (socket string) {
	t.Helper()
	socket = filepath.Join(testkit.ShortDir(t), "agent")
	testkit.Start(t, "ssh-agent", command("ssh-agent", "-D", "-a", socket))
	testkit.Eventually(t, "ssh-agent listens", func() bool {
		c, err := net.Dial("unix", socket) // the file is there before anybody listens
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	add := command("ssh-add", "-q", key)
	add.Env = append(add.Env, "SSH_AUTH_SOCK="+socket)
	testkit.MustRun(t, add)
	return socket
}

// told makes an error of a client that failed, or that succeeded without the
// effect that it should have had.
func told(r testkit.Result, want string) error {
	if r.Code == 0 && strings.Contains(r.Stdout, want) {
		return nil
	}
	return fmt.Errorf("%s", r)
}

func tryShell(t *testing.T, w *wayfarer) error {
	cmd := w.open("-tt")
	cmd.Stdin = strings.NewReader("echo way-$((40+2))\nexit\n")
	return told(testkit.Run(t, cmd), "way-42")
}

// open is client.home with the login shell.
func (w *wayfarer) open(options ...string) *exec.Cmd { return w.client.home(options) }

func tryExec(t *testing.T, w *wayfarer) error {
	return told(testkit.Run(t, w.exec("echo way-$((40+2))")), "way-42")
}

// transferFiles makes a file to send and names where it goes on the target and
// where it comes back to.
func (w *wayfarer) transferFiles(t *testing.T) (local, remote, back string) {
	local, back = filepath.Join(testkit.ShortDir(t), "local"), filepath.Join(testkit.ShortDir(t), "back")
	remote = filepath.Join(testkit.ShortDir(t), "remote")
	testkit.WriteFile(t, local, "content of "+t.Name())
	return local, remote, back
}

// arrived tells whether the file got there, and back.
func arrived(r testkit.Result, files ...string) error {
	for _, f := range files {
		if _, err := os.Stat(f); err != nil {
			return fmt.Errorf("%w: %s", err, r)
		}
	}
	if r.Code != 0 {
		return fmt.Errorf("%s", r)
	}
	return nil
}

func trySFTP(t *testing.T, w *wayfarer) error {
	local, remote, back := w.transferFiles(t)
	cmd := w.command("sftp", append(append([]string{"-F", w.config, "-b", "-"}, w.jump...), w.target)...)
	cmd.Stdin = strings.NewReader(fmt.Sprintf("put %s %s\nget %s %s\n", local, remote, remote, back))
	// -b turns prompts off ("BatchMode yes"); the person is there to answer.
	cmd.Args = append(cmd.Args[:1], append([]string{"-o", "BatchMode=no"}, cmd.Args[1:]...)...)
	return arrived(testkit.Run(t, cmd), remote, back)
}

func tryLegacySCP(t *testing.T, w *wayfarer) error {
	local, remote, _ := w.transferFiles(t)
	args := append(append([]string{"-O", "-F", w.config}, w.jump...), local, w.target+":"+remote)
	return arrived(testkit.Run(t, w.command("scp", args...)), remote)
}

func tryRsync(t *testing.T, w *wayfarer) error {
	local, remote, _ := w.transferFiles(t)
	return arrived(testkit.Run(t, w.command("rsync", "-e", w.rsh(), local, w.target+":"+remote)), remote)
}

// rsh is the remote shell for rsync, git and sshfs as one string.
func (c *client) rsh() string {
	return strings.Join(append([]string{"ssh", "-F", c.config}, c.jump...), " ")
}

func tryLocal(t *testing.T, w *wayfarer) error {
	port := testkit.FreePort(t)
	p := testkit.Start(t, "ssh -L", w.open("-N", "-L", fmt.Sprintf("127.0.0.1:%d:127.0.0.1:%d", port, w.echo)))
	defer p.End()
	return withStderr(p, tryForward(p, port))
}

func tryDynamic(t *testing.T, w *wayfarer) error {
	port := testkit.FreePort(t)
	p := testkit.Start(t, "ssh -D", w.open("-N", "-D", fmt.Sprintf("127.0.0.1:%d", port)))
	defer p.End()
	if !p.Within(testkit.CommandTime, func() bool { return testkit.Listening(port) }) {
		return withStderr(p, errors.New("ssh doesn't listen"))
	}
	conn, err := socks(fmt.Sprintf("127.0.0.1:%d", port), "127.0.0.1", w.echo)
	if err != nil {
		return withStderr(p, fmt.Errorf("socks: %w", err))
	}
	defer conn.Close()
	return withStderr(p, roundTrip(conn))
}

// withStderr adds what the client said to err. A refused forward is reported
// by the client a moment after the connection closes.
func withStderr(p *testkit.Program, err error) error {
	if err == nil {
		return nil
	}
	p.Within(testkit.Soon/10, func() bool { return p.Stderr.String() != "" })
	return fmt.Errorf("%w: %s", err, p.Stderr.String())
}

var allocated = regexp.MustCompile(`Allocated port (\d+) for remote forward`)

func tryRemote(t *testing.T, w *wayfarer) error {
	// Port 0: the target chooses, so that nothing can be in the way.
	p := testkit.Start(t, "ssh -R", w.open("-N", "-o", "ExitOnForwardFailure=yes", "-R", fmt.Sprintf("127.0.0.1:0:127.0.0.1:%d", w.echo)))
	defer p.End()
	var m []string
	p.Within(testkit.CommandTime, func() bool {
		m = allocated.FindStringSubmatch(p.Stderr.String())
		return m != nil
	})
	if m == nil {
		return fmt.Errorf("no remote forward: %s", p.Stderr.String())
	}
	conn, err := net.Dial("tcp", "127.0.0.1:"+m[1])
	if err != nil {
		return err
	}
	defer conn.Close()
	return withStderr(p, roundTrip(conn))
}

func tryAgent(t *testing.T, w *wayfarer) error {
	cmd := w.client.home([]string{"-A"}, "ssh-add -l")
	cmd.Env = append(cmd.Env, "SSH_AUTH_SOCK="+w.agent)
	return told(testkit.Run(t, cmd), "SHA256:")
}

func tryX11(t *testing.T, w *wayfarer) error {
	display, xauthority := xServer(t, "x-server-says-hello")
	cmd := w.client.home([]string{"-Y"}, roleVar+"="+roleX11+" "+ownPath(t))
	cmd.Env = append(cmd.Env, "DISPLAY="+display, "XAUTHORITY="+xauthority)
	return told(testkit.Run(t, cmd), "x-server-says-hello")
}

func tryMultiplexed(t *testing.T, w *wayfarer) error {
	socket := filepath.Join(testkit.ShortDir(t), "inner")
	p := testkit.Start(t, "ssh inner master", w.open("-M", "-N", "-S", socket))
	defer p.End()
	if !p.Within(testkit.CommandTime, func() bool { return fileExists(socket) }) || !p.Running() {
		return fmt.Errorf("no master: %s", p.Stderr.String())
	}
	// OpenSSH closes its end as soon as both directions have ended: an exit
	// status that comes after EOF would be lost, now and then.
	for range 20 {
		r := testkit.Run(t, w.ssh("-S", socket, w.target, "echo way-$((40+2))"))
		if err := told(r, "way-42"); err != nil {
			return withStderr(p, err)
		}
	}
	return nil
}

// tryNested goes through home to a second machine: SSH inside a forward, which
// is how a recording would be evaded.
func tryNested(t *testing.T, w *wayfarer) error {
	jump := append([]string{}, w.jump...)
	jump[1] += "," + w.target
	return told(testkit.Run(t, w.ssh(append(jump, "inner", "echo way-$((40+2))")...)), "way-42")
}

// plainPair is the control: the same client with stock sshd as the jump host
// and no second factor.
func plainPair(t testing.TB) (c *client, jump, home *testkit.SSHD, key string) {
	t.Helper()
	dir := testkit.ShortDir(t)
	key = filepath.Join(dir, "id")
	public := testkit.Authorized(testkit.NewKeyFile(t, key).PublicKey())
	jump = testkit.StartSSHD(t, testkit.SSHDOptions{Keys: []string{public}})
	home = testkit.StartSSHD(t, testkit.SSHDOptions{Keys: []string{public}})
	testkit.WriteFile(t, filepath.Join(dir, "known_hosts"), "entry "+jump.HostKey()+"\nhome "+home.HostKey()+"\n")
	c = newClient(t, dir, []string{
		"HostName 127.0.0.1", "Port " + strconv.Itoa(jump.Port), "HostKeyAlias entry", "IdentityFile " + key,
		"Host home",
		"HostName 127.0.0.1", "Port " + strconv.Itoa(home.Port), "HostKeyAlias home", "IdentityFile " + key,
	}, nil)
	return c, jump, home, key
}

// TestWaysThroughPlainSSHD is the control experiment: where nothing is
// refused, every way works. Only with it do the refusals below say anything
// about entry.
func TestWaysThroughPlainSSHD(t *testing.T) {
	beside(t)
	c, _, home, key := plainPair(t)
	w := newWayfarer(t, c, home, key)
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			if err := way.try(t, w); err != nil {
				t.Error(err)
			}
		})
	}
}
