package demohome

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/bastion/ca"
)

// Channel bounds of one connection, as entry's own (parity with
// OpenSSH").
const (
	maxSessions = 10
	maxOthers   = 256
	maxListens  = 64
)

// conn is one authenticated connection.
type conn struct {
	*ssh.ServerConn
	server *Server
	ext    ca.Extensions

	wg sync.WaitGroup // channels, listeners and pipes of this connection

	// mu guards the rest.
	mu       sync.Mutex
	sessions int
	others   int
	listens  map[string]net.Listener // by requested address
	agent    *agentSocket
	closed   bool // nothing is listened on any more
}

// serveConn returns when the connection and all that it started have ended.
func (s *Server) serveConn(nc net.Conn) {
	if err := nc.SetDeadline(time.Now().Add(handshakeTime)); err != nil {
		return
	}
	sc, channels, requests, err := ssh.NewServerConn(nc, s.config)
	if err != nil {
		s.log(fmt.Sprintf("handshake: %v", err))
		return
	}
	defer sc.Close()
	if err := nc.SetDeadline(time.Time{}); err != nil {
		return
	}
	ext, ok := sc.Permissions.ExtraData[extensionsKey{}].(ca.Extensions)
	if !ok {
		return
	}
	c := &conn{ServerConn: sc, server: s, ext: ext, listens: map[string]net.Listener{}}
	s.log(fmt.Sprintf("login %q", sc.User()))
	c.run(func() { c.globalRequests(requests) })
	for nch := range channels {
		c.open(nch)
	}
	c.closeListens()
	c.wg.Wait()
	c.closeAgent()
}

// run starts f; serveConn waits for it.
func (c *conn) run(f func()) {
	c.wg.Add(1)
	c.server.goSafe(func() {
		defer c.wg.Done()
		f()
	})
}

func (c *conn) open(nch ssh.NewChannel) {
	kind := nch.ChannelType()
	var serve func(ssh.NewChannel)
	switch kind {
	case "session":
		serve = c.serveSession
	case "direct-tcpip":
		serve = c.directTCP
	case "direct-streamlocal@openssh.com":
		serve = c.directStream
	default:
		reject(nch, ssh.UnknownChannelType, fmt.Sprintf("unknown channel type %.40q", kind))
		return
	}
	if kind != "session" && !c.ext.Has(ca.PermitPortForwarding) {
		reject(nch, ssh.Prohibited, "certificate lacks permit-port-forwarding")
		return
	}
	release, ok := c.reserve(kind == "session")
	if !ok {
		reject(nch, ssh.ResourceShortage, "too many channels")
		return
	}
	c.run(func() {
		defer release()
		serve(nch)
	})
}

// reserve counts one channel against the connection's bounds.
func (c *conn) reserve(session bool) (release func(), ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	count, limit := &c.others, maxOthers
	if session {
		count, limit = &c.sessions, maxSessions
	}
	if *count >= limit {
		return nil, false
	}
	*count++
	return func() {
		c.mu.Lock()
		*count--
		c.mu.Unlock()
	}, true
}

func (c *conn) globalRequests(requests <-chan *ssh.Request) {
	for req := range requests {
		var payload []byte
		ok := false
		switch req.Type {
		case "tcpip-forward":
			if c.ext.Has(ca.PermitPortForwarding) {
				payload, ok = c.listenTCP(req.Payload)
			}
		case "cancel-tcpip-forward":
			ok = c.cancelTCP(req.Payload)
		case "streamlocal-forward@openssh.com":
			ok = c.ext.Has(ca.PermitPortForwarding) && c.listenStream(req.Payload)
		case "cancel-streamlocal-forward@openssh.com":
			ok = c.cancelStream(req.Payload)
		}
		// Anything else, keep-alives included, is answered by a failure, which
		// is all that a keep-alive asks for.
		reply(req, ok, payload)
	}
}

// openSSH reports whether the client understands eow@openssh.com.
func (c *conn) openSSH() bool {
	return strings.HasPrefix(string(c.ClientVersion()), "SSH-2.0-OpenSSH_")
}

// reply answers req if an answer is wanted. An error means that the connection
// is gone, which its own loop notices.
func reply(req *ssh.Request, ok bool, payload []byte) {
	if req.WantReply {
		_ = req.Reply(ok, payload)
	}
}

// reject refuses a channel; like reply, it leaves a lost connection to others.
func reject(nch ssh.NewChannel, why ssh.RejectionReason, text string) {
	_ = nch.Reject(why, text)
}
