package session

import (
	"time"

	"golang.org/x/crypto/ssh"

	"entry/session/recording"
)

// exit is what the target says of a program's end, held until the output is out.
type exit struct {
	req    *ssh.Request // nil until it came
	status *int         // nil for a signal
	given  bool         // the client has it
}

// lifeline tells whether the target's connection lives, where a program's output
// has ended and no exit came.
type lifeline struct {
	asking   bool
	answer   chan bool
	open     bool             // it did, with the channel open
	after    bool             // it did, after the target closed the channel
	gone     bool             // it doesn't
	waited   bool             // exitGrace is over
	patience <-chan time.Time // until then
}

// fromTarget handles a request of the target; ok is false once it closed the
// channel.
func (s *sessionChannel) fromTarget(req *ssh.Request, ok bool) {
	if !ok {
		s.upReqs = nil
		return
	}
	taken := false
	switch req.Type {
	case "exit-status", "exit-signal":
		if s.exit.req == nil {
			s.exit.req = req // the first one counts
		}
		taken = true
	case "eow@openssh.com":
		if !s.closed && !s.saying {
			_, _ = s.client.SendRequest(req.Type, false, nil) // the client may be gone
		}
		taken = true
	case keepAlive, "xon-xoff": // RFC 4254 §6.8 leaves the latter to the client's taste
		taken = true
	default:
		name := req.Type
		s.r.group.Go("note of an unknown request", func() { s.r.unknown(name, s.id) })
	}
	_ = req.Reply(taken, nil) // the connection may be gone
}

// giveExit relays the exit that was held until the output was out.
func (s *sessionChannel) giveExit() {
	if s.exit.req == nil || s.exit.given {
		return
	}
	s.exit.given = true
	var fact recording.ExitStatus
	if s.exit.req.Type == "exit-status" {
		status, ok := parseUint32(s.exit.req.Payload)
		if !ok {
			return
		}
		n := int(status)
		s.exit.status, fact.Status = &n, &status
	} else {
		var ok bool
		if fact, ok = parseExitSignal(s.exit.req.Payload); !ok {
			return
		}
	}
	if s.keep(recording.Exit, fact) {
		_, _ = s.client.SendRequest(s.exit.req.Type, false, fact.Payload()) // the client may be gone
	}
}

// drainRequests takes what the target had sent before its output ended: x/crypto
// delivers requests and bytes separately.
func (s *sessionChannel) drainRequests() {
	for s.upReqs != nil {
		select {
		case req, ok := <-s.upReqs:
			s.fromTarget(req, ok)
		default:
			return
		}
	}
}

// ask finds out whether the target's connection lives.
func (s *sessionChannel) ask() {
	s.life.asking = true
	s.r.group.Go("keep-alive", func() {
		_, _, err := s.r.upstream.Conn.SendRequest(keepAlive, true, nil)
		s.life.answer <- err == nil
	})
}
