package e2e

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/e2e/testkit"
)

// batched is a connection whose writes go out together while one is under way, so
// that a client can send small packets as fast as it encrypts them.
type batched struct {
	net.Conn
	mu      sync.Mutex
	changed sync.Cond
	waiting bytes.Buffer
	err     error
}

func newBatched(c net.Conn) *batched {
	b := &batched{Conn: c}
	b.changed.L = &b.mu
	go func() {
		for b.flush() {
		}
	}()
	return b
}

func (b *batched) flush() bool {
	b.mu.Lock()
	for b.waiting.Len() == 0 && b.err == nil {
		b.changed.Wait()
	}
	p := bytes.Clone(b.waiting.Bytes())
	b.waiting.Reset()
	b.mu.Unlock()
	_, err := b.Conn.Write(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = errors.Join(b.err, err)
	b.changed.Broadcast()
	return b.err == nil
}

func (b *batched) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.waiting.Len() > 1<<20 && b.err == nil {
		b.changed.Wait()
	}
	if b.err != nil {
		return 0, b.err
	}
	b.waiting.Write(p)
	b.changed.Broadcast()
	return len(p), nil
}

func (b *batched) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = net.ErrClosed
	b.changed.Broadcast()
	return b.Conn.Close()
}

// dribbles sends what a window of x/crypto's has room for, then bytes, each in a packet
// of its own, until that fails.
func dribbles(w io.Writer) {
	if _, err := w.Write(make([]byte, 2<<20)); err != nil {
		return
	}
	for {
		if _, err := w.Write([]byte{'x'}); err != nil {
			return
		}
	}
}

// takesNothing is a session whose programs read nothing; "dribble" sends bytes, each
// in a packet of its own. Others echo.
func takesNothing(ch ssh.Channel, requests <-chan *ssh.Request) {
	for r := range requests {
		_ = r.Reply(true, nil) // the client may be gone
		var m struct{ Command string }
		if r.Type != "exec" || ssh.Unmarshal(r.Payload, &m) != nil {
			continue
		}
		switch m.Command {
		case "dribble":
			go dribbles(ch)
		case "cat":
			go func() { _, _ = io.Copy(ch, ch) }()
		}
	}
	_ = ch.Close() // the connection may be gone
}

// TestPacketsOfAByte fills the windows of channels that nobody reads with packets of
// a byte. x/crypto keeps fifty bytes for each, so that 2 MiB were 100 MB, and eight of
// them all that a small machine has. What counts is what came from the socket:
// beyond the bound the channels end, or, where none is to be ended, the connection.
func TestPacketsOfAByte(t *testing.T) {
	alone(t)
	s := initSite(t)
	addr, hostKey := startTarget(t, testkit.ReadFile(t, s.path("keys", "user_ca.pub")), takesNothing)
	s.setPolicy([]string{"alice", "bob", "carol", "dave", "erin"}, []string{testkit.TargetLine("home", addr, hostKey, "default_login: worker")}, recordAll())
	s.configure(rememberEverywhere)
	s.serve()
	login := func(name, toward string) *ssh.Client {
		t.Helper()
		key := s.remembered(s.enrolled(name), filepath.Join(testkit.ShortDir(t), name))
		c, err := s.handshake(newBatched(testkit.Must(net.Dial("tcp", s.addr()))(t)), name+toward, ssh.PublicKeys(key))
		testkit.Check(t, err)
		t.Cleanup(func() { c.Close() })
		return c
	}
	other := testkit.Must(s.jump(login("bob", ""), "home", "cat"))(t)
	open := func(c ssh.Conn, command string) ssh.Channel {
		ch, requests, err := c.OpenChannel("session", nil)
		testkit.Check(t, err)
		go ssh.DiscardRequests(requests)
		if command != "" {
			_, err = ch.SendRequest("exec", true, ssh.Marshal(struct{ Command string }{command}))
			testkit.Check(t, err)
		}
		return ch
	}
	for _, c := range []struct {
		name, user, toward, event string
		begin                     func(c ssh.Conn)
	}{
		{"to a target", "alice", "+home", "channel.closed", func(c ssh.Conn) { go dribbles(open(c, "nothing")) }},
		{"from a target", "dave", "+home", "channel.closed", func(c ssh.Conn) { open(c, "dribble") }},
		{"to the portal", "erin", "", "access.refused", func(c ssh.Conn) {
			ch := open(c, "")
			go func() {
				for {
					if _, err := ch.Write([]byte{'x'}); err != nil {
						return
					}
				}
			}()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			refused := func() (n int) {
				for _, e := range s.events(c.event) {
					if e.User == c.user && e.Reason == "backlog" {
						n++
					}
				}
				return n
			}
			hostile := login(c.user, c.toward)
			before, most := memory(t, s.proc.Cmd.Process.Pid), 0
			for range 8 {
				c.begin(hostile)
			}
			worst := time.Duration(0)
			testkit.EventuallyWithin(t, time.Minute, "what nobody takes ends", func() bool {
				began := time.Now()
				testkit.Check(t, other.echoes())
				worst = max(worst, time.Since(began))
				most = max(most, memory(t, s.proc.Cmd.Process.Pid))
				return refused() > 0
			})
			t.Logf("memory %d MB, at most %d MB; somebody else's worst echo took %s", before/1e6, most/1e6, worst)
			if grown := most - before; grown > 450<<20 {
				t.Errorf("it took %d MB", grown>>20)
			}
			_ = hostile.Close() // its connection may have been ended
		})
	}
}

// TestInsideAJumpBeforeItsLogin: what a client sends inside a jump before it has
// logged in there is bounded as it is before entry's own login, or 64 jumps of a
// connection held hundreds of MB for the whole grace.
func TestInsideAJumpBeforeItsLogin(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, recordAll())
	c, err := s.dial(s.enrolled("alice"))
	testkit.Check(t, err)
	t.Cleanup(func() { c.Close() })
	ch, requests, err := c.OpenChannel("direct-tcpip", ssh.Marshal(struct {
		Host       string
		Port       uint32
		Originator string
		From       uint32
	}{"home", 22, "127.0.0.1", 65535}))
	testkit.Check(t, err)
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		ssh.DiscardRequests(requests)
	}()
	go func() { _, _ = io.Copy(io.Discard, ch) }()
	_, err = io.WriteString(ch, "SSH-2.0-OpenSSH_9.9\r\n")
	testkit.Check(t, err)
	ignored := make([]byte, 4+32<<10) // RFC 4253 §6, §11.2
	binary.BigEndian.PutUint32(ignored, uint32(len(ignored)-4))
	ignored[4], ignored[5] = 11, 2 // of padding; SSH_MSG_IGNORE
	for range 20 {
		if _, err := ch.Write(ignored); err != nil {
			break // it has been closed
		}
	}
	testkit.Receive(t, "the jump ends", closed)
}
