package session

import (
	"io"
	"sync"

	"golang.org/x/crypto/ssh"
)

// spy notes, in order, what is sent on the channels of a leg: x/crypto's own
// peer delivers bytes, requests and EOF separately, so only the sender's calls
// show the order on the wire.
type spy struct {
	mu    sync.Mutex
	calls []string // runs of the same one once
}

func (s *spy) note(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.calls); n == 0 || s.calls[n-1] != what {
		s.calls = append(s.calls, what)
	}
}

func (s *spy) list() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.calls...)
}

// on puts s between leg's new channels and their taker.
func (s *spy) on(leg Leg) Leg {
	through := make(chan ssh.NewChannel)
	from := leg.Channels
	go func() {
		defer close(through)
		for nc := range from {
			through <- &spyNew{nc, s}
		}
	}()
	leg.Channels = through
	return leg
}

type spyNew struct {
	ssh.NewChannel
	s *spy
}

func (n *spyNew) Accept() (ssh.Channel, <-chan *ssh.Request, error) {
	ch, reqs, err := n.NewChannel.Accept()
	return &spyChannel{ch, n.s}, reqs, err
}

type spyChannel struct {
	ssh.Channel
	s *spy
}

func (c *spyChannel) Write(p []byte) (int, error) { c.s.note("out"); return c.Channel.Write(p) }
func (c *spyChannel) Close() error                { c.s.note("close"); return c.Channel.Close() }
func (c *spyChannel) CloseWrite() error           { c.s.note("eof"); return c.Channel.CloseWrite() }
func (c *spyChannel) Stderr() io.ReadWriter       { return spyStderr{c.Channel.Stderr(), c.s} }
func (c *spyChannel) SendRequest(name string, reply bool, p []byte) (bool, error) {
	c.s.note(name)
	return c.Channel.SendRequest(name, reply, p)
}

type spyStderr struct {
	io.ReadWriter
	s *spy
}

func (e spyStderr) Write(p []byte) (int, error) { e.s.note("err"); return e.ReadWriter.Write(p) }
