package fastconn

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
)

// Reasons of an SSH_MSG_DISCONNECT (RFC 4253 §11.1).
const (
	// NotAvailable is a service that isn't. To be ended "by application" (11) is no error for
	// npm's ssh2, which ends without a word then.
	NotAvailable = 7
	TooMany      = 12 // connections
)

// Disconnect answers a client that is refused before any key exchange, and says
// why: it sends one SSH_MSG_DISCONNECT in the clear, as RFC 4253 §11.1 permits at
// any time. The caller has sent Version. OpenSSH, PuTTY, paramiko, npm's ssh2 and
// Go's client show its text, dropbear doesn't; none shows a line that comes before the
// version. text is one line.
//
// Then it waits until the peer has closed c, has sent more than a key exchange
// begins with, or the deadline has passed, which the caller sets: a client that
// finds its own first packet unsent looks no further. The caller closes c.
func Disconnect(c net.Conn, reason uint32, text string) error {
	payload := []byte{1} // SSH_MSG_DISCONNECT
	payload = binary.BigEndian.AppendUint32(payload, reason)
	payload = binary.BigEndian.AppendUint32(payload, uint32(len(text)))
	payload = append(payload, text...)
	payload = binary.BigEndian.AppendUint32(payload, 0) // language tag

	// RFC 4253 §6: length, padding length, payload, at least four bytes of
	// padding; together a multiple of eight.
	const block, head, least = 8, 5, 4
	padding := block - (head+len(payload))%block
	if padding < least {
		padding += block
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(1+len(payload)+padding))
	b = append(b, byte(padding))
	b = append(b, payload...)
	b = append(b, make([]byte, padding)...)
	if _, err := c.Write(b); err != nil {
		return fmt.Errorf("send disconnect: %w", err)
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(c, maxPreamble+64<<10)) // why it ends doesn't matter
	return nil
}
