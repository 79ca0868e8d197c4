package session

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"entry/e2e/testkit"
)

// open opens a session channel as the user.
func (r *rig) open() *userChannel {
	r.t.Helper()
	ch, reqs, err := r.client.Conn.OpenChannel("session", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	return collect(ch, reqs)
}

// userChannel is a session channel at the user's end, with all that came on it.
type userChannel struct {
	ssh.Channel
	mu       sync.Mutex
	out, err bytes.Buffer
	order    []string // "out", "err", "eof", requests, "close"; runs of one kind once
	exit     int      // −1 until exit-status
	signal   string
	closed   chan struct{}
}

func collect(ch ssh.Channel, reqs <-chan *ssh.Request) *userChannel {
	u := &userChannel{Channel: ch, exit: -1, closed: make(chan struct{})}
	var both sync.WaitGroup
	both.Add(2)
	pull := func(r io.Reader, into *bytes.Buffer, name string) {
		defer both.Done()
		b := make([]byte, 32<<10)
		for {
			n, err := r.Read(b)
			u.mu.Lock()
			into.Write(b[:n])
			u.mu.Unlock()
			if n > 0 {
				u.note(name)
			}
			if err != nil {
				return
			}
		}
	}
	go pull(ch, &u.out, "out")
	go pull(ch.Stderr(), &u.err, "err")
	go func() {
		for req := range reqs {
			u.note(req.Type)
			switch req.Type {
			case "exit-status":
				v, _ := parseUint32(req.Payload)
				u.mu.Lock()
				u.exit = int(v)
				u.mu.Unlock()
			case "exit-signal":
				e, _ := parseExitSignal(req.Payload)
				u.mu.Lock()
				u.signal = string(e.Signal)
				u.mu.Unlock()
			}
			_ = req.Reply(false, nil)
		}
		both.Wait()
		u.note("close")
		close(u.closed)
	}()
	return u
}

func (u *userChannel) note(what string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if n := len(u.order); n == 0 || u.order[n-1] != what {
		u.order = append(u.order, what)
	}
}

// ends waits until the channel is closed from entry's side.
func (u *userChannel) ends(t testing.TB) *userChannel {
	t.Helper()
	if _, ok := testkit.ReceiveWithin(testkit.Soon, u.closed); !ok {
		t.Fatalf("the channel stays open; it has %q %q %v", u.stdout(), u.stderr(), u.order)
	}
	return u
}

func (u *userChannel) stdout() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.out.String()
}

func (u *userChannel) stderr() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.err.String()
}

func (u *userChannel) request(t testing.TB, name string, payload any) bool {
	t.Helper()
	var b []byte
	switch p := payload.(type) {
	case nil:
	case []byte:
		b = p
	case string:
		b = ssh.Marshal(struct{ S string }{p})
	default:
		b = ssh.Marshal(p)
	}
	ok, err := u.SendRequest(name, true, b)
	if err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return ok && err == nil
}

type ptyPayload struct {
	Term       string
	Cols, Rows uint32
	W, H       uint32
	Modes      string
}

var testPty = ptyPayload{"xterm", 80, 24, 0, 0, "\x35\x00\x00\x00\x01\x00"}
