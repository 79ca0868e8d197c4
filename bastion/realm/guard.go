package realm

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
)

// Bounds on what a directory may send in one conversation. The decoder behind
// recurses and allocates as the lengths tell it, so they are checked first.
const (
	maxEntryMessage = 256 << 10 // bytes; an entry with 1,000 group DNs of 200 bytes fits
	maxMessage      = 16 << 10  // bytes of any other message; their controls are decoded recursively
	maxTotal        = 1 << 20   // bytes of all messages
	maxMessages     = 2 * maxGroups
	maxElements     = 8 << 10 // BER elements of a message
	maxDepth        = 10      // an LDAP result with its controls has 6
)

// tagSearchEntry is [APPLICATION 4], constructed.
const tagSearchEntry = 0x64

var errMalformed = errors.New("the directory sent what is no LDAP message")

// guard hands on whole LDAP messages, each within the bounds. After an error
// it reads nothing any more. Read belongs to one goroutine.
type guard struct {
	net.Conn
	rest     []byte // of the message being handed on
	total    int
	messages int
	err      error
	over     atomic.Bool // more was sent than is taken
}

func newGuard(c net.Conn) *guard { return &guard{Conn: c} }

func (g *guard) Read(p []byte) (int, error) {
	if len(g.rest) == 0 && g.err == nil {
		g.rest, g.err = g.message()
	}
	if g.err != nil {
		return 0, g.err
	}
	n := copy(p, g.rest)
	g.rest = g.rest[n:]
	return n, nil
}

// message reads one LDAPMessage and nothing beyond it.
func (g *guard) message() ([]byte, error) {
	m := make([]byte, 2, 64)
	if _, err := io.ReadFull(g.Conn, m); err != nil {
		return nil, err
	}
	if m[0] != 0x30 { // SEQUENCE
		return nil, errMalformed
	}
	if m[1] > 0x80 && m[1] <= 0x84 {
		m = m[:2+m[1]&0x7f]
		if _, err := io.ReadFull(g.Conn, m[2:]); err != nil {
			return nil, err
		}
	}
	_, size, head, err := header(m)
	if err != nil {
		return nil, err
	}
	g.total += head + size
	g.messages++
	if size > maxEntryMessage || g.total > maxTotal || g.messages > maxMessages {
		g.over.Store(true)
		return nil, fmt.Errorf("the directory sent more than entry takes: %d bytes in message %d, %d in all", size, g.messages, g.total)
	}
	m = append(m, make([]byte, size)...)
	if _, err := io.ReadFull(g.Conn, m[head:]); err != nil {
		return nil, err
	}
	if err := shape(m); err != nil {
		return nil, err
	}
	if size > maxMessage && !isEntry(m[head:]) {
		return nil, fmt.Errorf("the directory sent a message of %d bytes that is no entry", size)
	}
	return m, nil
}

// isEntry tells whether the body of a message has a search entry behind its ID.
// shape has checked the headers.
func isEntry(body []byte) bool {
	_, size, head, err := header(body)
	return err == nil && head+size < len(body) && body[head+size] == tagSearchEntry
}

// header reads the identifier and length of a BER element: one identifier byte
// and a definite length of at most 4 bytes, as RFC 4511 §5.1 has them.
func header(b []byte) (tag byte, size, head int, err error) {
	if len(b) < 2 || b[0]&0x1f == 0x1f {
		return 0, 0, 0, errMalformed
	}
	if b[1] < 0x80 {
		return b[0], int(b[1]), 2, nil
	}
	n := int(b[1] & 0x7f)
	if n < 1 || n > 4 || len(b) < 2+n {
		return 0, 0, 0, errMalformed
	}
	var length uint64
	for _, c := range b[2 : 2+n] {
		length = length<<8 | uint64(c)
	}
	if length > maxTotal {
		return 0, 0, 0, errMalformed
	}
	return b[0], int(length), 2 + n, nil
}

// shape checks that the elements of b nest and end as their lengths say,
// without recursion.
func shape(b []byte) error {
	var ends [maxDepth]int
	ends[0] = len(b)
	depth, at := 0, 0
	for elements := 1; elements <= maxElements; elements++ {
		tag, size, head, err := header(b[at:ends[depth]])
		if err != nil {
			return err
		}
		if at += head; size > ends[depth]-at {
			return errMalformed
		}
		if tag&0x20 == 0 { // primitive
			at += size
		} else {
			if depth++; depth == maxDepth {
				return errMalformed
			}
			ends[depth] = at + size
		}
		for at == ends[depth] {
			if depth == 0 {
				return nil
			}
			depth--
		}
	}
	return errMalformed
}
