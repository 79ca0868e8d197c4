package demohome

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/creack/pty"
	"golang.org/x/crypto/ssh"

	"entry/bastion/ca"
	"entry/e2e/testkit"
)

func authorityKey(t *testing.T, path string) ssh.Signer {
	t.Helper()
	data, err := os.ReadFile(path)
	testkit.Check(t, err)
	signer, err := ssh.ParsePrivateKey(data)
	testkit.Check(t, err)
	return signer
}

func TestExec(t *testing.T) {
	w := start(t)
	for _, tc := range []struct {
		name, stdin, command string
		want                 ran
	}{
		{"status", "", "exit 7", ran{"", "", 7}},
		{"streams apart", "", "echo out; echo err >&2", ran{"out\n", "err\n", 0}},
		{"half-close", "through cat\n", "cat", ran{"through cat\n", "", 0}},
		{"home", "", "pwd; echo $HOME", ran{w.home + "\n" + w.home + "\n", "", 0}},
		{"login name", "", "echo $USER $LOGNAME", ran{"alice alice\n", "", 0}},
		{"no history", "", "echo \"[$HISTFILE]\"", ran{"[]\n", "", 0}},
		{"killed by a signal", "", "kill -TERM $$", ran{"", "", 255}},
		{"environment by list", "", "echo \"[$LC_ENTRY][$EVIL]\"", ran{"[yes][]\n", "", 0}},
		{"reads nothing of much", strings.Repeat("x", 8<<20), "true", ran{"", "", 0}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Setenv("LC_ENTRY", "yes")
			t.Setenv("EVIL", "yes")
			got := w.ssh(0, tc.stdin, "-o", "SendEnv=LC_ENTRY EVIL", "home", tc.command)
			if got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}

// A reader that stops early must end the writer: OpenSSH sends eow only to a
// peer whose version says OpenSSH, and the home must act on it.
func TestEndOfWrite(t *testing.T) {
	w := start(t)
	config := w.config(w.issue(ca.UserRequest{Principal: "alice"}), "alice")
	got := run(t, "", "bash", "-c", "ssh -F "+config+" home yes | head -1")
	if got.out != "y\n" {
		t.Errorf("got %+v", got)
	}
}

func TestBulk(t *testing.T) {
	w := start(t)
	data := make([]byte, 16<<20)
	_, err := rand.Read(data)
	testkit.Check(t, err)
	got := w.ssh(0, string(data), "home", "cat")
	if got.out != string(data) || got.code != 0 {
		t.Errorf("status %d, %d bytes of %d came back alike: %v", got.code, len(got.out), len(data), got.out == string(data))
	}
}

// screen is an OpenSSH client on a terminal of ours.
type screen struct {
	t    *testing.T
	pty  *os.File
	cmd  *exec.Cmd
	seen bytes.Buffer
}

func (w *world) terminal(args ...string) *screen {
	w.t.Helper()
	config := w.config(w.issue(ca.UserRequest{Principal: "alice", Extensions: everything}), "alice")
	s := &screen{t: w.t, cmd: exec.Command("ssh", append([]string{"-F", config}, args...)...)}
	s.cmd.Env = append(os.Environ(), "TERM=xterm-256color")
	master, err := pty.StartWithSize(s.cmd, &pty.Winsize{Rows: 33, Cols: 101})
	testkit.Check(w.t, err)
	s.pty, err = pollable(master)
	testkit.Check(w.t, err)
	w.t.Cleanup(func() { s.pty.Close() })
	return s
}

// expect reads until text stands in what came since the last match.
func (s *screen) expect(text string) {
	s.t.Helper()
	testkit.Check(s.t, s.pty.SetReadDeadline(testkit.Deadline(testkit.Soon)))
	buf := make([]byte, 4096)
	for {
		if i := strings.Index(s.seen.String(), text); i >= 0 {
			s.seen.Next(i + len(text))
			return
		}
		n, err := s.pty.Read(buf)
		s.seen.Write(buf[:n])
		if err != nil && !strings.Contains(s.seen.String(), text) {
			s.t.Fatalf("%q never came; seen %q: %v", text, s.seen.String(), err)
		}
	}
}

func (s *screen) say(text string) {
	s.t.Helper()
	_, err := io.WriteString(s.pty, text)
	testkit.Check(s.t, err)
}

func (s *screen) code() int {
	s.t.Helper()
	testkit.Check(s.t, s.pty.SetReadDeadline(testkit.Deadline(testkit.Soon)))
	if _, err := io.Copy(&s.seen, s.pty); errors.Is(err, os.ErrDeadlineExceeded) { // else the EIO of a closed terminal
		_ = s.cmd.Process.Kill()
		s.t.Errorf("it doesn't end; seen %q", s.seen.String())
	}
	_ = s.cmd.Wait() // the status is what counts
	return s.cmd.ProcessState.ExitCode()
}

func TestShellOnTerminal(t *testing.T) {
	w := start(t)
	s := w.terminal("home")
	s.expect("This is the demo's home machine: an ordinary shell of your own account.\r\n")
	s.expect("alice@home:~")
	s.say("stty size; echo $TERM; tty >/dev/null && echo on a tty\r")
	s.expect("33 101\r\nxterm-256color\r\non a tty\r\n")
	if !(&terminal{master: s.pty}).resize(132, 50) {
		t.Fatal("resize")
	}
	s.say("until [ \"$(stty size)\" = '50 132' ]; do :; done; echo re''sized\r")
	s.expect("resized\r\n")
	s.say("cat\r")
	s.say("\x03") // the line discipline makes SIGINT of it
	s.expect("^C")
	s.expect("alice@home:~") // what is typed before may be dropped with the line
	s.say("exit 7\r")
	s.expect("exit")
	if code := s.code(); code != 7 {
		t.Errorf("status %d", code)
	}
}

func TestTerminalNeedsPermission(t *testing.T) {
	w := start(t)
	got := w.ssh(0, "", "-tt", "home", "tty")
	if !strings.Contains(got.err, "PTY allocation request failed") || got.out != "" {
		t.Errorf("got %+v", got)
	}
}

func TestX11IsRefused(t *testing.T) {
	w := start(t)
	client, err := w.dial("alice", w.issue(ca.UserRequest{Principal: "alice", Extensions: everything}))
	testkit.Check(t, err)
	defer client.Close()
	session, err := client.NewSession()
	testkit.Check(t, err)
	ok, err := session.SendRequest("x11-req", true, ssh.Marshal(struct {
		Single        bool
		Proto, Cookie string
		Screen        uint32
	}{false, "MIT-MAGIC-COOKIE-1", "00", 0}))
	testkit.Check(t, err)
	if ok {
		t.Error("x11-req succeeded")
	}
}

func TestFileTransfer(t *testing.T) {
	w := start(t)
	config := w.config(w.issue(ca.UserRequest{Principal: "alice"}), "alice")
	data := make([]byte, 3<<20)
	_, err := rand.Read(data)
	testkit.Check(t, err)
	local := filepath.Join(w.dir, "local")
	testkit.Check(t, os.WriteFile(local, data, 0o600))
	for _, tc := range []struct {
		name, stdin string
		up, down    []string
	}{
		{"scp by sftp", "", []string{"scp", "-s", "-F", config, local, "home:up"}, []string{"scp", "-s", "-F", config, "home:up", local + ".back"}},
		{"scp by scp", "", []string{"scp", "-O", "-F", config, local, "home:up"}, []string{"scp", "-O", "-F", config, "home:up", local + ".back"}},
		{"rsync", "", []string{"rsync", "-e", "ssh -F " + config, local, "home:up"}, []string{"rsync", "-e", "ssh -F " + config, "home:up", local + ".back"}},
		{"sftp", "put " + local + " up\nget up " + local + ".back\n", []string{"sftp", "-F", config, "-b", "-", "home"}, []string{"true"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Cleanup(func() { os.Remove(filepath.Join(w.home, "up")); os.Remove(local + ".back") })
			for _, command := range [][]string{tc.up, tc.down} {
				if got := run(t, tc.stdin, command[0], command[1:]...); got.code != 0 {
					t.Fatalf("%q: %+v", command, got)
				}
			}
			for _, path := range []string{filepath.Join(w.home, "up"), local + ".back"} {
				back, err := os.ReadFile(path)
				testkit.Check(t, err)
				if !bytes.Equal(back, data) {
					t.Errorf("%s differs", path)
				}
			}
		})
	}
}

// echoServer answers one line with itself, and passes end of file on.
func echoServer(t *testing.T, network, address string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, address)
	testkit.Check(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.Copy(nc, nc)
			nc.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l
}

func echoes(t *testing.T, network, address string) {
	t.Helper()
	var nc net.Conn
	testkit.Eventually(t, address+" listens", func() (ok bool) {
		var err error
		nc, err = net.Dial(network, address)
		return err == nil
	})
	defer nc.Close()
	testkit.Check(t, nc.SetDeadline(testkit.Deadline(testkit.Soon)))
	_, err := io.WriteString(nc, "there and back")
	testkit.Check(t, err)
	testkit.Check(t, nc.(interface{ CloseWrite() error }).CloseWrite())
	back, err := io.ReadAll(nc)
	testkit.Check(t, err)
	if string(back) != "there and back" {
		t.Errorf("%s answered %q", address, back)
	}
}

// forwarding runs ssh -N with args until the test ends.
func (w *world) forwarding(extensions ca.Extensions, args ...string) {
	w.t.Helper()
	config := w.config(w.issue(ca.UserRequest{Principal: "alice", Extensions: extensions}), "alice", "ExitOnForwardFailure yes")
	testkit.Start(w.t, "ssh -N", exec.Command("ssh", append([]string{"-F", config, "-N"}, append(args, "home")...)...))
}

func TestForwards(t *testing.T) {
	w := start(t)
	tcp := echoServer(t, "tcp", "127.0.0.1:0").Addr().String()
	unix := filepath.Join(w.dir, "echo")
	echoServer(t, "unix", unix)
	local, remote := "127.0.0.1:"+strconv.Itoa(testkit.FreePort(t)), "127.0.0.1:"+strconv.Itoa(testkit.FreePort(t))
	localSock, remoteSock := filepath.Join(w.dir, "l"), filepath.Join(w.dir, "r")
	w.forwarding(ca.PermitPortForwarding,
		"-L", local+":"+tcp, "-R", remote+":"+tcp, "-L", localSock+":"+unix, "-R", remoteSock+":"+unix)
	for _, a := range []string{local, remote} {
		t.Run(a, func(t *testing.T) { echoes(t, "tcp", a) })
	}
	for _, a := range []string{localSock, remoteSock} {
		t.Run(filepath.Base(a)+" socket", func(t *testing.T) { echoes(t, "unix", a) })
	}
	info, err := os.Stat(remoteSock)
	testkit.Check(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("forwarded socket has mode %v", info.Mode())
	}
}

func TestRemoteForwardOfPortZeroAndCancel(t *testing.T) {
	w := start(t)
	client, err := w.dial("alice", w.issue(ca.UserRequest{Principal: "alice", Extensions: ca.PermitPortForwarding}))
	testkit.Check(t, err)
	defer client.Close()
	l, err := client.Listen("tcp", "127.0.0.1:0")
	testkit.Check(t, err)
	address := l.Addr().String()
	done := make(chan struct{})
	go func() {
		defer close(done)
		nc, err := l.Accept()
		if err == nil {
			_, _ = io.Copy(nc, nc)
			nc.Close()
		}
	}()
	echoes(t, "tcp", address)
	<-done
	testkit.Check(t, l.Close())
	if nc, err := net.Dial("tcp", address); err == nil {
		nc.Close()
		t.Error("the port still listens after cancel-tcpip-forward")
	}
}

func TestForwardsNeedPermission(t *testing.T) {
	w := start(t)
	client, err := w.dial("alice", w.issue(ca.UserRequest{Principal: "alice", Extensions: ca.PermitPTY}))
	testkit.Check(t, err)
	defer client.Close()
	if _, err := client.Dial("tcp", "127.0.0.1:1"); err == nil || !strings.Contains(err.Error(), "permit-port-forwarding") {
		t.Errorf("direct-tcpip: %v", err)
	}
	if _, err := client.Dial("unix", filepath.Join(w.dir, "x")); err == nil || !strings.Contains(err.Error(), "permit-port-forwarding") {
		t.Errorf("direct-streamlocal: %v", err)
	}
	if _, err := client.Listen("tcp", "127.0.0.1:0"); err == nil {
		t.Error("tcpip-forward succeeded")
	}
	if _, err := client.ListenUnix(filepath.Join(w.dir, "y")); err == nil {
		t.Error("streamlocal-forward succeeded")
	}
	if _, _, err := client.OpenChannel("tun@openssh.com", nil); err == nil || !strings.Contains(err.Error(), "unknown channel type") {
		t.Errorf("tun: %v", err)
	}
}

func TestAgentForwarding(t *testing.T) {
	w := start(t)
	for _, permitted := range []bool{true, false} {
		t.Run(fmt.Sprint(permitted), func(t *testing.T) {
			var extensions ca.Extensions
			if permitted {
				extensions = ca.PermitAgentForwarding
			}
			signer := w.issue(ca.UserRequest{Principal: "alice", Extensions: extensions})
			config := w.config(signer, "alice", "ForwardAgent "+w.agent(signer))
			got := run(t, "", "ssh", "-F", config, "home", "ssh-add -l")
			if strings.Contains(got.out, ca.Fingerprint(signer.PublicKey())) != permitted {
				t.Errorf("got %+v", got)
			}
		})
	}
}
