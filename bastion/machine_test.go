package bastion_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"entry/e2e/testkit"
)

// machine is a target: an SSH server that trusts the site's user CA. `say X`
// says X and ends with 3; `wait` goes on until it is closed; scp to chatty says 60,000
// bytes on standard error.
type machine struct {
	t       testing.TB
	addr    string
	hostKey ssh.Signer

	mu       sync.Mutex
	dialogue func(ssh.ConnMetadata, ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) // instead of certificates
	banner   string
	silent   bool   // accepts, and says nothing
	greet    func() // runs while somebody logs in
	accepted int
	logins   []string
	conns    map[net.Conn]bool
}

func (m *machine) key() string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(m.hostKey.PublicKey())))
}

func (m *machine) set(f func(*machine)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(m)
}

// open is how many connections there are now.
func (m *machine) open() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.conns)
}

func (m *machine) count() (accepted int, logins []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.accepted, append([]string(nil), m.logins...)
}

func startMachine(t testing.TB, s *site) *machine {
	t.Helper()
	l := testkit.Must(net.Listen("tcp", "127.0.0.1:0"))(t)
	m := &machine{t: t, addr: l.Addr().String(), hostKey: newKey(), conns: map[net.Conn]bool{}}
	var all sync.WaitGroup
	all.Add(1)
	go func() {
		defer all.Done()
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			m.set(func(m *machine) { m.accepted++; m.conns[nc] = true })
			all.Add(1)
			go func() {
				defer all.Done()
				defer m.set(func(m *machine) { delete(m.conns, nc) })
				defer nc.Close()
				m.serve(nc, s)
			}()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		m.set(func(m *machine) {
			for nc := range m.conns {
				nc.Close()
			}
		})
		testkit.Finishes(t, "the target's end", all.Wait)
	})
	return m
}

func (m *machine) serve(nc net.Conn, s *site) {
	m.mu.Lock()
	silent, dialogue, banner, greet := m.silent, m.dialogue, m.banner, m.greet
	m.mu.Unlock()
	if silent {
		_, _ = io.Copy(io.Discard, nc)
		return
	}
	checker := &ssh.CertChecker{Clock: s.clock.Now, IsUserAuthority: func(k ssh.PublicKey) bool { return bytes.Equal(k.Marshal(), s.userCA.PublicKey().Marshal()) }}
	cfg := &ssh.ServerConfig{
		ServerVersion: "SSH-2.0-OpenSSH_9.2p1 machine",
		BannerCallback: func(ssh.ConnMetadata) string {
			if greet != nil {
				greet()
			}
			return banner
		},
		PublicKeyCallback: checker.Authenticate,
	}
	if dialogue != nil {
		cfg.PublicKeyCallback, cfg.KeyboardInteractiveCallback = nil, dialogue
	}
	cfg.AddHostKey(m.hostKey)
	conn, chans, reqs, err := ssh.NewServerConn(nc, cfg)
	if err != nil {
		return
	}
	m.set(func(m *machine) { m.logins = append(m.logins, conn.User()) })
	var all sync.WaitGroup
	defer all.Wait()
	all.Add(1)
	go func() { defer all.Done(); ssh.DiscardRequests(reqs) }()
	for nch := range chans {
		if nch.ChannelType() != "session" {
			_ = nch.Reject(ssh.UnknownChannelType, "sessions only")
			continue
		}
		ch, reqs, err := nch.Accept()
		if err != nil {
			return
		}
		all.Add(1)
		go func() { defer all.Done(); m.session(ch, reqs) }()
	}
}

func (m *machine) session(ch ssh.Channel, reqs <-chan *ssh.Request) {
	defer ch.Close()
	for r := range reqs {
		var c struct{ Command string }
		if r.Type != "exec" || ssh.Unmarshal(r.Payload, &c) != nil {
			_ = r.Reply(r.Type == "pty-req", nil)
			continue
		}
		_ = r.Reply(true, nil)
		if strings.HasPrefix(c.Command, "scp ") && strings.Contains(c.Command, "chatty") {
			_, _ = io.WriteString(ch.Stderr(), strings.Repeat("secret", 10_000))
			_, _ = ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{0}))
			return
		}
		if text, ok := strings.CutPrefix(c.Command, "say "); ok {
			_, _ = io.WriteString(ch, text)
			_, _ = ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{3}))
			return
		}
		_, _ = io.WriteString(ch, "waiting\n")
	}
}

func exitStatus(err error) int {
	var e *ssh.ExitError
	if errors.As(err, &e) {
		return e.ExitStatus()
	}
	return -1
}
