package demohome

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// dialTime bounds one connection attempt of a forward.
const dialTime = 10 * time.Second

// maxSocketPath is the room in sockaddr_un, less the final zero (unix(7)).
const maxSocketPath = 107

// directTCP is RFC 4254 §7.2: a connection from here to where the client asks.
func (c *conn) directTCP(nch ssh.NewChannel) {
	var m struct {
		Host       string
		Port       uint32
		Originator string
		OrigPort   uint32
	}
	if err := ssh.Unmarshal(nch.ExtraData(), &m); err != nil || m.Port == 0 || m.Port > 65535 {
		reject(nch, ssh.ConnectionFailed, "malformed direct-tcpip")
		return
	}
	c.dial(nch, "tcp", net.JoinHostPort(m.Host, strconv.Itoa(int(m.Port))))
}

// directStream is OpenSSH's PROTOCOL §2.4.
func (c *conn) directStream(nch ssh.NewChannel) {
	var m struct {
		Path, Reserved string
		Zero           uint32
	}
	if err := ssh.Unmarshal(nch.ExtraData(), &m); err != nil || !c.socketPath(&m.Path) {
		reject(nch, ssh.ConnectionFailed, "malformed direct-streamlocal")
		return
	}
	c.dial(nch, "unix", m.Path)
}

func (c *conn) dial(nch ssh.NewChannel, network, address string) {
	nc, err := net.DialTimeout(network, address, dialTime)
	if err != nil {
		reject(nch, ssh.ConnectionFailed, dialText(err))
		return
	}
	ch, requests, err := nch.Accept()
	if err != nil {
		nc.Close()
		return
	}
	c.join(nc, ch, requests)
}

// dialText is the cause without addresses that the client didn't name.
func dialText(err error) string {
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		return op.Err.Error()
	}
	return "can't connect"
}

// join copies both ways, passing each side's end of file on, and returns when
// both are over or the channel is closed.
func (c *conn) join(nc net.Conn, ch ssh.Channel, requests <-chan *ssh.Request) {
	var copies sync.WaitGroup
	copies.Add(2)
	c.run(func() {
		defer copies.Done()
		_, err := io.Copy(nc, ch)
		if half, ok := nc.(interface{ CloseWrite() error }); ok && err == nil {
			_ = half.CloseWrite() // the other side may have left already
			return
		}
		nc.Close()
	})
	c.run(func() {
		defer copies.Done()
		_, _ = io.Copy(ch, nc) // whichever side failed, the channel ends here
		_ = ch.CloseWrite()
	})
	c.run(func() {
		copies.Wait()
		ch.Close()
		nc.Close()
	})
	for req := range requests {
		reply(req, false, nil)
	}
	// The channel is closed: nothing more can go to it, while what came from it
	// may still be on its way to nc. An error means that nc is closed already.
	_ = nc.SetReadDeadline(time.Now())
	_ = nc.SetWriteDeadline(time.Now().Add(dialTime))
}

// listenTCP is RFC 4254 §7.1. As sshd with GatewayPorts no, it listens on
// loopback whatever address is asked for. Port 0 answers with the chosen one.
func (c *conn) listenTCP(payload []byte) (answer []byte, ok bool) {
	var m struct {
		Address string
		Port    uint32
	}
	if err := ssh.Unmarshal(payload, &m); err != nil || m.Port > 65535 || len(m.Address) > 255 {
		return nil, false
	}
	host := "127.0.0.1"
	if m.Address == "::1" {
		host = "::1"
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(int(m.Port))))
	if err != nil {
		return nil, false
	}
	bound, isTCP := l.Addr().(*net.TCPAddr)
	if !isTCP || !c.addListen(tcpKey(m.Address, uint32(bound.Port)), l) {
		l.Close()
		return nil, false
	}
	c.acceptInto(l, "forwarded-tcpip", func(nc net.Conn) []byte {
		from := &net.TCPAddr{IP: net.IPv4zero}
		if tcp, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
			from = tcp
		}
		return ssh.Marshal(struct {
			Address    string
			Port       uint32
			Originator string
			OrigPort   uint32
		}{m.Address, uint32(bound.Port), from.IP.String(), uint32(from.Port)})
	})
	if m.Port == 0 {
		return ssh.Marshal(struct{ Port uint32 }{uint32(bound.Port)}), true
	}
	return nil, true
}

func (c *conn) cancelTCP(payload []byte) bool {
	var m struct {
		Address string
		Port    uint32
	}
	return ssh.Unmarshal(payload, &m) == nil && c.removeListen(tcpKey(m.Address, m.Port))
}

// listenStream makes a socket that only this account may use, and never
// replaces a file (sshd's StreamLocalBindUnlink no).
func (c *conn) listenStream(payload []byte) bool {
	var m struct{ Path string }
	if err := ssh.Unmarshal(payload, &m); err != nil {
		return false
	}
	asked := m.Path
	if !c.socketPath(&m.Path) {
		return false
	}
	l, err := net.Listen("unix", m.Path)
	if err != nil {
		return false
	}
	// Between these two lines the socket has the umask's mode, which leaves
	// others no write permission, and connecting needs that.
	if err := os.Chmod(m.Path, 0o600); err != nil || !c.addListen("unix "+asked, l) {
		l.Close()
		return false
	}
	c.acceptInto(l, "forwarded-streamlocal@openssh.com", func(net.Conn) []byte {
		return ssh.Marshal(struct{ Path, Reserved string }{asked, ""})
	})
	return true
}

func (c *conn) cancelStream(payload []byte) bool {
	var m struct{ Path string }
	return ssh.Unmarshal(payload, &m) == nil && c.removeListen("unix "+m.Path)
}

// acceptInto opens a channel of kind to the client for each connection of l,
// until l is closed.
func (c *conn) acceptInto(l net.Listener, kind string, extra func(net.Conn) []byte) {
	c.run(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			release, ok := c.reserve(false)
			if !ok {
				nc.Close()
				continue
			}
			c.run(func() {
				defer release()
				ch, requests, err := c.OpenChannel(kind, extra(nc))
				if err != nil {
					nc.Close()
					return
				}
				c.join(nc, ch, requests)
			})
		}
	})
}

func (c *conn) addListen(key string, l net.Listener) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, taken := c.listens[key]; taken || len(c.listens) >= maxListens || c.closed {
		return false
	}
	c.listens[key] = l
	return true
}

func (c *conn) removeListen(key string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	l, ok := c.listens[key]
	if ok {
		delete(c.listens, key)
		l.Close()
	}
	return ok
}

func (c *conn) closeListens() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for key, l := range c.listens {
		delete(c.listens, key)
		l.Close()
	}
	if c.agent != nil {
		c.agent.listener.Close()
	}
}

func tcpKey(address string, port uint32) string { return fmt.Sprintf("tcp %s %d", address, port) }

// socketPath makes a relative path one under the home folder and refuses what
// the kernel would cut.
func (c *conn) socketPath(path *string) bool {
	if *path == "" || strings.ContainsRune(*path, 0) {
		return false
	}
	if !filepath.IsAbs(*path) {
		*path = filepath.Join(c.server.home, *path)
	}
	return len(*path) <= maxSocketPath
}
