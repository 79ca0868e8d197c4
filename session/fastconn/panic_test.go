package fastconn

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"

	"golang.org/x/crypto/ssh"

	"entry/e2e/testkit"
	"entry/e2e/testkit/wire"
	"entry/session/group"
)

// faulty is a conn and a channel in which what is named panics.
type faulty struct {
	net.Conn
	ssh.Channel
	write, read, half, close bool
}

func (f *faulty) Write(p []byte) (int, error) {
	if f.write {
		panic("broken write")
	}
	return len(p), nil
}

func (f *faulty) Read([]byte) (int, error) {
	if f.read {
		panic("broken read")
	}
	return 0, io.EOF
}

func (f *faulty) Stderr() io.ReadWriter { return new(bytes.Buffer) }

func (f *faulty) CloseWrite() error {
	if f.half {
		panic("broken half-close")
	}
	return nil
}

func (f *faulty) Close() error {
	if f.close {
		panic("broken close")
	}
	return nil
}

// A panic below a conn would otherwise end the process, on a goroutine of the
// conn's own or on one of x/crypto's that reads and writes.
func TestAPanicBelowEndsItsConnOnly(t *testing.T) {
	small, bulk := make([]byte, 10), make([]byte, 2*bulkWrite)
	write := func(p []byte) func(net.Conn) error {
		return func(c net.Conn) error { _, err := c.Write(p); return err }
	}
	read := func(c net.Conn) error { _, err := c.Read(make([]byte, 10)); return err }
	half := func(c net.Conn) error { return c.(interface{ CloseWrite() error }).CloseWrite() }
	shut := func(c net.Conn) error { return c.Close() }
	for _, tt := range []struct {
		name      string
		channel   bool
		below     faulty
		do        func(net.Conn) error
		at        bool // do itself returns the error
		goroutine string
	}{
		{"typing", false, faulty{write: true}, write(small), true, "write to a connection"},
		{"bulk", false, faulty{write: true}, write(bulk), false, "writer of a connection"},
		{"read", false, faulty{read: true}, read, true, "read from a connection"},
		{"half-close", false, faulty{half: true}, half, false, "writer of a connection"},
		{"close", false, faulty{close: true}, shut, false, "writer of a connection"},
		{"channel's write", true, faulty{write: true}, write(small), false, "writer of a channel"},
		{"channel's read", true, faulty{read: true}, read, true, "reader of a channel"},
		{"channel's half-close", true, faulty{half: true}, half, false, "writer of a channel"},
		{"channel's close", true, faulty{close: true}, shut, false, "writer of a channel"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := group.New(t.Context(), nil)
			other, peer := wire.TCP(t)
			defer peer.Close()
			unharmed := Coalesce(testGroup(t), other)
			defer unharmed.Close()
			tt.below.Conn, _ = wire.Pipe() // for the deadlines
			var c net.Conn
			if tt.channel {
				c = Channel(g, &tt.below, someAddr, someAddr)
			} else {
				c = Coalesce(g, &tt.below)
			}
			if err := tt.do(c); tt.at && !errors.Is(err, errBroken) {
				t.Errorf("%v, want %v", err, errBroken)
			}
			<-g.Context().Done()
			var p *group.Panic
			if cause := context.Cause(g.Context()); !errors.As(cause, &p) || p.Name != tt.goroutine {
				t.Errorf("the group ended with %v, want a panic in %q", cause, tt.goroutine)
			}
			if !tt.below.read && !tt.below.close {
				testkit.Eventually(t, "a failing write", func() bool { _, err := c.Write(small); return err != nil })
			}
			c.Close() // returns, whatever broke
			g.Wait()
			if _, err := unharmed.Write(bulk); err != nil {
				t.Error("another connection was harmed:", err)
			}
			if _, err := io.ReadFull(peer, bulk); err != nil {
				t.Error("another connection was harmed:", err)
			}
		})
	}
}
