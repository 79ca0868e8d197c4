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
	leg.Channels = accepted(leg.Channels, func(ch ssh.Channel) ssh.Channel { return &spyChannel{ch, s} })
	return leg
}

// wrapped has wrap change the new channels that come on from.
func wrapped(from <-chan ssh.NewChannel, wrap func(ssh.NewChannel) ssh.NewChannel) <-chan ssh.NewChannel {
	through := make(chan ssh.NewChannel)
	go func() {
		defer close(through)
		for nc := range from {
			through <- wrap(nc)
		}
	}()
	return through
}

// accepted has wrap change the channels that are accepted.
func accepted(from <-chan ssh.NewChannel, wrap func(ssh.Channel) ssh.Channel) <-chan ssh.NewChannel {
	return wrapped(from, func(nc ssh.NewChannel) ssh.NewChannel { return acceptedAs{nc, wrap} })
}

type acceptedAs struct {
	ssh.NewChannel
	wrap func(ssh.Channel) ssh.Channel
}

func (n acceptedAs) Accept() (ssh.Channel, <-chan *ssh.Request, error) {
	ch, reqs, err := n.NewChannel.Accept()
	if err != nil {
		return nil, nil, err
	}
	return n.wrap(ch), reqs, nil
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
