package session

import (
	"golang.org/x/crypto/ssh"

	"entry/session/group"
)

// maxPending bounds the requests that wait behind one that the target hasn't
// answered yet. A client pipelines a handful.
const maxPending = 64

// maxPendingBytes bounds what those hold together: two of the longest commands.
const maxPendingBytes = 2 * maxCommand

// serial handles the requests of one connection or channel one after the
// other, as their answers must be given, without making the connection wait:
// each in a goroutine, while its owner goes on taking requests. It is owned by
// one goroutine, which calls next for every value of done.
type serial struct {
	done   chan struct{}
	group  *group.Group
	name   string // of the goroutines
	handle func(*ssh.Request)
	queue  []queued
	counts int // of the queue
	bytes  int // of the payloads of those that count
	busy   bool
}

// queued is a request that waits; free ones don't count.
type queued struct {
	req  *ssh.Request
	free bool
}

func newSerial(g *group.Group, name string, handle func(*ssh.Request)) *serial {
	return &serial{done: make(chan struct{}, 1), group: g, name: name, handle: handle}
}

// push takes req. It reports false if too many wait already, of which free ones
// don't count: whoever pushes them bounds them. A terminal being resized gives many
// requests of which only the last one matters.
func (s *serial) push(req *ssh.Request, free bool) bool {
	if n := len(s.queue); n > 0 && req.Type == "window-change" && s.queue[n-1].req.Type == req.Type && !s.queue[n-1].req.WantReply {
		s.bytes += len(req.Payload) - len(s.queue[n-1].req.Payload) // neither is free
		s.queue[n-1].req = req
		return true
	}
	if !free {
		if s.counts >= maxPending || s.bytes+len(req.Payload) > maxPendingBytes {
			return false
		}
		s.counts++
		s.bytes += len(req.Payload)
	}
	s.queue = append(s.queue, queued{req, free})
	if !s.busy {
		s.begin()
	}
	return true
}

// next goes on with what waits.
func (s *serial) next() {
	s.busy = false
	if len(s.queue) > 0 {
		s.begin()
	}
}

func (s *serial) begin() {
	req := s.queue[0].req
	if !s.queue[0].free {
		s.counts--
		s.bytes -= len(req.Payload)
	}
	s.queue[0] = queued{}
	if s.queue = s.queue[1:]; len(s.queue) == 0 {
		s.queue = nil
	}
	s.busy = true
	s.group.Go(s.name, func() {
		defer func() { s.done <- struct{}{} }()
		s.handle(req)
	})
}

// drop forgets what waits.
func (s *serial) drop() { s.queue, s.counts, s.bytes = nil, 0, 0 }
