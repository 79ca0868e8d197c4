package demohome

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// agentSocket is where programs of one connection reach the user's agent.
type agentSocket struct {
	listener net.Listener
	dir      string // private folder that holds only the socket
}

// openAgent makes the connection's agent socket, once: as with sshd, all its
// sessions share it.
func (c *conn) openAgent() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.agent != nil || c.closed {
		return c.agent != nil
	}
	dir, err := os.MkdirTemp("", "entry-demo-agent-") // made 0700
	if err != nil {
		c.server.log(fmt.Sprintf("agent: %v", err))
		return false
	}
	l, err := net.Listen("unix", filepath.Join(dir, "agent.sock"))
	if err != nil {
		c.server.log(fmt.Sprintf("agent: %v", err))
		_ = os.Remove(dir) // empty
		return false
	}
	c.agent = &agentSocket{listener: l, dir: dir}
	c.acceptInto(l, "auth-agent@openssh.com", func(net.Conn) []byte { return nil })
	return true
}

func (c *conn) agentPath() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.agent == nil {
		return ""
	}
	return c.agent.listener.Addr().String()
}

// closeAgent removes the socket's folder once nothing uses it.
func (c *conn) closeAgent() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.agent == nil {
		return
	}
	c.agent.listener.Close() // also removes the socket
	if err := os.Remove(c.agent.dir); err != nil {
		c.server.log(fmt.Sprintf("agent: %v", err))
	}
}
