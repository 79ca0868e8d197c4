package bastion

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/audit"
)

// maxCommand bounds what a portal session may ask to run.
const maxCommand = 1 << 10 // bytes

// portalIdle is how long a portal session waits for an answer.
const portalIdle = 10 * time.Minute

// portal answers one session channel on a connection to entry itself: the
// commands of the user's own account. There is no shell of the machine.
func (c *client) portal(ctx context.Context, nch ssh.NewChannel) {
	ch, reqs, err := nch.Accept()
	if err != nil {
		return
	}
	// Until the client has closed the channel too, its place stays taken; what
	// it still asks for needs no answer any more.
	defer ssh.DiscardRequests(reqs)
	defer ch.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { ch.Close() })
	defer stop()
	var pty *ptyRequest
	seldom := counts{}
	for r := range reqs {
		switch r.Type {
		case "pty-req":
			var m ptyRequest
			ok := ssh.Unmarshal(r.Payload, &m) == nil
			if ok {
				pty = &m
			}
			reply(r, ok)
		case "env", "window-change":
			reply(r, true)
		case "shell", "exec":
			var m struct{ Command string }
			if r.Type == "exec" && (len(r.Payload) > maxCommand || ssh.Unmarshal(r.Payload, &m) != nil) {
				reply(r, false)
				continue
			}
			reply(r, true)
			c.sitDown(ctx, cancel, ch, reqs, pty, strings.Fields(m.Command))
			return
		case "subsystem":
			// Accepted, so that clients show what follows and not a message of
			// their own.
			reply(r, true)
			text := c.noted(refused{why: "subsystem", event: audit.ChannelRefused, channel: "session",
				text: fmt.Sprintf("there are no files here; go through to your machine, for example: sftp -J %s home", c.s.o.Name)})
			lines{ch.Stderr(), "\n"}.printf("entry: %s", ascii(text))
			exit(ch, exitUsage)
			return
		default:
			if r.WantReply && seldom.due(r.Type) {
				c.noted(refused{why: "unknown-request", event: audit.ChannelRefused, channel: r.Type})
			}
			reply(r, false)
		}
	}
}

// sitDown runs one command, or the portal's shell where there is none, and
// answers requests meanwhile. cancel ends what the command waits for.
func (c *client) sitDown(ctx context.Context, cancel func(), ch ssh.Channel, reqs <-chan *ssh.Request, pty *ptyRequest, args []string) {
	local, remote := c.leg.Conn.LocalAddr(), c.leg.Conn.RemoteAddr()
	d := newDesk(ch, pty, local, remote, c.s.o.PortalIdle)
	defer d.in.Close()
	done := make(chan uint32, 1)
	gone := false
	c.group.Go("portal command", func() {
		status := uint32(exitFailed)
		defer func() { done <- status }()
		status = c.serveDesk(ctx, d, args)
	})
	for {
		select {
		case status := <-done:
			if !gone {
				exit(ch, status)
			}
			return
		case r, ok := <-reqs:
			if !ok {
				// The client has closed the channel: nobody answers any more.
				gone, reqs = true, nil
				cancel()
				d.in.Close()
				continue
			}
			if r.Type == "window-change" {
				var m windowChange
				if ssh.Unmarshal(r.Payload, &m) == nil {
					d.size(m.Columns, m.Rows)
				}
			}
			reply(r, r.Type == "window-change")
		}
	}
}

// serveDesk is what a user at d gets: the command, the shell at a terminal, or
// the overview without one.
func (c *client) serveDesk(ctx context.Context, d *desk, args []string) uint32 {
	for _, w := range c.who.Warnings() {
		d.errs.printf("entry: %s", w)
	}
	switch {
	case len(args) > 0:
		return c.do(ctx, d, args)
	case d.pty:
		return c.shell(ctx, d)
	}
	d.out.printf("You are logged in to %s as %s. There is no shell here; it leads to your lab:", c.s.o.Name, c.who.User())
	c.targets(d.out)
	d.out.printf("More: ssh %s help", c.s.o.Name)
	return exitOK
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
