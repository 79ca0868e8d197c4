package demohome

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"entry/bastion/ca"
)

// motd is the first line of a pty shell: nobody must take this for a real
// machine.
const motd = "This is the demo's home machine: an ordinary shell of your own account.\r\n"

// Bounds for what one session may set, in entries and bytes. OpenSSH's client
// sends a handful of LC_* variables.
const (
	maxEnv      = 64
	maxEnvValue = 4096
	maxTerm     = 64
	maxCommand  = 128 << 10 // Linux's MAX_ARG_STRLEN
)

// session is one session channel. Only its request loop touches it until a
// program runs.
type session struct {
	conn *conn
	ch   ssh.Channel
	env  []string
	pty  *terminal
	term string
	proc *process // what runs, once something does
	busy bool     // shell, exec or subsystem was asked for
}

func (c *conn) serveSession(nch ssh.NewChannel) {
	ch, requests, err := nch.Accept()
	if err != nil {
		return
	}
	s := &session{conn: c, ch: ch}
	defer ch.Close()
	for req := range requests {
		ok, then := s.request(req)
		reply(req, ok, nil)
		if then != nil {
			then()
		}
	}
	// The requests end with the channel, whoever closed it.
	if s.proc != nil {
		s.proc.hangUp()
	} else if s.pty != nil {
		s.pty.close()
	}
}

// request handles one channel request. The returned function, if any, runs
// after the answer is sent, so that no output overtakes it.
func (s *session) request(req *ssh.Request) (ok bool, then func()) {
	switch req.Type {
	case "pty-req":
		return s.ptyRequest(req.Payload), nil
	case "env":
		return s.setEnv(req.Payload), nil
	case "window-change":
		return s.resize(req.Payload), nil
	case "auth-agent-req@openssh.com":
		return s.agentRequest(), nil
	case "shell":
		return s.start("", true)
	case "exec":
		var m struct{ Command string }
		if err := ssh.Unmarshal(req.Payload, &m); err != nil || len(m.Command) > maxCommand || strings.ContainsRune(m.Command, 0) {
			return false, nil
		}
		return s.start(m.Command, false)
	case "subsystem":
		return s.subsystem(req.Payload)
	case "signal":
		var m struct{ Name string }
		if err := ssh.Unmarshal(req.Payload, &m); err != nil || s.proc == nil {
			return false, nil
		}
		return s.proc.signal(m.Name), nil
	case "break":
		return s.pty != nil && s.proc != nil && s.pty.sendBreak(), nil
	case "eow@openssh.com":
		// The client reads no more: as sshd does, stop reading the program's
		// output, so that `ssh home yes | head -1` ends by SIGPIPE.
		if s.proc != nil {
			s.proc.stopOutput()
		}
		return true, nil
	}
	// x11-req is among these: refused, as the client will print.
	return false, nil
}

func (s *session) setEnv(payload []byte) bool {
	var m struct{ Name, Value string }
	if err := ssh.Unmarshal(payload, &m); err != nil || s.busy || len(s.env) >= maxEnv {
		return false
	}
	if !envAllowed(m.Name) || len(m.Value) > maxEnvValue || strings.ContainsRune(m.Value, 0) {
		return false
	}
	s.env = append(s.env, m.Name+"="+m.Value)
	return true
}

// envAllowed is the list of AcceptEnv: what can't change which program runs.
func envAllowed(name string) bool {
	switch name {
	case "LANG", "COLORTERM", "GIT_PROTOCOL":
		return true
	}
	rest, ok := strings.CutPrefix(name, "LC_")
	if !ok || rest == "" || len(rest) > 32 {
		return false
	}
	return strings.Trim(rest, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") == ""
}

func (s *session) ptyRequest(payload []byte) bool {
	var m struct {
		Term                      string
		Cols, Rows, Width, Height uint32
		Modes                     string
	}
	if err := ssh.Unmarshal(payload, &m); err != nil || s.busy || s.pty != nil {
		return false
	}
	if !s.conn.ext.Has(ca.PermitPTY) || len(m.Term) > maxTerm || strings.Trim(m.Term, termAlphabet) != "" {
		return false
	}
	t, err := openTerminal(m.Cols, m.Rows, m.Modes)
	if err != nil {
		s.conn.server.log(fmt.Sprintf("pty: %v", err))
		return false
	}
	s.pty, s.term = t, m.Term
	return true
}

// termAlphabet is what terminal names are made of (term(7)).
const termAlphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.+"

func (s *session) resize(payload []byte) bool {
	var m struct{ Cols, Rows, Width, Height uint32 }
	if err := ssh.Unmarshal(payload, &m); err != nil || s.pty == nil {
		return false
	}
	return s.pty.resize(m.Cols, m.Rows)
}

func (s *session) agentRequest() bool {
	return !s.busy && s.conn.ext.Has(ca.PermitAgentForwarding) && s.conn.openAgent()
}

// start runs the shell, or command by it.
func (s *session) start(command string, interactive bool) (bool, func()) {
	if s.busy {
		return false, nil
	}
	s.busy = true
	args := []string{"-c", command}
	if interactive {
		args = shellArgs(s.conn.server.shell, s.pty != nil)
	}
	env := s.environment()
	if interactive && s.pty != nil {
		// Only here: scripts take a set PS1 for a sign of a person typing.
		env = append(env, "PS1="+prompt(s.conn.server.shell, plainName(s.conn.User())))
	}
	p, err := startProcess(s.conn, s.ch, s.pty, s.conn.server.shell, args, env)
	if err != nil {
		s.conn.server.log(fmt.Sprintf("start: %v", err))
		return false, nil
	}
	s.proc = p
	return true, func() {
		if interactive && s.pty != nil {
			_, _ = io.WriteString(s.ch, motd) // fails with the channel, as all that follows
		}
		p.run()
	}
}

// environment is what sshd would set, less a history file in the folder.
func (s *session) environment() []string {
	c := s.conn
	env := []string{
		"HOME=" + c.server.home, "USER=" + c.User(), "LOGNAME=" + c.User(), "SHELL=" + c.server.shell,
		"PATH=" + searchPath(), "HISTFILE=",
	}
	if client, connection, ok := addresses(c.RemoteAddr(), c.LocalAddr()); ok {
		env = append(env, "SSH_CLIENT="+client, "SSH_CONNECTION="+connection)
	}
	for _, name := range []string{"LANG", "TZ", "TMPDIR"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	if s.pty != nil {
		env = append(env, "TERM="+s.term, "SSH_TTY="+s.pty.name)
	}
	if path := c.agentPath(); path != "" {
		env = append(env, "SSH_AUTH_SOCK="+path)
	}
	return append(env, s.env...) // the client's choice of language comes last and wins
}

func (s *session) subsystem(payload []byte) (bool, func()) {
	var m struct{ Name string }
	if err := ssh.Unmarshal(payload, &m); err != nil || m.Name != "sftp" || s.busy {
		return false, nil
	}
	s.busy = true
	server, err := sftp.NewServer(s.ch, sftp.WithServerWorkingDirectory(s.conn.server.home))
	if err != nil {
		s.conn.server.log(fmt.Sprintf("sftp: %v", err))
		return false, nil
	}
	return true, func() {
		s.conn.run(func() {
			status := uint32(0)
			if err := server.Serve(); err != nil && !errors.Is(err, io.EOF) {
				s.conn.server.log(fmt.Sprintf("sftp: %v", err))
				status = 1
			}
			finish(s.ch, "exit-status", ssh.Marshal(struct{ Status uint32 }{status}))
		})
	}
}

// finish ends a session channel in RFC 4254's order: the result, EOF, CLOSE.
// Its errors mean that the client is gone, which is where it leads anyway.
func finish(ch ssh.Channel, kind string, payload []byte) {
	_, _ = ch.SendRequest(kind, false, payload)
	_ = ch.CloseWrite()
	_ = ch.Close()
}
