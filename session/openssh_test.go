package session

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/e2e/testkit"
	"entry/e2e/testkit/wire"
	"entry/session/fastconn"
	"entry/session/recording"
)

// bridge is the real thing on both sides: OpenSSH's client, entry's relay,
// OpenSSH's server.
type bridge struct {
	t    testing.TB
	dir  string
	port int
	rec  *fakeRecorder
}

// newBridge accepts OpenSSH clients and relays each to sshd under rule.
func newBridge(t testing.TB, rule string, change func(*Options)) *bridge {
	t.Helper()
	b := &bridge{t: t, dir: t.TempDir(), rec: newRecorder()}
	signer := testkit.NewSigner(t)
	home := testkit.StartSSHD(t, testkit.SSHDOptions{Keys: []string{testkit.Authorized(signer.PublicKey())}})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.port = l.Addr().(*net.TCPAddr).Port
	o := Options{Decide: decider(policyOf(t, rule)), Recorder: b.rec, Event: func(audit.Event) error { return nil }, Ref: func() string { return "ref00000" }}
	if change != nil {
		change(&o)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	serve := func(c net.Conn) error {
		defer c.Close()
		config := &ssh.ServerConfig{NoClientAuth: true, ServerVersion: fastconn.Version}
		config.AddHostKey(wire.HostKey)
		cc, chans, reqs, err := ssh.NewServerConn(coalesced(c), config)
		if err != nil {
			return err
		}
		u, err := net.Dial("tcp", home.Addr())
		if err != nil {
			return err
		}
		uc, uchans, ureqs, err := ssh.NewClientConn(coalesced(u), home.Addr(), &ssh.ClientConfig{User: testkit.Me(t), ClientVersion: fastconn.Version,
			Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: ssh.InsecureIgnoreHostKey()})
		if err != nil {
			return err
		}
		_, err = Relay(ctx, Leg{Conn: cc, Channels: chans, Requests: reqs}, Leg{Conn: uc, Channels: uchans, Requests: ureqs}, o)
		return err
	}
	go func() {
		defer close(done)
		var served []chan struct{}
		for {
			c, err := l.Accept()
			if err != nil {
				break
			}
			end := make(chan struct{})
			served = append(served, end)
			go func() {
				defer close(end)
				if err := serve(c); err != nil && ctx.Err() == nil {
					t.Errorf("relay: %v", err)
				}
			}()
		}
		for _, end := range served {
			<-end
		}
	}()
	t.Cleanup(func() { cancel(); l.Close(); <-done })
	return b
}

// command is OpenSSH's client on its way through the relay.
func (b *bridge) command(program string, args ...string) *exec.Cmd {
	flags := []string{"-F", "none", "-o", "HostName=127.0.0.1", "-o", "UserKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR", "-o", "BatchMode=yes"}
	port := []string{"-p", fmt.Sprint(b.port)}
	if program != "ssh" {
		port[0] = "-P"
	}
	return exec.Command(program, append(append(flags, port...), args...)...)
}

// run runs an OpenSSH client to its end.
func (b *bridge) run(stdin string, program string, args ...string) (stdout, stderr string, status int) {
	b.t.Helper()
	cmd := b.command(program, args...)
	cmd.Stdin = strings.NewReader(stdin)
	r := testkit.Run(b.t, cmd)
	return r.Stdout, r.Stderr, r.Code
}

func TestOpenSSHOnBothSides(t *testing.T) {
	b := newBridge(t, mayAllRecorded, func(o *Options) { o.Notice = "entry: recorded" })
	for _, c := range []struct {
		name, stdin    string
		args           []string
		stdout, stderr string
		status         int
	}{
		{"exit status", "", []string{"x", "echo out; echo err >&2; exit 7"}, "out\n", "err\n", 7},
		{"input", "one\ntwo\n", []string{"x", "cat; echo end"}, "one\ntwo\nend\n", "", 0},
		{"shell by input", "exit 3\n", []string{"-T", "x"}, "", "", 3},
		{"terminal", "", []string{"-tt", "x", "test -t 0 && stty size"}, "entry: recorded\r\n0 0\r\n", "", 0},
		{"killed by a signal", "", []string{"x", "kill -TERM $$"}, "", "", 255},
		{"output closed early", "", []string{"x", "exec >&- 2>&-; sleep 0.3; exit 4"}, "", "", 4},
		{"environment", "", []string{"-o", "SetEnv=LC_TEST=yes", "x", "echo $LC_TEST"}, "yes\n", "", 0},
		{"much output", "", []string{"x", "head -c 3000000 /dev/zero | tr '\\0' x"}, strings.Repeat("x", 3_000_000), "", 0},
		{"no such subsystem", "", []string{"-s", "x", "nothing"}, "", "entry: home.tinker refused", 255},
	} {
		t.Run(c.name, func(t *testing.T) {
			stdout, stderr, status := b.run(c.stdin, "ssh", c.args...)
			if c.name == "no such subsystem" { // OpenSSH has words of its own here
				stderr = c.stderr
			}
			if stdout != c.stdout || stderr != c.stderr || status != c.status {
				t.Errorf("stdout %.200q, stderr %q, status %d", stdout, stderr, status)
			}
		})
	}
}

// `ssh home yes | head -1`: the end of head must reach yes.
func TestOpenSSHEndsWithItsReader(t *testing.T) {
	b := newBridge(t, mayAllRecorded, nil)
	cmd := b.command("ssh", "x", "yes")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	testkit.OwnGroup(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop := context.AfterFunc(testkit.Context(t, testkit.CommandTime), func() { testkit.KillGroup(cmd) })
	defer stop()
	line := make([]byte, 2)
	if _, err := out.Read(line); err != nil || string(line) != "y\n" {
		t.Errorf("%q %v", line, err)
	}
	began := time.Now()
	out.Close()
	_ = cmd.Wait() // its status is of no interest
	if d := time.Since(began); d > testkit.Bound(5*time.Second) {
		t.Errorf("it ended after %v", d)
	}
}

func TestOpenSSHIsToldOfARefusal(t *testing.T) {
	b := newBridge(t, "may: [shell, forward-local]\nforward_local: [\"localhost:8888\"]\nrecord: full", nil)
	if _, stderr, status := b.run("", "ssh", "x", "id"); !strings.Contains(stderr, "entry: "+mayNot("exec")+" (ref ref00000)\n") || status != exitEnded {
		t.Errorf("exec: stderr %q, status %d", stderr, status)
	}
	// Where a shell is, download is; sftp learns of the rest when it asks for it.
	if _, stderr, status := b.run("get /etc/hostname "+b.dir+"/fetched\n", "sftp", "-b", "-", "x"); status != 0 {
		t.Errorf("sftp get: stderr %q, status %d", stderr, status)
	}
	if _, stderr, status := b.run("put /etc/hostname "+b.dir+"/put\n", "sftp", "-b", "-", "x"); !strings.Contains(stderr, "Permission denied") || status == 0 {
		t.Errorf("sftp put: stderr %q, status %d", stderr, status)
	}
	if _, stderr, status := b.run("", "scp", "-O", "/etc/hostname", "x:"+b.dir+"/put"); !strings.Contains(stderr, "entry: "+mayNot("upload")+" (ref ref00000)\n") || status == 0 {
		t.Errorf("scp -O: stderr %q, status %d", stderr, status)
	}
	if _, stderr, status := b.run("", "ssh", "-v", "-W", "localhost:9999", "x"); !strings.Contains(stderr, "entry: you may not reach localhost:9999 through home.tinker; ask your lab's administrator (ref ref00000)") || status == 0 {
		t.Errorf("-W: stderr %q, status %d", stderr, status)
	}
	if _, stderr, status := b.run("", "ssh", "-o", "ExitOnForwardFailure=yes", "-R", "8080:localhost:80", "x", "true"); !strings.Contains(stderr, "forwarding failed") || status != 255 {
		t.Errorf("-R: stderr %q, status %d", stderr, status)
	}
}

func TestOpenSSHCopiesFiles(t *testing.T) {
	b := newBridge(t, mayAllRecorded, nil)
	want := bytes.Repeat([]byte("0123456789abcde\n"), 200_000)
	from := filepath.Join(b.dir, "from")
	if err := os.WriteFile(from, want, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, protocol := range []string{"-O", "-s"} {
		up, down := filepath.Join(b.dir, "up"+protocol), filepath.Join(b.dir, "down"+protocol)
		for _, pair := range [][2]string{{from, "x:" + up}, {"x:" + up, down}} {
			if _, stderr, status := b.run("", "scp", protocol, pair[0], pair[1]); status != 0 {
				t.Fatalf("scp %s %v: %s", protocol, pair, stderr)
			}
		}
		if got, err := os.ReadFile(down); err != nil || !bytes.Equal(got, want) {
			t.Errorf("scp %s: %d bytes came back, %v", protocol, len(got), err)
		}
	}
	if !strings.Contains(b.rec.text(recording.Transfer), `"sha256"`) {
		t.Error("sftp left no digest in the recording")
	}
}
