package e2e

import (
	"bufio"
	"encoding/binary"
	"net"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/e2e/testkit"
)

// asks sends what ask gives n times, each of which number answers, with a few under way.
func (c *rawSSH) asks(n int, ask []byte, number byte) error {
	const ahead = 32
	for i := range n + ahead {
		if i >= ahead {
			if _, err := c.await(number); err != nil {
				return err
			}
		}
		if i < n {
			if err := c.send(ask); err != nil {
				return err
			}
		}
	}
	return nil
}

// open opens a channel and gives the server's number of it.
func (c *rawSSH) open(opening []byte) (channel []byte, err error) {
	if err := c.send(opening); err != nil {
		return nil, err
	}
	p, err := c.await(msgChannelOpened)
	if err != nil {
		return nil, err
	}
	return p[5:9], nil // RFC 4254 §5.1
}

// opening is a CHANNEL_OPEN (RFC 4254 §5.1).
func opening(kind string) []byte {
	p := binary.BigEndian.AppendUint32(append([]byte{msgChannelOpen}, str(kind)...), 7)
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(p, 1<<20), 32<<10)
}

// TestAskingTooFast has clients ask for what costs the server more than data does, as
// fast as it answers: some tens of thousands a second, of both processors. It reads
// no faster than 200 of them a second, after the first 2,000.
func TestAskingTooFast(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, recordAll())
	s.configure(rememberEverywhere)
	s.stop()
	s.serve()
	alice := s.remembered(s.enrolled("alice"), filepath.Join(testkit.ShortDir(t), "a"))
	const (
		asked     = 2600
		exchanges = 120             // which count as 20 each
		atLeast   = 2 * time.Second // for what is more than 2,000, but for what is under way
	)
	request := func(on []byte) func(*rawSSH) error {
		return func(c *rawSSH) error {
			channel, err := c.open(on)
			if err != nil {
				return err
			}
			return c.asks(asked, slices.Concat([]byte{msgChannelRequest}, channel, str("x"), []byte{1}), msgChannelFailure)
		}
	}
	jump := append(opening("direct-tcpip"), ssh.Marshal(struct {
		Host       string
		Port       uint32
		Originator string
		From       uint32
	}{"home", 22, "127.0.0.1", 65535})...)
	open := func(c *rawSSH) error { return c.asks(asked, opening("x"), msgOpenFailure) }
	exchange := func(c *rawSSH) error {
		for range exchanges {
			if err := c.exchange(); err != nil {
				return err
			}
		}
		return nil
	}
	global := func(c *rawSSH) error {
		return c.asks(asked, slices.Concat([]byte{msgGlobalRequest}, str("x"), []byte{1}), msgRequestFailure)
	}
	t.Run("all", func(t *testing.T) {
		for _, tt := range []struct {
			name, user string
			does       func(*rawSSH) error
			atLeast    time.Duration
		}{
			{"openings", "alice", open, atLeast},
			{"openings toward a target", "alice+home", open, atLeast},
			{"global requests", "alice", global, atLeast},
			{"global requests toward a target", "alice+home", global, atLeast},
			{"requests to the portal", "alice", request(opening("session")), atLeast},
			{"requests to a target", "alice+home", request(opening("session")), atLeast},
			{"requests on a jump", "alice", request(jump), atLeast},
			{"key exchanges", "alice", exchange, time.Second},
		} {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				tcp := testkit.Must(net.Dial("tcp", s.addr()))(t)
				defer tcp.Close()
				testkit.Check(t, tcp.SetDeadline(testkit.Deadline(time.Minute)))
				c := &rawSSH{t: t, conn: tcp, in: bufio.NewReader(tcp)}
				testkit.Check(t, c.handshake())
				testkit.Check(t, c.login(tt.user, alice))
				began := time.Now()
				testkit.Check(t, tt.does(c))
				if took := time.Since(began); took < tt.atLeast {
					t.Errorf("answered after %s, want at least %s", took, tt.atLeast)
				}
			})
		}
	})
}
