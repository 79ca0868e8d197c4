package transfer

import (
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"entry/e2e/testkit"
)

// server is an SSH server without subsystems, for clients that bring their own
// SSH. It does with commands what runAsSSH does.
type server struct {
	addr, hostKey string
	mu            sync.Mutex
	runs          []run
}

func newServer(t *testing.T, dir string, may May) *server {
	t.Helper()
	signer := testkit.NewSigner(t)
	config := &ssh.ServerConfig{PasswordCallback: func(ssh.ConnMetadata, []byte) (*ssh.Permissions, error) { return nil, nil }}
	config.AddHostKey(signer)
	l := testkit.Must(net.Listen("tcp", "127.0.0.1:0"))(t)
	s := &server{addr: l.Addr().String(), hostKey: ssh.FingerprintSHA256(signer.PublicKey())}
	var conns sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		conns.Wait()
	})
	conns.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer conn.Close()
				_, channels, requests, err := ssh.NewServerConn(conn, config)
				if err != nil {
					t.Errorf("a client's handshake: %v", err)
					return
				}
				go ssh.DiscardRequests(requests)
				for c := range channels {
					channel, requests, err := c.Accept()
					if err != nil {
						t.Errorf("a client's channel: %v", err)
						return
					}
					s.serve(channel, requests, dir, may)
				}
			})
		}
	})
	return s
}

// serve runs the first command that a channel asks for.
func (s *server) serve(channel ssh.Channel, requests <-chan *ssh.Request, dir string, may May) {
	defer channel.Close()
	for req := range requests {
		if req.Type != "exec" {
			_ = req.Reply(false, nil)
			continue
		}
		_ = req.Reply(true, nil)
		go ssh.DiscardRequests(requests)
		from, read := io.Pipe()
		hungUp := make(chan struct{})
		go func() {
			defer close(hungUp)
			for buf := make([]byte, 32<<10); ; {
				n, err := channel.Read(buf)
				_, _ = read.Write(buf[:n])
				if err != nil {
					_ = read.CloseWithError(err)
					return
				}
			}
		}()
		got := run{Line: string(req.Payload[4:]), Status: 255}
		p, err := Command(got.Line)
		if err != nil {
			got.Refused = err.Error()
			_, _ = fmt.Fprintln(channel.Stderr(), got.Refused)
		} else {
			got.Sent = p.Line(may)
			var stopped error
			if got.Status, got.Entries, stopped = carry(p, may, got.Sent, dir, from, channel, channel.Stderr()); stopped != nil {
				got.Error = stopped.Error()
			}
			if slices.ContainsFunc(got.Entries, func(e Entry) bool { return e.Outcome == Refused }) {
				// pscp forgets why, if the channel's end is in the packets with it: it ends
				// with "unexpected end-of-file". It hangs up by itself on what it reads.
				_ = from.Close() // what it still sends is dropped
				<-hungUp
			}
		}
		s.mu.Lock()
		s.runs = append(s.runs, got)
		s.mu.Unlock()
		_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ N uint32 }{uint32(got.Status)}))
		return
	}
}

// putty runs one of PuTTY's programs against s.
func (s *server) putty(t *testing.T, dir, program string, args ...string) (testkit.Result, []run) {
	t.Helper()
	s.mu.Lock()
	s.runs = nil
	s.mu.Unlock()
	_, port, _ := net.SplitHostPort(s.addr)
	g := &target{report: filepath.Join(dir, "none"), env: []string{"HOME=" + t.TempDir()}}
	result, _ := g.run(t, dir, append([]string{program, "-batch", "-P", port, "-l", "u", "-pw", "x", "-hostkey", s.hostKey}, args...)...)
	s.mu.Lock()
	defer s.mu.Unlock()
	return result, slices.Clone(s.runs)
}

// TestPscp has PuTTY's pscp copy by scp's old protocol, both ways.
func TestPscp(t *testing.T) {
	here, dir := t.TempDir(), t.TempDir()
	want := plant(t, here, 1<<20)
	s := newServer(t, dir, anything)
	result, runs := s.putty(t, here, "pscp", "-scp", "-q", "-r", "-p", "a", "sp ace", "Ümlaut", "sub", "127.0.0.1:")
	if result.Code != 0 || len(runs) != 1 {
		t.Fatal(result, runs)
	}
	alike(t, "at the target", sumsBelow(t, dir), want)
	alike(t, "manifest of the upload", told(t, runs, "put"), want)
	back := t.TempDir()
	result, runs = s.putty(t, back, "pscp", "-scp", "-unsafe", "-q", "-r", "-p", "127.0.0.1:sub", ".")
	if result.Code != 0 || len(runs) != 1 {
		t.Fatal(result, runs)
	}
	for path := range want {
		if !strings.HasPrefix(path, "sub/") {
			delete(want, path)
		}
	}
	alike(t, "at the client", sumsBelow(t, back), want)
	alike(t, "manifest of the download", told(t, runs, "get"), want)

	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"-scp", "-unsafe", "-q", "127.0.0.1:sub/*.csv", "."}, "get download sub/b.csv ok"},
		{[]string{"-scp", "-q", "127.0.0.1:sp\\ ace", "."}, "get download sp ace ok"},
		{[]string{"-scp", "-q", "127.0.0.1:none", "."}, "get download none failed"},
		{[]string{"-scp", "-q", "sub/b.csv", "127.0.0.1:none/there"}, "put upload none/there failed to=none/there/b.csv"},
	} {
		_, runs := s.putty(t, back, "pscp", tt.args...)
		if len(runs) != 1 || runs[0].Error != "" || len(runs[0].Entries) != 1 || !strings.HasPrefix(line(runs[0].Entries[0]), tt.want) {
			t.Errorf("%q: %+v", tt.args, runs)
		}
	}
	once := mayOf("once upload")
	_ = once(Upload)
	result, runs = newServer(t, dir, once).putty(t, here, "pscp", "-scp", "-q", "a", "127.0.0.1:")
	if result.Code == 0 || !strings.Contains(result.Stdout+result.Stderr, "entry: you may not upload here: ask Ines") {
		t.Error(result, runs)
	}
}

// TestPsftpWithoutSubsystem has psftp run the command that it falls back to.
func TestPsftpWithoutSubsystem(t *testing.T) {
	here, dir := t.TempDir(), t.TempDir()
	plant(t, here, 1<<10)
	testkit.WriteFile(t, filepath.Join(here, "batch"), "put a b\nget b c\n")
	s := newServer(t, dir, anything)
	_, runs := s.putty(t, here, "psftp", "-b", "batch", "127.0.0.1")
	// The script finds sftp-server where Debian doesn't have it.
	if len(runs) != 1 || runs[0].Refused != "" || runs[0].Sent != psftpCommand {
		t.Errorf("%+v", runs)
	}
}

// TestSftpServerAsCommand has OpenSSH's sftp name the program to run.
func TestSftpServerAsCommand(t *testing.T) {
	here, g := t.TempDir(), newTarget(t, "upload")
	want := plant(t, here, 1<<20)
	testkit.WriteFile(t, filepath.Join(here, "batch"), "put a\nput sub/deep/largest\n-get a b\n")
	result, runs := g.run(t, here, "sftp", "-b", "batch", "-S", g.ssh(t), "-s", sftpServer(t), "home")
	if result.Code != 0 || len(runs) != 1 || runs[0].Error != "" || runs[0].Sent != sftpServer(t) {
		t.Fatal(result, runs)
	}
	got := map[string]string{}
	refused := false
	for _, e := range runs[0].Entries {
		if e.SHA256 != nil {
			got[e.Path] = fmt.Sprintf("%x", e.SHA256)
		}
		refused = refused || e.Outcome == Refused && e.Direction == Download
	}
	if got["a"] != want["a"] && got[filepath.Join(g.dir, "a")] != want["a"] || !refused {
		t.Errorf("%v %+v", got, runs[0].Entries)
	}
}
