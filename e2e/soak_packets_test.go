package e2e

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/e2e/testkit"
)

// mutator spoils packets, the same ones for the same seed.
type mutator struct {
	*rand.Rand
	sent [][]byte // as they should have been
}

// interesting are lengths and counts at which parsers go wrong.
var interesting = []uint32{0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 1 << 18, 1<<18 + 1, 1<<31 - 1, 1 << 31, 1<<32 - 1}

// edit replaces a payload. Most packets go as they are: a peer that is thrown
// out at the first one doesn't get far.
func (m *mutator) edit(payload []byte) [][]byte {
	m.sent = append(m.sent, payload)
	if m.IntN(4) != 0 {
		return [][]byte{payload}
	}
	p := slices.Clone(payload)
	for range 1 + m.IntN(3) {
		at := m.IntN(len(p))
		switch m.IntN(10) {
		case 0:
			p[at] ^= 1 << m.IntN(8)
		case 1:
			p[0] = byte(m.IntN(256))
		case 2: // cut short
			p = p[:max(1, at)]
		case 3: // something behind it
			p = append(p, make([]byte, m.IntN(64))...)
		case 4, 5: // a length or a number
			if at+4 <= len(p) {
				binary.BigEndian.PutUint32(p[at:], interesting[m.IntN(len(interesting))])
			}
		case 6: // twice
			return [][]byte{p, p}
		case 7: // not at all
			return nil
		case 8: // one from before once more, and out of order
			return [][]byte{m.sent[m.IntN(len(m.sent))], p}
		case 9: // as large as a packet may be, and larger
			p = append(p, make([]byte, []int{32 << 10, 250_000, 300_000}[m.IntN(3)])...)
		}
	}
	return [][]byte{p}
}

// requestOn is a CHANNEL_REQUEST (RFC 4254 §5.4).
func requestOn(channel uint32, name string, payload ...[]byte) []byte {
	return slices.Concat([]byte{msgChannelRequest}, binary.BigEndian.AppendUint32(nil, channel), str(name), []byte{1}, slices.Concat(payload...))
}

func numbers(all ...uint32) (out []byte) {
	for _, n := range all {
		out = binary.BigEndian.AppendUint32(out, n)
	}
	return out
}

// before is what a stranger sends.
func (c *rawSSH) before(user string) error {
	if err := c.handshake(); err != nil {
		return err
	}
	for _, p := range [][]byte{
		append([]byte{msgServiceRequest}, str("ssh-userauth")...),
		request(user, "none"),
		slices.Concat(request(user, "publickey"), []byte{0}, str(ssh.KeyAlgoED25519), str("\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20"+strings.Repeat("k", 32))),
		slices.Concat(request(user, "keyboard-interactive"), str(""), str("")),
		slices.Concat([]byte{msgInfoResponse}, numbers(1), str("a guess")),
		slices.Concat([]byte{msgInfoResponse}, numbers(1), str("000000")),
		slices.Concat(request(user, "password"), []byte{0}, str("a guess")),
		slices.Concat([]byte{msgIgnore}, str("nothing")),
	} {
		if err := c.send(p); err != nil {
			return err
		}
	}
	return nil
}

// after is what somebody sends who is in: a session with everything about it,
// forwards, and the global requests.
func (c *rawSSH) after() error {
	const window = 1 << 20
	open := func(kind string, channel uint32, rest ...[]byte) []byte {
		return slices.Concat([]byte{msgChannelOpen}, str(kind), numbers(channel, window, 1<<15), slices.Concat(rest...))
	}
	listen := append(str("127.0.0.1"), numbers(0)...)
	destination := slices.Concat(str("127.0.0.1"), numbers(1), str("127.0.0.1"), numbers(65535))
	if err := c.send(open("session", 0)); err != nil {
		return err
	}
	// Unless that was spoilt, what follows is for a channel that is open.
	testkit.Check(c.t, c.conn.SetReadDeadline(time.Now().Add(testkit.Bound(time.Second))))
	if _, err := c.await(msgChannelOpened); err != nil && c.edit == nil {
		return err
	}
	testkit.Check(c.t, c.conn.SetReadDeadline(testkit.Deadline(testkit.Soon)))
	for _, p := range [][]byte{
		slices.Concat([]byte{msgGlobalRequest}, str("keepalive@openssh.com"), []byte{1}),
		slices.Concat([]byte{msgGlobalRequest}, str("tcpip-forward"), []byte{1}, listen),
		open("direct-tcpip", 1, destination),
		open("direct-tcpip", 2, str("home"), numbers(22), str("127.0.0.1"), numbers(65535)),
		requestOn(0, "pty-req", str("xterm"), numbers(80, 24, 0, 0), str("\x03\x00\x00\x00\x7f\x00")),
		requestOn(0, "env", str("LC_ALL"), str("C.UTF-8")),
		requestOn(0, "auth-agent-req@openssh.com"),
		requestOn(0, "x11-req", []byte{0}, str("MIT-MAGIC-COOKIE-1"), str(strings.Repeat("5e", 16)), numbers(0)),
		requestOn(0, "exec", str("cat")),
		slices.Concat([]byte{msgChannelData}, numbers(0), str("way-42")),
		requestOn(0, "window-change", numbers(132, 50, 0, 0)),
		requestOn(0, "signal", str("INT")),
		append([]byte{msgWindowAdjust}, numbers(0, window)...),
		requestOn(0, "break", numbers(500)),
		slices.Concat([]byte{msgGlobalRequest}, str("cancel-tcpip-forward"), []byte{1}, listen),
		append([]byte{msgChannelEOF}, numbers(0)...),
		append([]byte{msgChannelClose}, numbers(1)...),
	} {
		if err := c.send(p); err != nil {
			return err
		}
	}
	return nil
}

// TestSoakPackets sends spoilt packets before and after a login, by a client that
// encrypts whatever it sends. Whatever comes, the server goes on, lets go of the
// connection, and serves others as before.
func TestSoakPackets(t *testing.T) {
	alone(t)
	s := initSite(t)
	addr, hostKey := startTarget(t, testkit.ReadFile(t, s.path("keys", "user_ca.pub")), echoExec)
	s.setPolicy([]string{"alice"}, []string{testkit.TargetLine("home", addr, hostKey, "default_login: worker")}, recordAll())
	s.configure(rememberEverywhere)
	s.serve()
	alice := s.enrolled("alice")
	key := s.remembered(alice, filepath.Join(testkit.ShortDir(t), "id"))
	pid := s.proc.Cmd.Process.Pid

	raw := func(i int, edit func([]byte) [][]byte) (*rawSSH, error) {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source(i % 10_000))}}
		tcp, err := d.Dial("tcp", s.addr())
		if err != nil {
			return nil, err
		}
		testkit.Check(t, tcp.SetDeadline(testkit.Deadline(testkit.Soon)))
		return &rawSSH{t: t, conn: tcp, in: bufio.NewReader(tcp), edit: edit}, nil
	}

	t.Run("unspoilt", func(t *testing.T) {
		// Else the spoilt ones would say nothing.
		c, err := raw(0, nil)
		testkit.Check(t, err)
		defer c.conn.Close()
		testkit.Check(t, c.handshake())
		testkit.Check(t, c.login("alice+home", key))
		testkit.Check(t, c.after())
		for {
			p, err := c.await(msgChannelData)
			testkit.Check(t, err)
			if strings.Contains(string(p), "way-42") {
				break
			}
		}
	})
	files := descriptors(t, pid) + 10 // the database opens some as it needs them
	over := time.Now().Add(testkit.Long(4*time.Second, 30*time.Minute))
	var all sync.WaitGroup // strangers beside those who are in
	for name, talk := range map[string]func(*rawSSH, *mutator) error{
		"before login": func(c *rawSSH, m *mutator) error {
			c.edit = m.edit
			return c.before("alice")
		},
		"after login": func(c *rawSSH, m *mutator) error {
			user := "alice+home"
			if m.IntN(3) == 0 {
				user = "alice" // the connection to entry itself
			}
			if err := c.handshake(); err != nil {
				return err
			}
			if err := c.login(user, key); err != nil {
				return fmt.Errorf("login: %w", err)
			}
			c.edit = m.edit
			return c.after()
		},
	} {
		seed := rand.Uint64()
		all.Go(func() {
			var done, ended atomic.Int64
			parallel(t, 1<<30, 8, func(i int) error {
				if time.Now().After(over) {
					return errEnough
				}
				c, err := raw(i, nil)
				if err != nil {
					return err
				}
				defer c.conn.Close()
				m := &mutator{Rand: rand.New(rand.NewPCG(seed, uint64(i)))}
				if err := talk(c, m); err != nil && strings.HasPrefix(err.Error(), "login: ") {
					return err // that part was as it should be
				} else if err != nil {
					ended.Add(1) // the server threw it out meanwhile
				}
				done.Add(1)
				return nil
			})
			t.Logf("%s, seed %d: %d connections, %d of them ended by the server before all was said", name, seed, done.Load(), ended.Load())
			if done.Load() == 0 {
				t.Errorf("%s: nothing was tried", name)
			}
		})
	}
	all.Wait()
	if !s.proc.Running() {
		t.Fatalf("the server ended\n%s", testkit.Tail(s.proc.Stderr.String()))
	}
	if !testkit.Within(testkit.CommandTime, func() bool { return descriptors(t, pid) <= files }) {
		left := descriptors(t, pid)
		s.proc.Signal(syscall.SIGQUIT) // Go prints every goroutine's stack
		s.proc.Wait()
		t.Fatalf("the server has %d files open, want at most %d\n%s", left, files, s.proc.Stderr.String())
	}
	last, err := s.dial(alice, ssh.PublicKeys(key))
	if err != nil {
		t.Fatalf("afterwards nobody gets in: %v", err)
	}
	defer last.Close()
	p, err := s.jump(last, "home", "cat")
	testkit.Check(t, err)
	testkit.Check(t, p.echoes())
	testkit.Check(t, p.inner.Close())
	s.stop()
	s.mustEntry("audit", "verify")
}

// descriptors counts the files and sockets that a process has open.
func descriptors(t testing.TB, pid int) int {
	t.Helper()
	all, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	testkit.Check(t, err)
	return len(all)
}
