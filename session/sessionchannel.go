package session

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/audit/plain"
	"entry/audit/refusal"
	"entry/policy"
	"entry/session/fastconn"
	"entry/session/recording"
)

// stream names one direction of a session channel.
type stream uint8

const (
	inputStream stream = iota
	outputStream
	errorStream
)

// sessionChannel relays one channel of type session. One goroutine (own) owns
// it; it starts one for each stream once a program runs, and one for each
// request, which is answered before the next one begins.
//
// The client gets, in this order: every byte of output, the exit status or
// signal, EOF, CLOSE.
type sessionChannel struct {
	program
	client ssh.Channel
	stdout *outlet // towards the client

	bytesDown, bytesUp atomic.Int64
	omits              losses
	hook               *hook   // once a program runs; nil where nobody looks into it
	moving             *moving // likewise, where it moves files

	early *early // input before a program runs

	// Owned by own.
	clientReqs <-chan *ssh.Request // nil once the client closed the channel
	upReqs     <-chan *ssh.Request // nil once the target closed it
	todo       *serial
	copied     chan stream // a stream ended
	running    int         // streams
	out        int         // of them, those towards the client
	begun      bool        // streams were started
	inputDone  bool
	exit       exit
	life       lifeline
	wall       wall
	said       chan struct{} // the farewell is out
	saying     bool
	eof        bool // the client has EOF
	closed     bool // the client has CLOSE
	upClosed   bool // the target has CLOSE
	cut        bool // the session is ending
	lost       bool // the lease ended
	noted      sync.Once
}

// openSession relays the opening of a session channel.
func (r *relay) openSession(nc ssh.NewChannel) {
	g, err := r.decide()
	if err != nil {
		r.refuse(nc, ssh.Prohibited, audit.Event{Type: audit.ChannelRefused}, refusal.Of(err))
		return
	}
	up, upReqs, err := r.open(r.upstream, "session", nil)
	if err != nil {
		code, why := upstreamRefusal(r.target, err)
		r.refuse(nc, code, audit.Event{Type: audit.ChannelRefused}, why)
		return
	}
	// Requests that nobody takes would stop the whole connection.
	defer r.group.Go("late requests", func() { r.upstream.Intake.Discard(upReqs) })
	s := &sessionChannel{program: program{r: r, id: r.places.number(sessionPlace), lease: newLease(nil), up: up, grant: g, env: environment{admits: g.AdmitsEnv}}, upReqs: upReqs}
	defer r.leave(s.lease)
	defer func() {
		if !s.begun { // else its streams do
			r.drop(up)
			r.drop(up.Stderr())
		}
	}()
	if !r.event(audit.Event{Type: audit.ChannelOpened, Channel: s.id, ChannelType: "session", Policy: g.PolicyHash(), Rule: g.Rule().String()}) ||
		!r.frame(g, recording.Request, *s.id, recording.ChannelRequest{Type: "channel-open", Name: "session"}) {
		_ = up.Close() // the connection may be gone
		rejectLate(nc)
		return
	}
	client, clientReqs, err := r.client.Intake.Accept(nc)
	if err != nil { // the client is gone
		_ = up.Close() // it may be gone too
		s.finish()
		return
	}
	defer r.group.Go("late requests", func() { r.client.Intake.Discard(clientReqs) })
	fastconn.DropExtended(r.group, client)
	s.client, s.clientReqs = client, clientReqs
	s.early = newEarly(s)
	s.stdout, s.stderr = r.newOutlet(client, nil), r.newOutlet(client.Stderr(), nil)
	r.group.Go("input of a program", s.early.await)
	s.own()
	s.early.end()
	s.finish()
}

// upstreamRefusal is the refusal for a channel that the target didn't open.
func upstreamRefusal(target string, err error) (ssh.RejectionReason, *refusal.Error) {
	var no *ssh.OpenChannelError
	if !errors.As(err, &no) {
		return ssh.ConnectionFailed, &refusal.Error{Text: "the connection to " + target + " was lost", Code: refusal.UpstreamLost}
	}
	code := no.Reason
	if code < ssh.Prohibited || code > ssh.ResourceShortage {
		code = ssh.ConnectionFailed
	}
	text := asciiLine(no.Message, maxText/2)
	if text == "" {
		text = code.String()
	}
	return code, &refusal.Error{Text: target + ": " + text, Code: "upstream-refused"}
}

// own relays until both sides closed the channel.
func (s *sessionChannel) own() {
	s.todo = newSerial(s.r.group, "request on a channel", s.handle)
	s.copied = make(chan stream, 3)
	s.life.answer = make(chan bool, 1)
	s.said = make(chan struct{}, 1)
	s.wall.shown = make(chan struct{}, 1)
	ending, ended := s.r.ending, s.lease.ended
	var deliver, late <-chan time.Time
	for s.clientReqs != nil || s.upReqs != nil || s.running > 0 || s.todo.busy || s.saying || s.life.asking || s.wall.showing {
		select {
		case req, ok := <-s.clientReqs:
			s.r.client.Intake.Asked()
			switch {
			case !ok:
				s.clientReqs = nil
				s.todo.drop()
				if s.running == 0 || s.inputDone {
					s.closeUp()
				} else {
					deliver = time.After(deliveryGrace) // the target has yet to take the input
				}
			case s.env.drops(req):
			case !s.todo.push(req, s.env.uncounted(req)):
				s.r.end(floodEnd("requests on a channel"))
			}
		case <-s.todo.done:
			if s.started && !s.begun {
				s.begin()
			}
			s.todo.next()
		case req, ok := <-s.upReqs:
			s.r.upstream.Intake.Asked()
			s.fromTarget(req, ok)
		case from := <-s.copied:
			s.running--
			if from != inputStream {
				if s.out--; s.out == 0 {
					s.deafen()
				}
				break
			}
			s.inputDone = true
			if s.clientReqs == nil {
				s.closeUp()
			}
		case <-s.life.patience:
			s.life.patience, s.life.waited = nil, true
		case <-deliver:
			s.closeUp()
		case lives := <-s.life.answer:
			s.life.asking = false
			s.life.gone = !lives
			s.life.open = true
			s.life.after = s.upReqs == nil
		case <-s.said:
			s.saying, s.exit.given, s.eof, s.closed = false, true, true, true
		case text := <-s.wall.listen:
			s.show(text)
		case <-s.wall.shown:
			s.wall.showing = false
			if s.out > 0 {
				s.wall.listen = s.wall.messages
			}
		case <-ended:
		case <-late: // a client that takes nothing hears nothing
			s.r.group.Go("close of a channel", func() { _ = s.client.Close() })
		case <-ending:
		}
		// Whatever came first: the streams that these have ended mustn't pass for
		// a program's end.
		if !s.lost && s.lease.over() {
			ended, s.lost = nil, true
			s.stopProgram()
			late = time.After(farewellGrace)
		}
		if !s.cut && s.r.over() {
			ending, s.cut = nil, true
		}
		s.settle()
	}
}

// settle brings the channel as far towards its end as its state allows.
func (s *sessionChannel) settle() {
	switch {
	case s.closed, s.saying:
		return
	case s.clientReqs == nil: // nobody is left to be told
		s.closed = s.upReqs == nil
		return
	case s.lost && (s.begun || !s.todo.busy): // the target may not even answer any more
		s.say(s.lease.line())
		return
	case s.out > 0, !s.begun && s.todo.busy: // output, or an answer, comes first
		return
	case s.cut:
		s.say(s.r.cause().Text)
		return
	case s.begun:
		s.drainRequests()
		s.giveExit()
	case s.failed >= maxStarts:
		s.say("") // each refusal has been told
		return
	case s.upReqs != nil:
		return // nothing has been started yet
	}
	if !s.exit.given {
		// The output ended and no exit status came. Either the target ended the
		// channel without one, or the connection is gone and the user must be
		// told so: the answer to a keep-alive tells. Or one follows, mostly
		// within a millisecond. To EOF, PuTTY answers CLOSE, and OpenSSH does so
		// if its own input has ended; x/crypto answers that at once, after which
		// no exit status can be sent. So EOF waits for it: for good if the input
		// has ended, else for exitGrace, because the program may have closed its
		// output and wait for what the client makes of that.
		after := s.upReqs == nil
		switch {
		case s.life.gone:
			s.r.mu.Lock()
			s.r.cut = true
			s.r.mu.Unlock()
			s.say("the connection to " + s.r.target + " was lost")
			return
		case s.life.asking:
			return
		case !after && !s.life.waited:
			if s.life.patience == nil {
				s.life.patience = time.After(exitGrace)
			}
			return
		case after && !s.life.after, !after && !s.life.open:
			s.ask()
			return
		case !after && s.inputDone:
			return
		}
	}
	if !s.eof {
		s.eof = true
		_ = s.client.CloseWrite() // the client may be gone
	}
	if s.upReqs == nil {
		if s.todo.busy { // the target's answer to that came before it closed the channel
			s.todo.drop()
			return
		}
		s.closed = true
		_ = s.client.Close() // the client may be gone
		s.closeUp()
	}
}

// stopProgram ends what runs, or what the target may be about to start. Without
// a terminal it would not notice that its channel is closed before it reads or
// writes. sshd takes signals since 7.9, and not for root: there such a program
// runs on, with nobody at its end.
func (s *sessionChannel) stopProgram() {
	if (s.begun || s.todo.busy) && !s.upClosed {
		for _, signal := range []string{"HUP", "TERM"} {
			_, _ = s.up.SendRequest("signal", false, ssh.Marshal(struct{ Name string }{signal})) // the connection may be gone
		}
	}
	s.closeUp()
}

func (s *sessionChannel) closeUp() {
	if !s.upClosed {
		s.upClosed = true
		_ = s.up.Close() // the connection may be gone
	}
}

// say ends the channel from here: a line on standard error if text isn't "",
// an exit status, EOF and CLOSE. A client that takes nothing makes it wait, so
// it runs beside own.
func (s *sessionChannel) say(text string) {
	s.saying = true
	s.closeUp()
	eof, exited, lost := s.eof, s.exit.given, s.lost
	s.r.group.Go("farewell", func() { // errors say that the client is gone, which ends the channel too
		defer func() { s.said <- struct{}{} }()
		if text != "" && !eof {
			line := s.line("entry: " + plain.OneLine(s.r.o.Contact.In(text), maxText))
			if s.begun && s.pty {
				line = "\r\n" + line
			}
			if rec := s.r.o.Recorder; rec != nil && s.grant.Record() == policy.Full {
				_ = rec.Frame(recording.Error, *s.id, []byte(line)) // it may be what failed
			}
			if lost {
				s.finish() // what happened is noted before it is told
			}
			s.stderr.say([]byte(line))
		}
		if !exited {
			_, _ = s.client.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{exitEnded}))
		}
		if !eof {
			_ = s.client.CloseWrite()
		}
		_ = s.client.Close()
	})
}
