package fastconn

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
)

// Version is the identification string of every leg that carries sessions.
// It starts with OpenSSH_ because OpenSSH sends eow@openssh.com only to such
// peers, and without it `ssh -J entry home yes | head -1` never ends. Scanners
// that go by the version take entry for that OpenSSH. It is 9.9, the first with
// ML-KEM, and not 10.0: those that compare versions as text (ssh-audit 2.5) find
// the faults of OpenSSH 2 and 3 in that.
const Version = "SSH-2.0-OpenSSH_9.9 entry"

// maxPreamble bounds what a peer may send before and in its identification
// string. RFC 4253 §4.2: the string is at most 255 bytes, CR LF included; a
// client sends nothing before it.
const maxPreamble = 255

// versionConn exchanges the identification strings before x/crypto does, so
// that the algorithms offered can depend on the peer. x/crypto then reads the
// peer's line again from pending, and its own line is swallowed.
type versionConn struct {
	net.Conn
	pending []byte // peer's line, not yet read again
	swallow int    // bytes of x/crypto's own line not yet swallowed
}

// ExchangeVersion sends Version, reads the peer's identification string and
// returns it without its line ending. x/crypto's handshake is to follow on the
// conn that it returns, with Version as its own. It blocks until the peer has
// answered: the caller sets a deadline. An error says that the peer is gone or
// speaks no SSH 2.0; c stays open.
func ExchangeVersion(c net.Conn) (conn net.Conn, peer []byte, err error) {
	if _, err := io.WriteString(c, Version+"\r\n"); err != nil {
		return nil, nil, fmt.Errorf("send version: %w", err)
	}
	line := make([]byte, 0, 64)
	var one [1]byte
	for {
		if _, err := io.ReadFull(c, one[:]); err != nil {
			return nil, nil, fmt.Errorf("read version: %w", err)
		}
		line = append(line, one[0])
		if one[0] == '\n' {
			break
		}
		if len(line) == maxPreamble {
			return nil, nil, errors.New("read version: line too long")
		}
	}
	if !bytes.HasPrefix(line, []byte("SSH-2.0-")) {
		return nil, nil, errors.New("read version: not SSH 2.0")
	}
	return &versionConn{Conn: c, pending: line, swallow: len(Version) + 2}, bytes.TrimRight(line, "\r\n"), nil
}

func (c *versionConn) Read(p []byte) (int, error) {
	if len(c.pending) > 0 {
		n := copy(p, c.pending)
		c.pending = c.pending[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

func (c *versionConn) Write(p []byte) (int, error) {
	if c.swallow == 0 {
		return c.Conn.Write(p)
	}
	n := min(c.swallow, len(p))
	c.swallow -= n
	if n == len(p) {
		return n, nil
	}
	m, err := c.Conn.Write(p[n:])
	return n + m, err
}
