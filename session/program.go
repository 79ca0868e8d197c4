package session

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/audit/refusal"
	"entry/policy"
	"entry/session/recording"
	"entry/session/transfer"
)

const (
	// exitEnded is the exit status of a program that entry refused or ended.
	// OpenSSH's client gives 255 for its own failures.
	exitEnded = 254

	// maxStarts bounds how often a client may ask for something that the
	// target refuses to run. PuTTY tries the sftp subsystem and then a
	// command, on the same channel.
	maxStarts = 3
)

// program is what a client asks for on a session channel: at first what is to
// run, and how, then what concerns what runs. Its requests are handled one after
// the other (handle).
type program struct {
	r      *relay
	id     *uint32 // of the channel
	lease  *lease
	up     ssh.Channel
	stderr *outlet // towards the client

	// What requests come to. Written by handle before a program runs; the
	// channel's owner reads it when no request is being handled, everybody once
	// one runs.
	grant   policy.Grant
	pty     bool
	started bool
	payload payload
	content content
	failed  int // starts that were refused
	env     environment
}

// payload is what the streams of a session channel carry.
type payload uint8

const (
	plainPayload    payload = iota // a program's input and output
	terminalPayload                // the same with a terminal
	transferPayload                // the sftp subsystem
)

// phase is when a request from the client is in order.
type phase uint8

const (
	before phase = 1 << iota // no program runs yet
	during                   // one does
	after                    // none will: the channel is being closed
	always = before | during
)

// requests are the channel requests that a client may send. All else is
// refused by name.
var requests = map[string]struct {
	when   phase
	handle func(*program, *ssh.Request) (ok bool)
}{
	"pty-req":                    {before, (*program).askPty},
	"env":                        {before, (*program).askEnv},
	"x11-req":                    {before, (*program).askX11},
	"auth-agent-req@openssh.com": {always, (*program).askAgent},
	"shell":                      {before, (*program).askShell},
	"exec":                       {before, (*program).askExec},
	"subsystem":                  {before, (*program).askSubsystem},
	"window-change":              {always, (*program).askResize},
	"signal":                     {during, (*program).askSignal},
	"break":                      {during, (*program).askBreak},
	"eow@openssh.com":            {during, (*program).askEOW},
	keepAlive:                    {always, func(*program, *ssh.Request) bool { return true }},
}

// handle answers one request of the client.
func (p *program) handle(req *ssh.Request) {
	ok := false
	if known, found := requests[req.Type]; !found {
		p.r.unknown(req.Type, p.id)
	} else if known.when&p.phase() != 0 {
		ok = known.handle(p, req)
	}
	_ = req.Reply(ok, nil) // the client may be gone
}

func (p *program) phase() phase {
	switch {
	case p.started:
		return during
	case p.failed >= maxStarts:
		return after
	}
	return before
}

// pass sends a request on with what it is to hold, and reports whether the target took it.
func (p *program) pass(req *ssh.Request, payload []byte) bool {
	ok, err := p.up.SendRequest(req.Type, req.WantReply, payload)
	return err == nil && ok
}

// relay records what req asks for and sends that on: what the target gets is made from
// what is recorded, so that nothing comes to it which the recording lacks.
func (p *program) relay(req *ssh.Request, fact recording.ChannelRequest) bool {
	fact.Type, fact.WantReply = req.Type, req.WantReply
	return p.keep(recording.Request, fact) && p.pass(req, fact.Payload())
}

func (p *program) keep(kind recording.Kind, v any) bool {
	return p.r.frame(p.grant, kind, *p.id, v)
}

func (p *program) askPty(req *ssh.Request) bool {
	fact, ok := parsePty(req.Payload)
	if !ok || p.pty {
		return false
	}
	fact.Type, fact.WantReply = req.Type, req.WantReply
	size := recording.Size{Cols: fact.Cols, Rows: fact.Rows, Width: fact.Width, Height: fact.Height}
	if !p.keep(recording.Request, fact) || !p.keep(recording.Resize, size.Append(nil)) {
		return false
	}
	// Without an answer nobody would know whether lines end in CRLF, so the target is
	// always asked for one.
	taken, err := p.up.SendRequest(req.Type, true, fact.Payload())
	p.pty = err == nil && taken
	return p.pty
}

func (p *program) askResize(req *ssh.Request) bool {
	size, ok := parseWindowChange(req.Payload)
	return ok && p.pty && p.keep(recording.Resize, size.Append(nil)) && p.pass(req, size.Payload())
}

func (p *program) askEnv(req *ssh.Request) bool {
	name, value, ok := parseEnv(req.Payload)
	if !ok {
		p.env.leaveOut(name)
	}
	if !ok || !p.env.takes(name, len(req.Payload)) {
		return false // clients send what they have; OpenSSH doesn't even ask
	}
	return p.relay(req, recording.ChannelRequest{Env: map[string]recording.Text{name: recording.Text(value)}})
}

func (p *program) askSignal(req *ssh.Request) bool {
	name, ok := parseText(req.Payload, maxSignal)
	return ok && p.relay(req, recording.ChannelRequest{Name: recording.Text(name)})
}

func (p *program) askBreak(req *ssh.Request) bool {
	length, ok := parseUint32(req.Payload)
	return ok && p.relay(req, recording.ChannelRequest{Length: length})
}

// askEOW relays that the client won't take more output, without which
// `ssh home yes | head -1` would never end. OpenSSH's PROTOCOL §2.1.
func (p *program) askEOW(req *ssh.Request) bool {
	return len(req.Payload) == 0 && p.pass(req, nil)
}

func (p *program) askAgent(req *ssh.Request) bool {
	age := p.r.age()
	if len(req.Payload) != 0 || !p.permit(policy.Agent) {
		return false
	}
	p.r.stand(age, func() { p.r.agent = true }) // before the target can open the first channel
	return p.relay(req, recording.ChannelRequest{})
}

func (p *program) askX11(req *ssh.Request) bool {
	age := p.r.age()
	x, ok := parseX11(req.Payload)
	if !ok || !p.permit(policy.X11) {
		return false
	}
	p.r.stand(age, func() { p.r.x11 = true })
	return p.relay(req, recording.ChannelRequest{X11: &x})
}

// permit asks policy for something that goes along with a program. The
// program may still run without it, so the user gets a line and no more.
func (p *program) permit(c policy.Capability) bool {
	g, err := p.r.decide()
	if err == nil && g.Allows(c) {
		return true
	}
	why := undecidedOr(err, g, c)
	p.tell(p.r.note(audit.Event{Type: audit.ChannelRefused, Channel: p.id, ChannelType: "session", Capability: c.String(), Policy: g.PolicyHash()}, why))
	return false
}

// undecidedOr is the refusal for an error of decide, or else for c.
func undecidedOr(err error, g policy.Grant, c policy.Capability) *refusal.Error {
	if err != nil {
		return refusal.Of(err)
	}
	return refusal.Of(g.Refusal(c))
}

// tell puts a line on the client's standard error, as long as no program
// writes there.
func (p *program) tell(text string) {
	if p.started {
		return
	}
	line := []byte(p.line(text))
	if p.grant.Record() == policy.Full && !p.keep(recording.Error, line) {
		return
	}
	p.stderr.say(line)
}

// line ends text as the client's terminal wants it.
func (p *program) line(text string) string {
	if p.pty {
		return text + "\r\n"
	}
	return text + "\n"
}

func (p *program) askShell(req *ssh.Request) bool {
	return len(req.Payload) == 0 && p.startProgram(req, start{needs: []policy.Capability{policy.Shell}})
}

func (p *program) askExec(req *ssh.Request) bool {
	command, ok := parseText(req.Payload, maxCommand)
	if !ok {
		return p.refuseStart(audit.Event{Capability: policy.Exec.String()},
			&refusal.Error{Text: fmt.Sprintf("the command is malformed or longer than %d bytes", maxCommand), Code: "malformed"})
	}
	st := start{needs: []policy.Capability{policy.Exec}, command: command, program: programName(command)}
	st.moves, st.bad = transfer.Command(command)
	return p.startProgram(req, st)
}

func (p *program) askSubsystem(req *ssh.Request) bool {
	name, ok := parseText(req.Payload, maxSubsystem)
	if !ok {
		return p.refuseStart(audit.Event{}, &refusal.Error{Text: "the subsystem's name is malformed", Code: "malformed"})
	}
	return p.startProgram(req, start{needs: []policy.Capability{policy.Exec}, command: name, program: programName(name), subsystem: name, moves: transfer.Subsystem(name)})
}

// startProgram relays shell, exec and subsystem.
func (p *program) startProgram(req *ssh.Request, st start) bool {
	e := audit.Event{Type: audit.ExecRequested, Channel: p.id, ChannelType: "session", Program: st.program}
	if st.command != "" {
		e.Digest = digest(st.command)
	}
	e.Detail = p.env.leftOut()
	age := p.r.age()
	g, err := p.r.decide()
	e.Policy = g.PolicyHash()
	if c := st.lacks(g); err != nil || c != 0 {
		e.Capability = c.String()
		return p.refuseStart(e, st.reason(err, g, c))
	}
	if p.pty && st.moves != nil {
		return p.refuseStart(e, inTerminal)
	}
	rests := st.restsOn(g)
	e.Capability, e.Rule = rests.String(), g.RuleFor(rests).String()
	p.grant = g
	p.lease.lacks = st.lacks
	fact := recording.ChannelRequest{Type: req.Type, WantReply: req.WantReply, Name: recording.Text(st.subsystem)}
	if st.subsystem == "" {
		fact.Command = recording.Text(st.command)
	}
	payload := fact.Payload()
	if st.moves != nil {
		now := &rights{command: st.command, contact: p.r.o.Contact, said: spoken{user: p.r.o.Beside}}
		now.grant.Store(&g)
		p.lease.lacks = func(g policy.Grant) policy.Capability {
			now.grant.Store(&g)
			return st.lacks(g)
		}
		p.content.moves, p.content.now = st.moves, now
		if st.subsystem == "" {
			payload = ssh.Marshal(struct{ Command string }{st.moves.Line(now.may)})
		}
	}
	p.r.stand(age, func() { p.r.leases[p.lease] = struct{}{} })
	if !p.r.event(e) {
		return false
	}
	if !p.keep(recording.Request, fact) {
		return false
	}
	if ok, err := p.up.SendRequest(req.Type, true, payload); err != nil || !ok {
		p.content.moves = nil
		p.r.leave(p.lease)
		p.failed++
		if !req.WantReply {
			p.failed = maxStarts // nobody would tell the client otherwise
		}
		if st.subsystem == "" || !req.WantReply {
			p.tell("entry: " + p.r.target + " refused to run it")
		}
		return false
	}
	switch {
	case st.moves != nil:
		p.payload = transferPayload
	case p.pty:
		p.payload = terminalPayload
	}
	p.content.channel, p.content.subsystem = "session", st.subsystem
	if req.Type == "exec" {
		p.content.command = st.command
	}
	p.started = true
	return true
}

// refuseStart ends the channel with a line on the client's standard error that
// says why. The request itself is granted, if that is what its answer can be
// called: OpenSSH's client exits on a failure without printing what came before
// it.
func (p *program) refuseStart(e audit.Event, why *refusal.Error) bool {
	e.Type, e.Channel, e.ChannelType = audit.ChannelRefused, p.id, "session"
	p.tell(p.r.note(e, why))
	p.failed = maxStarts
	return true
}

// digest is how a command or path stands in the log.
func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha256:" + hex.EncodeToString(sum[:])
}
