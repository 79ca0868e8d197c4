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
	handle func(*sessionChannel, *ssh.Request) (ok bool)
}{
	"pty-req":                    {before, (*sessionChannel).askPty},
	"env":                        {before, (*sessionChannel).askEnv},
	"x11-req":                    {before, (*sessionChannel).askX11},
	"auth-agent-req@openssh.com": {always, (*sessionChannel).askAgent},
	"shell":                      {before, (*sessionChannel).askShell},
	"exec":                       {before, (*sessionChannel).askExec},
	"subsystem":                  {before, (*sessionChannel).askSubsystem},
	"window-change":              {always, (*sessionChannel).askResize},
	"signal":                     {during, (*sessionChannel).askSignal},
	"break":                      {during, (*sessionChannel).askBreak},
	"eow@openssh.com":            {during, (*sessionChannel).askEOW},
	keepAlive:                    {always, func(*sessionChannel, *ssh.Request) bool { return true }},
}

// handle answers one request of the client.
func (s *sessionChannel) handle(req *ssh.Request) {
	ok := false
	if known, found := requests[req.Type]; !found {
		s.r.unknown(req.Type, s.id)
	} else if known.when&s.phase() != 0 {
		ok = known.handle(s, req)
	}
	_ = req.Reply(ok, nil) // the client may be gone
}

func (s *sessionChannel) phase() phase {
	switch {
	case s.started:
		return during
	case s.failed >= maxStarts:
		return after
	}
	return before
}

// pass relays req and reports whether the target took it.
func (s *sessionChannel) pass(req *ssh.Request) bool {
	ok, err := s.up.SendRequest(req.Type, req.WantReply, req.Payload)
	return err == nil && ok
}

func (s *sessionChannel) keep(kind recording.Kind, v any) bool {
	return s.r.frame(s.grant, kind, *s.id, v)
}

func (s *sessionChannel) askPty(req *ssh.Request) bool {
	p, ok := parsePty(req.Payload)
	if !ok || s.pty {
		return false
	}
	fact := recording.ChannelRequest{Type: req.Type, WantReply: req.WantReply, Term: asciiLine(p.term, maxTerm), Cols: p.cols, Rows: p.rows}
	if !s.keep(recording.Request, fact) || !s.keep(recording.Resize, size(p.cols, p.rows)) {
		return false
	}
	// The modes go on as they came. Without an answer nobody would know
	// whether lines end in CRLF, so the target is always asked for one.
	taken, err := s.up.SendRequest(req.Type, true, req.Payload)
	s.pty = err == nil && taken
	return s.pty
}

func size(cols, rows uint32) []byte { return fmt.Appendf(nil, "%dx%d", cols, rows) }

func (s *sessionChannel) askResize(req *ssh.Request) bool {
	cols, rows, ok := parseWindowChange(req.Payload)
	return ok && s.pty && s.keep(recording.Resize, size(cols, rows)) && s.pass(req)
}

func (s *sessionChannel) askEnv(req *ssh.Request) bool {
	name, value, ok := parseEnv(req.Payload)
	if !ok || !s.r.o.admitsEnv(name) {
		return false // clients send what they have; OpenSSH doesn't even ask
	}
	return s.keep(recording.Request, recording.ChannelRequest{Type: req.Type, WantReply: req.WantReply, Env: map[string]string{name: value}}) && s.pass(req)
}

func (s *sessionChannel) askSignal(req *ssh.Request) bool {
	name, ok := parseText(req.Payload, maxSignal)
	return ok && s.keep(recording.Request, recording.ChannelRequest{Type: req.Type, WantReply: req.WantReply, Name: asciiLine(name, maxSignal)}) && s.pass(req)
}

func (s *sessionChannel) askBreak(req *ssh.Request) bool {
	_, ok := parseUint32(req.Payload)
	return ok && s.keep(recording.Request, recording.ChannelRequest{Type: req.Type, WantReply: req.WantReply}) && s.pass(req)
}

// askEOW relays that the client won't take more output, without which
// `ssh home yes | head -1` would never end. OpenSSH's PROTOCOL §2.1.
func (s *sessionChannel) askEOW(req *ssh.Request) bool {
	return len(req.Payload) == 0 && s.pass(req)
}

func (s *sessionChannel) askAgent(req *ssh.Request) bool {
	age := s.r.age()
	if len(req.Payload) != 0 || !s.permit(policy.Agent) || !s.keep(recording.Request, recording.ChannelRequest{Type: req.Type, WantReply: req.WantReply}) {
		return false
	}
	s.r.stand(age, func() { s.r.agent = true }) // before the target can open the first channel
	return s.pass(req)
}

func (s *sessionChannel) askX11(req *ssh.Request) bool {
	age := s.r.age()
	if !parseX11(req.Payload) || !s.permit(policy.X11) || !s.keep(recording.Request, recording.ChannelRequest{Type: req.Type, WantReply: req.WantReply}) {
		return false
	}
	s.r.stand(age, func() { s.r.x11 = true })
	return s.pass(req)
}

// permit asks policy for something that goes along with a program. The
// program may still run without it, so the user gets a line and no more.
func (s *sessionChannel) permit(c policy.Capability) bool {
	g, err := s.r.decide()
	if err == nil && g.Allows(c) {
		return true
	}
	why := undecidedOr(err, g, c)
	s.tell(s.r.note(audit.Event{Type: audit.ChannelRefused, Channel: s.id, ChannelType: "session", Capability: c.String(), Policy: g.PolicyHash()}, why))
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
func (s *sessionChannel) tell(text string) {
	if s.started {
		return
	}
	line := []byte(s.line(text))
	if s.grant.Record() == policy.Full && !s.keep(recording.Error, line) {
		return
	}
	s.stderr.say(line)
}

func (s *sessionChannel) askShell(req *ssh.Request) bool {
	return len(req.Payload) == 0 && s.startProgram(req, start{needs: []policy.Capability{policy.Shell}})
}

func (s *sessionChannel) askExec(req *ssh.Request) bool {
	command, ok := parseText(req.Payload, maxCommand)
	if !ok {
		return s.refuseStart(audit.Event{Capability: policy.Exec.String()},
			&refusal.Error{Text: fmt.Sprintf("the command is malformed or longer than %d bytes", maxCommand), Code: "malformed"})
	}
	return s.startProgram(req, start{needs: []policy.Capability{policy.Exec}, command: command, program: program(command)})
}

func (s *sessionChannel) askSubsystem(req *ssh.Request) bool {
	name, ok := parseText(req.Payload, maxSubsystem)
	if !ok {
		return s.refuseStart(audit.Event{}, &refusal.Error{Text: "the subsystem's name is malformed", Code: "malformed"})
	}
	st := start{needs: []policy.Capability{policy.Exec}, command: name, program: program(name), subsystem: name}
	if name == "sftp" {
		// It carries files both ways; what it does is known only to its decoder.
		st.needs, st.transfer = []policy.Capability{policy.Download, policy.Upload}, true
	}
	return s.startProgram(req, st)
}

// start is something to be run on the target. A subsystem other than sftp
// needs what a command of its name would.
type start struct {
	needs     []policy.Capability
	command   string // "" for the shell
	program   string
	subsystem string
	transfer  bool
}

// lacks is the first capability that st needs and g doesn't give, 0 if none.
func (st start) lacks(g policy.Grant) policy.Capability {
	for _, c := range st.needs {
		if !g.Allows(c) || c == policy.Exec && !g.AllowsExec(st.command) {
			return c
		}
	}
	return 0
}

// startProgram relays shell, exec and subsystem.
func (s *sessionChannel) startProgram(req *ssh.Request, st start) bool {
	e := audit.Event{Type: audit.ExecRequested, Channel: s.id, ChannelType: "session", Program: st.program}
	if st.command != "" {
		e.Digest = digest(st.command)
	}
	age := s.r.age()
	g, err := s.r.decide()
	e.Policy = g.PolicyHash()
	if c := st.lacks(g); err != nil || c != 0 {
		e.Capability = c.String()
		return s.refuseStart(e, undecidedOr(err, g, c))
	}
	last := st.needs[len(st.needs)-1]
	e.Capability, e.Rule = last.String(), g.RuleFor(last).String()
	s.grant = g
	s.lease.lacks = st.lacks
	s.r.stand(age, func() { s.r.leases[s.lease] = struct{}{} })
	if !s.r.event(e) {
		return false
	}
	fact := recording.ChannelRequest{Type: req.Type, WantReply: req.WantReply, Name: st.subsystem}
	if st.subsystem == "" {
		fact.Command = st.command
	}
	if !s.keep(recording.Request, fact) {
		return false
	}
	if ok, err := s.up.SendRequest(req.Type, true, req.Payload); err != nil || !ok {
		s.r.leave(s.lease)
		s.failed++
		if !req.WantReply {
			s.failed = maxStarts // nobody would tell the client otherwise
		}
		if st.subsystem == "" || !req.WantReply {
			s.tell("entry: " + s.r.target + " refused to run it")
		}
		return false
	}
	switch {
	case st.transfer:
		s.payload = transferPayload
	case s.pty:
		s.payload = terminalPayload
	}
	s.content = content{channel: "session", subsystem: st.subsystem}
	if req.Type == "exec" {
		s.content.command = st.command
	}
	s.started = true
	return true
}

// refuseStart ends the channel with a line on the client's standard error that
// says why. The request itself is granted, if that is what its answer can be
// called: OpenSSH's client exits on a failure without printing what came before
// it.
func (s *sessionChannel) refuseStart(e audit.Event, why *refusal.Error) bool {
	e.Type, e.Channel, e.ChannelType = audit.ChannelRefused, s.id, "session"
	s.tell(s.r.note(e, why))
	s.failed = maxStarts
	return true
}

// digest is how a command or path stands in the log.
func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha256:" + hex.EncodeToString(sum[:])
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
		if s.exit == nil {
			s.exit = req // the first one counts
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
	if s.exit == nil || s.exited {
		return
	}
	s.exited = true
	var fact recording.ExitStatus
	if s.exit.Type == "exit-status" {
		status, ok := parseUint32(s.exit.Payload)
		if !ok {
			return
		}
		n := int(status)
		s.exitStatus, fact.Status = &n, &status
	} else {
		name, ok := parseExitSignal(s.exit.Payload)
		if !ok {
			return
		}
		fact.Signal = asciiLine(name, maxSignal)
	}
	if s.keep(recording.Exit, fact) {
		_, _ = s.client.SendRequest(s.exit.Type, false, s.exit.Payload) // the client may be gone
	}
}
