package demohome

import (
	"crypto/rand"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"entry/bastion/ca"
	"entry/e2e/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const everything = ca.PermitPTY | ca.PermitPortForwarding | ca.PermitAgentForwarding | ca.PermitX11Forwarding

// world is one running server with its CA and a folder for clients.
type world struct {
	t      *testing.T
	server *Server
	addr   *net.TCPAddr
	home   string
	dir    string
	users  *ca.UserCA
}

func start(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, home: t.TempDir(), dir: testkit.ShortDir(t)}
	authority, err := ca.GenerateFile(filepath.Join(w.dir, "user_ca"), "user CA")
	testkit.Check(t, err)
	w.users, err = ca.NewUserCA(authority)
	testkit.Check(t, err)
	t.Setenv("SHELL", "/bin/bash")
	w.server, err = New(Options{HostKey: testkit.NewSigner(t), UserCA: w.users.PublicKey(), Home: w.home, Log: func(line string) { t.Log(line) }})
	testkit.Check(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	testkit.Check(t, err)
	w.addr = l.Addr().(*net.TCPAddr)
	done := make(chan error, 1)
	go func() { done <- w.server.Serve(l) }()
	t.Cleanup(func() {
		testkit.Check(t, w.server.Close())
		testkit.Check(t, <-done)
	})
	return w
}

func (w *world) issue(r ca.UserRequest) ssh.Signer {
	w.t.Helper()
	if r.Now.IsZero() {
		r.Now = time.Now()
	}
	issued, err := w.users.Issue(r)
	testkit.Check(w.t, err)
	return issued[0].Signer
}

// agent serves one signer to the OpenSSH client, whose certificate never
// stands in a file.
func (w *world) agent(signer ssh.Signer) string {
	w.t.Helper()
	path := filepath.Join(testkit.ShortDir(w.t), "a")
	l, err := net.Listen("unix", path)
	testkit.Check(w.t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			// Clients close their connection when they end, which ends this.
			go func() { defer nc.Close(); _ = agent.ServeAgent(oneKey{signer: signer}, nc) }()
		}
	}()
	w.t.Cleanup(func() { l.Close(); <-done })
	return path
}

// oneKey is an agent over one ssh.Signer.
type oneKey struct {
	agent.Agent // the rest of the interface, never called
	signer      ssh.Signer
}

func (a oneKey) List() ([]*agent.Key, error) {
	key := a.signer.PublicKey()
	return []*agent.Key{{Format: key.Type(), Blob: key.Marshal(), Comment: "test certificate"}}, nil
}

func (a oneKey) Sign(_ ssh.PublicKey, data []byte) (*ssh.Signature, error) {
	return a.signer.Sign(rand.Reader, data)
}

// ssh writes an ssh_config for login and returns the common arguments.
func (w *world) config(signer ssh.Signer, login string, extra ...string) string {
	w.t.Helper()
	lines := append([]string{
		"Host home", "HostName 127.0.0.1", "Port " + strconv.Itoa(w.addr.Port), "User " + login,
		"StrictHostKeyChecking no", "UserKnownHostsFile /dev/null", "GlobalKnownHostsFile /dev/null", "LogLevel ERROR",
		"IdentityAgent " + w.agent(signer), "PreferredAuthentications publickey", "BatchMode yes",
	}, extra...)
	path := filepath.Join(testkit.ShortDir(w.t), "config")
	testkit.Check(w.t, os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600))
	return path
}

// result of one client program.
type ran struct {
	out, err string
	code     int
}

// run runs a client to its end.
func run(t *testing.T, stdin, name string, args ...string) ran {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	r := testkit.Run(t, cmd)
	return ran{r.Stdout, r.Stderr, r.Code}
}

func (w *world) ssh(extensions ca.Extensions, stdin string, args ...string) ran {
	w.t.Helper()
	config := w.config(w.issue(ca.UserRequest{Principal: "alice", Extensions: extensions}), "alice")
	return run(w.t, stdin, "ssh", append([]string{"-F", config}, args...)...)
}

// dial logs in with this program's own client.
func (w *world) dial(login string, signer ssh.Signer) (*ssh.Client, error) {
	return ssh.Dial("tcp", w.addr.String(), &ssh.ClientConfig{
		User: login, Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	})
}
