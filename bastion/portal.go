package bastion

import (
	"context"
	"fmt"
	"io"
	"strings"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/policy"
)

// maxCommand bounds what a portal session may ask to run.
const maxCommand = 1 << 10 // bytes

const (
	exitOK    = 0
	exitUsage = 2
)

// portal answers one session channel on a connection to entry itself: it
// shows where its user may go. There is no shell.
func (c *client) portal(ctx context.Context, nch ssh.NewChannel) {
	ch, reqs, err := nch.Accept()
	if err != nil {
		return
	}
	// Until the client has closed the channel too, its place stays taken; what
	// it still asks for needs no answer any more.
	defer ssh.DiscardRequests(reqs)
	defer ch.Close()
	stop := context.AfterFunc(ctx, func() { ch.Close() })
	defer stop()
	eol := "\n"
	seldom := counts{}
	for r := range reqs {
		switch r.Type {
		case "pty-req":
			eol = "\r\n"
			reply(r, true)
		case "env", "window-change":
			reply(r, true)
		case "shell", "exec":
			var m struct{ Command string }
			if r.Type == "exec" && (len(r.Payload) > maxCommand || ssh.Unmarshal(r.Payload, &m) != nil) {
				reply(r, false)
				continue
			}
			reply(r, true)
			exit(ch, c.verb(lines{ch, eol}, lines{ch.Stderr(), eol}, strings.Fields(m.Command)))
			return
		case "subsystem":
			// Accepted, so that clients show what follows and not a message of
			// their own.
			reply(r, true)
			text := c.noted(refusal{why: "subsystem", event: audit.ChannelRefused, channel: "session",
				text: fmt.Sprintf("there are no files here; go through to your machine, for example: sftp -J %s home", c.s.o.Name)})
			lines{ch.Stderr(), eol}.printf("entry: %s", ascii(text))
			exit(ch, exitUsage)
			return
		default:
			if r.WantReply && seldom.due(r.Type) {
				c.noted(refusal{why: "unknown-request", event: audit.ChannelRefused, channel: r.Type})
			}
			reply(r, false)
		}
	}
}

func reply(r *ssh.Request, ok bool) {
	_ = r.Reply(ok, nil) // the client may have left; the channel's end says so
}

// exit ends a portal session in the order that clients expect: exit-status,
// EOF, and CLOSE by the caller.
func exit(ch ssh.Channel, status uint32) {
	if _, err := ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{status})); err != nil {
		return
	}
	_ = ch.CloseWrite() // the client may have left; CLOSE follows at once
}

// lines writes whole lines with the line ending that the client's terminal
// needs.
type lines struct {
	w   io.Writer
	eol string
}

func (l lines) printf(format string, args ...any) {
	_, _ = fmt.Fprintf(l.w, format+l.eol, args...) // the client may have left
}

// verb runs one portal command and returns its exit status.
func (c *client) verb(out, errs lines, args []string) uint32 {
	switch {
	case len(args) == 0:
		out.printf("You are logged in to %s as %s. There is no shell here; it leads to your lab:", c.s.o.Name, c.who.User())
		c.targets(out)
		return exitOK
	case len(args) == 1 && args[0] == "targets":
		c.targets(out)
		return exitOK
	case args[0] == "help":
		out.printf("ssh %s            where you may go, and how", c.s.o.Name)
		out.printf("ssh %s targets    the same as a list", c.s.o.Name)
		return exitOK
	}
	errs.printf("entry: no such command; try: ssh %s help", c.s.o.Name)
	return exitUsage
}

// targets lists the user's targets, how each is reached, and why one isn't.
func (c *client) targets(out lines) {
	p := c.s.policy.Load()
	all := p.TargetsOf(c.who.User())
	if len(all) == 0 {
		out.printf("  You are in no lab yet. Ask your lab's coordinator to add you.")
		return
	}
	for _, t := range all {
		name := t.Name
		if r, err := p.Resolve(c.who.User(), t.Name); err != nil || r != t {
			name = t.FullName()
		}
		how := fmt.Sprintf("ssh -J %s %s", c.s.o.Name, name)
		if t.Kind == policy.TCP && len(t.Ports) > 0 {
			how = fmt.Sprintf("ssh -N -L %d:%s:%d %s", t.Ports[0], name, t.Ports[0], c.s.o.Name)
		}
		// Shown, not asked for: a listing is no access, so it makes no event.
		if _, err := p.Decide(policy.Request{User: c.who.User(), Target: t, Source: c.source.Addr(), Time: c.s.now()}); err != nil {
			how = userText(err)
		}
		out.printf("  %-24s %s", t.FullName(), how)
	}
}
