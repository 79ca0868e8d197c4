package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/e2e/testkit"
)

// jumped is a jump channel as a connection. It has no deadlines.
type jumped struct{ ssh.Channel }

func (jumped) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (jumped) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (jumped) SetDeadline(time.Time) error      { return nil }
func (jumped) SetReadDeadline(time.Time) error  { return nil }
func (jumped) SetWriteDeadline(time.Time) error { return nil }

// program is what runs on a target at the other end of a jump.
type program struct {
	ssh.Channel
	inner ssh.Conn
}

// jump opens a session on target through c, as `ssh -J` does, and runs command.
func (s *site) jump(c *ssh.Client, target, command string) (*program, error) {
	conn, err := through(c, target, 22, s.clientConfig("worker"))
	if err != nil {
		return nil, err
	}
	session, requests, err := conn.OpenChannel("session", nil)
	if err != nil {
		return nil, err
	}
	go ssh.DiscardRequests(requests)
	if ok, err := session.SendRequest("exec", true, ssh.Marshal(struct{ Command string }{command})); err != nil || !ok {
		return nil, fmt.Errorf("exec: %t, %w", ok, err)
	}
	return &program{session, conn}, nil
}

// through logs in on the machine at host and port through c, as `ssh -J` does.
func through(c *ssh.Client, host string, port int, config *ssh.ClientConfig) (ssh.Conn, error) {
	ch, reqs, err := c.OpenChannel("direct-tcpip", ssh.Marshal(struct {
		Host       string
		Port       uint32
		Originator string
		From       uint32
	}{host, uint32(port), "127.0.0.1", 65535}))
	if err != nil {
		return nil, err
	}
	go ssh.DiscardRequests(reqs)
	conn, chans, global, err := ssh.NewClientConn(jumped{ch}, fmt.Sprintf("%s:%d", host, port), config)
	if err != nil {
		return nil, err
	}
	go ssh.DiscardRequests(global)
	go func() {
		for nc := range chans {
			_ = nc.Reject(ssh.Prohibited, "nothing here")
		}
	}()
	return conn, nil
}

// echoes sends a byte to a program and wants it back.
func (p *program) echoes() error {
	b := []byte{'x'}
	if _, err := p.Write(b); err != nil {
		return err
	}
	_, err := io.ReadFull(p, b)
	return err
}

// remembered writes a key to path and has p log in with it and a code, so that
// the key alone opens more connections.
func (s *site) remembered(p *person, path string) ssh.Signer {
	s.t.Helper()
	key := testkit.NewKeyFile(s.t, path)
	s.mustEntry("user", "key", "add", p.name, path+".pub")
	c, err := s.dial(p, ssh.PublicKeys(key), p.keyboard())
	if err != nil {
		s.t.Fatalf("key and code: %v (asked %q)", err, p.asked())
	}
	testkit.Check(s.t, c.Close())
	s.awaitEvent("key.remembered", func(e event) bool { return e.User == p.name })
	return key
}

// rememberEverywhere makes the loopback network one place for remembered keys.
func rememberEverywhere(c map[string]any) {
	section(c, "login")["remembered_keys"] = map[string]any{"ipv4": 8}
	section(c, "limits")["per_source"], section(c, "limits")["connections"], section(c, "limits")["channels"] = 1000, 100_000, 1_000_000
}

// TestSoakIdleSessions: many recorded sessions through one server, from many
// addresses, each of which answers, then rests, then answers again. It prints
// what one of them costs the server in memory.
func TestSoakIdleSessions(t *testing.T) {
	alone(t)
	sessions := testkit.Long(200, 10_000)
	const each = 50 // sessions a client connection; entry takes 64
	// The server needs two descriptors a session, for the target and the
	// recording; this process one, for its end of the target. It keeps 1,024 for what
	// isn't sessions, and has some hundred open.
	var files syscall.Rlimit
	testkit.Check(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files))
	if most := (int(files.Max) - 1600) / 2; sessions > most {
		t.Logf("%d open files allow %d sessions, not %d", files.Max, most, sessions)
		sessions = most
	}
	s := initSite(t)
	addr, hostKey := startTarget(t, testkit.ReadFile(t, s.path("keys", "user_ca.pub")), echoExec)
	s.setPolicy([]string{"alice"}, []string{testkit.TargetLine("home", addr, hostKey, "default_login: worker")}, recordAll())
	s.configure(rememberEverywhere)
	s.serve()
	key := s.remembered(s.enrolled("alice"), filepath.Join(testkit.ShortDir(t), "id"))
	before := memory(t, s.proc.Cmd.Process.Pid)

	var (
		mu   sync.Mutex
		live []*program
	)
	parallel(t, (sessions+each-1)/each, 8, func(i int) error {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source(i))}}
		tcp, err := d.Dial("tcp", s.addr())
		if err != nil {
			return err
		}
		c, err := s.handshake(tcp, "alice", ssh.PublicKeys(key))
		if err != nil {
			return err
		}
		t.Cleanup(func() { c.Close() })
		for range min(each, sessions-i*each) {
			p, err := s.jump(c, "home", "cat")
			if err == nil {
				err = p.echoes()
			}
			if err != nil {
				return err
			}
			mu.Lock()
			live = append(live, p)
			mu.Unlock()
		}
		return nil
	})
	if t.Failed() || len(live) != sessions {
		t.Fatalf("%d sessions of %d", len(live), sessions)
	}
	// Nothing happens for some ticks and keep-alives.
	<-time.After(testkit.Long(3*time.Second, 5*time.Minute))
	held := memory(t, s.proc.Cmd.Process.Pid)
	parallel(t, sessions, 8, func(i int) error { return live[i].echoes() })
	t.Logf("%d sessions: %.0f kB each (%d MB without them, %d MB with)", sessions, float64(held-before)/float64(sessions)/1e3, before/1e6, held/1e6)
	parallel(t, sessions, 8, func(i int) error { return live[i].inner.Close() })
	testkit.EventuallyWithin(t, 2*time.Minute, "every session has ended", func() bool { return len(s.events("session.ended")) == sessions })
	s.stop()
	s.mustEntry("audit", "verify")
}

// memory is what a process has in RAM, in bytes.
func memory(t testing.TB, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	testkit.Check(t, err)
	m := regexp.MustCompile(`(?m)^VmRSS:\s*(\d+) kB`).FindSubmatch(text)
	return 1024 * testkit.Must(strconv.Atoi(string(m[1])))(t)
}

// errEnough ends parallel without failing the test.
var errEnough = errors.New("enough")

// parallel runs f for 0 to n-1, as many at a time as workers. The first error
// ends it and fails the test.
func parallel(t testing.TB, n, workers int, f func(int) error) {
	t.Helper()
	var (
		all  sync.WaitGroup
		mu   sync.Mutex
		next int
	)
	for range workers {
		all.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				mu.Unlock()
				if i >= n {
					return
				}
				if err := f(i); err != nil {
					mu.Lock()
					next = n
					mu.Unlock()
					if !errors.Is(err, errEnough) {
						t.Errorf("number %d: %v", i, err)
					}
				}
			}
		})
	}
	all.Wait()
}
