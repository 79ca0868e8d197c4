package e2e

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"entry/e2e/testkit"
)

// Small servers that stand for what surrounds entry: services on the lab's
// network, the user's X display, a machine with its own prompts.

// serve hands l's connections to handle until the test ends, closes each when
// handle returns, and waits for all of them.
func serve(t testing.TB, l net.Listener, handle func(net.Conn)) {
	var (
		mu      sync.Mutex // guards conns and closing
		conns   = make(map[net.Conn]bool)
		closing bool
		all     sync.WaitGroup
	)
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns[c] = true
			if closing {
				_ = c.Close() // handle sees the end at once
			}
			mu.Unlock()
			all.Go(func() {
				handle(c)
				mu.Lock()
				defer mu.Unlock()
				delete(conns, c)
				_ = c.Close() // an error only says that the client was first
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close() // the test may have closed it itself
		mu.Lock()
		closing = true
		for c := range conns {
			_ = c.Close()
		}
		mu.Unlock()
		all.Wait()
	})
}

func listenLocal(t testing.TB) (l net.Listener, port int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l, l.Addr().(*net.TCPAddr).Port
}

// echoServer answers every connection with what it sends, and gives its port.
func echoServer(t testing.TB) int {
	t.Helper()
	l, port := listenLocal(t)
	serve(t, l, func(c net.Conn) {
		// A copy that ends early shows up at the client.
		_, _ = io.Copy(c, c)
	})
	return port
}

// webServer answers one HTTP request a connection with body: the lab's web
// workbench.
func webServer(t testing.TB, body string) int {
	t.Helper()
	l, port := listenLocal(t)
	serve(t, l, func(c net.Conn) {
		buf := make([]byte, 4096)
		var got []byte
		for !bytes.Contains(got, []byte("\r\n\r\n")) {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			got = append(got, buf[:n]...)
		}
		// The client notices a short answer by its length.
		_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(body), body)
	})
	return port
}

// xServer is an X display that answers the connection set-up with reply. It
// gives the value for DISPLAY and its cookie in the returned authority file.
func xServer(t testing.TB, reply string) (display, xauthority string) {
	t.Helper()
	for number := 50; number < 100; number++ {
		l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(6000+number))
		if err != nil {
			continue // somebody else's display
		}
		serve(t, l, func(c net.Conn) {
			var head [12]byte
			if _, err := io.ReadFull(c, head[:]); err != nil || head[0] != 'l' {
				return
			}
			name, data := binary.LittleEndian.Uint16(head[6:]), binary.LittleEndian.Uint16(head[8:])
			rest := int64(name+3)&^3 + int64(data+3)&^3
			if _, err := io.CopyN(io.Discard, c, rest); err != nil {
				return
			}
			// The client notices a missing reply.
			_, _ = io.WriteString(c, reply)
		})
		display = fmt.Sprintf("127.0.0.1:%d", number)
		xauthority = filepath.Join(testkit.ShortDir(t), "xauthority")
		testkit.WriteFile(t, xauthority, "")
		cmd := command("xauth", "-f", xauthority, "add", display, "MIT-MAGIC-COOKIE-1", strings.Repeat("5e", 16))
		testkit.MustRun(t, cmd)
		return display, xauthority
	}
	t.Fatal("no free X display number")
	return "", ""
}

// stubbornTarget is an SSH server with its own prompts, as sshd with PAM has
// them: it asks for a password by keyboard-interactive and then forces a new
// one. It knows only `exec`, which answers with the command and exit status 5.
type stubbornTarget struct {
	port     int
	hostKey  string
	password string // what it asks first
	next     string // what it accepts as the new one: asked twice

	mu    sync.Mutex
	users []string // names that completed the dialogue
	tries int      // dialogues begun
}

func startStubbornTarget(t testing.TB) *stubbornTarget {
	t.Helper()
	s := &stubbornTarget{password: "target-old-password", next: "target-new-password"}
	key := testkit.NewSigner(t)
	s.hostKey = testkit.Authorized(key.PublicKey())
	config := &ssh.ServerConfig{KeyboardInteractiveCallback: s.dialogue, MaxAuthTries: 6}
	config.AddHostKey(key)
	s.port = serveSSH(t, config, answerExec)
	return s
}

// serveSSH is an SSH server that knows only sessions, and gives its port.
func serveSSH(t testing.TB, config *ssh.ServerConfig, session func(ssh.Channel, <-chan *ssh.Request)) (port int) {
	t.Helper()
	l, port := listenLocal(t)
	serve(t, l, func(c net.Conn) {
		conn, chans, reqs, err := ssh.NewServerConn(c, config)
		if err != nil {
			return // a refused login; the test sees it at the client
		}
		defer conn.Close()
		go ssh.DiscardRequests(reqs)
		for ch := range chans {
			if ch.ChannelType() != "session" {
				_ = ch.Reject(ssh.UnknownChannelType, "sessions only")
				continue
			}
			channel, requests, err := ch.Accept()
			if err != nil {
				return
			}
			go session(channel, requests)
		}
	})
	return port
}

func (s *stubbornTarget) addr() string { return "127.0.0.1:" + strconv.Itoa(s.port) }

func (s *stubbornTarget) dialogue(conn ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
	s.mu.Lock()
	s.tries++
	s.mu.Unlock()
	one := func(instruction, prompt string) (string, error) {
		a, err := ask("", instruction, []string{prompt}, []bool{false})
		if err != nil {
			return "", err
		}
		return a[0], nil
	}
	// An escape sequence in a prompt is what a hostile target would send.
	got, err := one("", "\x1b]0;owned\x07Target password: ")
	if err != nil {
		return nil, err
	}
	if got != s.password {
		return nil, errors.New("wrong password")
	}
	first, err := one("You are required to change your password.", "New target password: ")
	if err != nil {
		return nil, err
	}
	second, err := one("", "Retype new target password: ")
	if err != nil {
		return nil, err
	}
	if first != s.next || second != s.next {
		return nil, errors.New("new passwords differ")
	}
	// PAM ends with a round without prompts; it has to be passed on too.
	if _, err := ask("", "Password updated.", nil, nil); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.users = append(s.users, conn.User())
	s.mu.Unlock()
	return nil, nil
}

func answerExec(ch ssh.Channel, requests <-chan *ssh.Request) {
	defer ch.Close()
	for r := range requests {
		if r.Type != "exec" {
			if r.WantReply {
				_ = r.Reply(r.Type == "env" || r.Type == "pty-req", nil)
			}
			continue
		}
		var m struct{ Command string }
		if err := ssh.Unmarshal(r.Payload, &m); err != nil {
			return
		}
		_ = r.Reply(true, nil)
		fmt.Fprintf(ch, "stubborn target got: %s\n", m.Command)
		_, _ = ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{5}))
		return
	}
}

// startTarget is a machine in this process: it lets in whom the user CA vouches
// for and hands each of their sessions to session.
func startTarget(t testing.TB, userCA string, session func(ssh.Channel, <-chan *ssh.Request)) (addr, hostKey string) {
	t.Helper()
	ca := testkit.ParseKey(t, userCA)
	check := &ssh.CertChecker{IsUserAuthority: func(key ssh.PublicKey) bool { return bytes.Equal(key.Marshal(), ca.Marshal()) }}
	config := &ssh.ServerConfig{PublicKeyCallback: check.Authenticate}
	key := testkit.NewSigner(t)
	config.AddHostKey(key)
	port := serveSSH(t, config, session)
	return fmt.Sprintf("127.0.0.1:%d", port), testkit.Authorized(key.PublicKey())
}

// echoExec is a session whose programs give back what they are given.
func echoExec(ch ssh.Channel, requests <-chan *ssh.Request) {
	defer ch.Close()
	for r := range requests {
		_ = r.Reply(true, nil) // the client may be gone
		if r.Type == "exec" || r.Type == "shell" {
			go ssh.DiscardRequests(requests)
			_, _ = io.Copy(ch, ch)
			_, _ = ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{0}))
			return
		}
	}
}

// signalled is a session whose programs wait for a signal or a break, name it and
// die of it. sshd run by root takes no signals for root's sessions.
func signalled(ch ssh.Channel, requests <-chan *ssh.Request) {
	defer ch.Close()
	for r := range requests {
		var name string
		switch r.Type {
		case "exec":
			_ = r.Reply(true, nil) // the client may be gone
			_, _ = io.WriteString(ch, "ready\n")
			continue
		case "signal":
			var m struct{ Name string }
			if err := ssh.Unmarshal(r.Payload, &m); err != nil {
				return
			}
			name = m.Name
		case "break":
			name = "break"
			_ = r.Reply(true, nil)
		default:
			_ = r.Reply(false, nil)
			continue
		}
		_, _ = fmt.Fprintf(ch, "got %s\n", name)
		_, _ = ch.SendRequest("exit-signal", false, ssh.Marshal(struct {
			Signal     string
			CoreDumped bool
			Message    string
			Language   string
		}{"TERM", true, "died of " + name, ""}))
		return
	}
}

// ownPath is this test binary, which plays small roles (roles_test.go).
func ownPath(t testing.TB) string {
	t.Helper()
	p, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return p
}
