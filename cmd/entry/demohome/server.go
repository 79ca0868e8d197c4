package demohome

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/bastion/ca"
)

const (
	// version starts as it must for OpenSSH's client to send eow@openssh.com.
	version = "SSH-2.0-OpenSSH_9.9 entry-demo-home"
	// handshakeTime bounds key exchange and login; entry needs milliseconds.
	handshakeTime = 30 * time.Second
	// maxConnections bounds what one demo serves at once.
	maxConnections = 256
	// rekeyThreshold in bytes; OpenSSH's default for AES is 64 GiB, RFC 4253 §9
	// recommends 1 GiB.
	rekeyThreshold = 1 << 30
)

// ErrNotLoopback refuses a listener that other machines could reach.
var ErrNotLoopback = errors.New("the demo's home machine listens on loopback only")

// Options configure New; HostKey, UserCA and Home are required.
type Options struct {
	HostKey ssh.Signer    // plain or certificate
	UserCA  ssh.PublicKey // the only CA whose certificates log in
	Home    string        // existing folder, $HOME of every login
	Log     func(string)  // one line, no secrets; nil means none
	Now     func() time.Time
}

// Server is the demo's home machine. It is safe for concurrent use.
type Server struct {
	config *ssh.ServerConfig
	home   string
	shell  string
	log    func(string)
	slots  chan struct{} // one for each connection

	wg sync.WaitGroup // every goroutine of the server

	// mu guards the rest.
	mu        sync.Mutex
	closed    bool
	listeners map[net.Listener]struct{}
	conns     map[net.Conn]struct{}
}

// extensionsKey is where the proven certificate's extensions stand in
// ssh.Permissions.ExtraData.
type extensionsKey struct{}

// New checks the options. Nothing is listened on before Serve.
func New(o Options) (*Server, error) {
	switch {
	case o.HostKey == nil:
		return nil, errors.New("demo home: no host key")
	case o.UserCA == nil:
		return nil, errors.New("demo home: no user CA")
	}
	home, err := filepath.Abs(o.Home)
	if err != nil {
		return nil, fmt.Errorf("demo home: %w", err)
	}
	if info, err := os.Stat(home); err != nil {
		return nil, fmt.Errorf("demo home: %w", err)
	} else if !info.IsDir() {
		return nil, fmt.Errorf("demo home: %s isn't a folder", home)
	}
	if o.Log == nil {
		o.Log = func(string) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{
		home: home, shell: loginShell(), log: o.Log,
		slots:     make(chan struct{}, maxConnections),
		listeners: map[net.Listener]struct{}{},
		conns:     map[net.Conn]struct{}{},
	}
	s.config = serverConfig(o)
	return s, nil
}

func serverConfig(o Options) *ssh.ServerConfig {
	// Offering a key proves nothing: the certificate is judged when it is
	// offered, so that a bad one costs no signature, and judged again once the
	// client has signed, which is what sets the extensions.
	judge := func(meta ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		ext, err := ca.UserCheck{CA: o.UserCA, Login: meta.User(), Source: remote(meta.RemoteAddr()), Now: o.Now()}.Verify(key)
		if err != nil {
			o.Log(fmt.Sprintf("refused %q: %v", meta.User(), err))
			return nil, err
		}
		return &ssh.Permissions{ExtraData: map[any]any{extensionsKey{}: ext}}, nil
	}
	config := &ssh.ServerConfig{
		Config: ssh.Config{
			RekeyThreshold: rekeyThreshold,
			KeyExchanges:   []string{ssh.KeyExchangeMLKEM768X25519, ssh.KeyExchangeCurve25519},
			Ciphers:        []string{ssh.CipherAES128GCM, ssh.CipherAES256GCM, ssh.CipherChaCha20Poly1305, ssh.CipherAES128CTR, ssh.CipherAES256CTR},
			MACs:           []string{ssh.HMACSHA256ETM, ssh.HMACSHA512ETM},
		},
		ServerVersion:           version,
		MaxAuthTries:            6,
		PublicKeyAuthAlgorithms: []string{ssh.KeyAlgoED25519},
		PublicKeyCallback:       judge,
		VerifiedPublicKeyCallback: func(meta ssh.ConnMetadata, key ssh.PublicKey, _ *ssh.Permissions, _ string) (*ssh.Permissions, error) {
			return judge(meta, key)
		},
	}
	config.AddHostKey(o.HostKey)
	return config
}

// Serve accepts connections on l until Close or an error of l, and closes l.
// It returns ErrNotLoopback for a listener other machines could reach, and nil
// after Close.
func (s *Server) Serve(l net.Listener) error {
	defer l.Close()
	if err := loopback(l.Addr()); err != nil {
		return err
	}
	if !s.track(l) {
		return nil
	}
	for {
		nc, err := l.Accept()
		if err != nil {
			if s.untrack(l) {
				return nil
			}
			return fmt.Errorf("demo home: %w", err)
		}
		select {
		case s.slots <- struct{}{}:
		default:
			s.log("refused a connection: too many")
			nc.Close()
			continue
		}
		if !s.start(nc) {
			nc.Close()
			<-s.slots
		}
	}
}

// start serves nc in its own goroutine, unless the server is closed.
func (s *Server) start(nc net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.conns[nc] = struct{}{}
	s.goSafe(func() {
		defer func() {
			nc.Close()
			s.mu.Lock()
			delete(s.conns, nc)
			s.mu.Unlock()
			<-s.slots
		}()
		s.serveConn(nc)
	})
	return true
}

// Close stops listening, ends every connection and its processes, and returns
// when nothing of the server runs any more.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	for l := range s.listeners {
		l.Close()
	}
	for nc := range s.conns {
		nc.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
	return nil
}

func (s *Server) track(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.listeners[l] = struct{}{}
	return true
}

// untrack forgets l and reports whether the server was closed.
func (s *Server) untrack(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, l)
	return s.closed
}

// goSafe runs f in a goroutine that Close waits for. A panic ends that
// goroutine only: the demo's bastion runs in the same process and must not
// fall with its home machine.
func (s *Server) goSafe(f func()) {
	s.wg.Go(func() {
		defer func() {
			if r := recover(); r != nil {
				s.log(fmt.Sprintf("panic: %v\n%s", r, debug.Stack()))
			}
		}()
		f()
	})
}

func loopback(a net.Addr) error {
	switch a := a.(type) {
	case *net.TCPAddr:
		if a.IP.IsLoopback() {
			return nil
		}
	case *net.UnixAddr:
		return nil
	}
	return fmt.Errorf("%w, not on %s", ErrNotLoopback, a)
}

func remote(a net.Addr) netip.Addr {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// loginShell is the account's shell as far as the environment tells, else bash
// if there is one, else sh.
func loginShell() string {
	if sh := os.Getenv("SHELL"); filepath.IsAbs(sh) {
		if path, err := exec.LookPath(sh); err == nil && !noShell[filepath.Base(path)] {
			return path
		}
	}
	if path, err := exec.LookPath("/bin/bash"); err == nil {
		return path
	}
	return "/bin/sh"
}

// noShell are the programs that stand as $SHELL of accounts that have none.
var noShell = map[string]bool{"nologin": true, "false": true, "true": true, "sync": true}
