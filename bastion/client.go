package bastion

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/audit/plain"
	"entry/audit/refusal"
	"entry/bastion/access"
	"entry/session"
	"entry/session/fastconn"
	"entry/session/group"
)

const (
	maxPeer = 256  // bytes of what a peer says, for the log
	maxLine = 1000 // bytes of one line to a client

	maxJumps  = 64 // jump and tcp channels open at a time on one client connection
	maxPortal = 10 // portal sessions, OpenSSH's MaxSessions
	maxTold   = 8  // refused jumps that are told why inside; more are refused as channels

	clientKeepAlive = 10 * time.Minute // laptops sleep; then the connection may be gone
	keepAliveMisses = 3
)

// client is an authenticated client connection. Its identity was set once, by
// the handshake.
type client struct {
	s      *Server
	login  *access.Login
	leave  func()          // forgets login
	no     *access.Refused // why nothing opens on it; nil where something may
	opened *opening        // the target that the whole connection leads to; nil for a jump host connection
	leg    session.Leg

	slots    chan struct{} // a place for each open jump or tcp channel
	confirms confirmations // of jumps of other programs
	group    *group.Group
	backlog  *session.Backlog // of all that it carries
	ahead    *fastconn.Ahead  // in all of the user's jumps
}

// errClientLeft ends what a client connection leaves behind.
var errClientLeft = &refusal.Error{Text: "the connection to entry ended", Code: refusal.Closed}

// serve runs the connection until it ends, and everything that it started.
func (c *client) serve(ctx context.Context) {
	defer c.group.Wait()
	defer c.group.Cancel(errClientLeft)
	defer c.leg.Conn.Close()
	if c.opened != nil {
		defer c.opened.close() // whatever refuses the connection from here on
	}
	var forget func()
	c.backlog, c.ahead, forget = c.s.backlogs.connection(c.login.Who().User(), c.group)
	defer forget()
	defer c.watch(c.leg.Intake)()
	if c.opened != nil {
		c.opened.c.backlog, c.opened.c.ahead = c.backlog, c.ahead
	}
	defer c.leave()
	if c.opened != nil {
		c.direct(ctx)
		return
	}
	if c.no != nil {
		c.no.Text = "" // nobody is there to read it
		c.note(c.no)
		return
	}
	c.slots = make(chan struct{}, maxJumps)
	c.group.Go("client requests", c.requests)
	c.group.Go("client keep-alive", func() { c.keepAlive(ctx) })
	portals, told := make(chan struct{}, maxPortal), make(chan struct{}, maxTold)
	for nch := range c.leg.Channels {
		c.leg.Intake.Asked()
		refuse := func(reason ssh.RejectionReason, r *access.Refused) {
			r.Event.ChannelType = nch.ChannelType()
			if isJump(nch) {
				select {
				case told <- struct{}{}:
					c.group.Go("refused jump", func() {
						defer func() { <-told }()
						c.tell(nch, "", c.note(r))
					})
					return
				default:
				}
			}
			c.refuse(nch, reason, r)
		}
		slots, open := c.slots, c.jump
		switch t := nch.ChannelType(); {
		case c.login.Expired() != nil:
			refuse(ssh.Prohibited, c.login.Expired())
			continue
		case c.s.draining():
			refuse(ssh.ResourceShortage, access.Refuse("draining", "entry is about to restart; connect again in a minute", audit.Event{}))
			continue
		case t == "direct-tcpip":
		case t == "session":
			slots, open = portals, c.portal
		default:
			refuse(ssh.UnknownChannelType, access.Refuse("channel-type", fmt.Sprintf("%q is not offered on the connection to entry itself", plain.Clip(t, maxPeer)), audit.Event{}))
			continue
		}
		select {
		case slots <- struct{}{}:
			c.group.Go("client channel", func() {
				defer func() { <-slots }()
				if c.login.Turn(ctx) == nil && c.backlog.Await(ctx) == nil {
					open(ctx, nch)
				}
			})
		default:
			refuse(ssh.ResourceShortage, access.Refuse("too-many-channels", "too many channels are open on this connection", audit.Event{}))
		}
	}
}

// requests answers the connection's global requests: nothing is forwarded on
// the client connection itself. It goes on until the connection ends, because
// a request that nobody takes would stop everything else on it.
func (c *client) requests() {
	for r := range c.leg.Requests {
		c.leg.Intake.Asked()
		if r.Type == "keepalive@openssh.com" {
			reply(r, true)
			continue
		}
		// OpenSSH's own courtesies need no answer and no event.
		if r.WantReply {
			no := access.Refuse("unknown-request", "", audit.Event{Type: audit.ChannelRefused, ChannelType: r.Type})
			if strings.Contains(r.Type, "-forward") {
				no.Code, no.Event.Type = "listen", audit.ForwardRefused
			}
			c.note(no)
		}
		reply(r, false)
	}
}

// keepAlive closes a connection whose client has gone away without a word.
// SendRequest has no timeout, so the answer is waited for beside it.
func (c *client) keepAlive(ctx context.Context) {
	t := time.NewTicker(clientKeepAlive)
	defer t.Stop()
	answered := make(chan struct{}, 1)
	missed := 0
	waiting := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-answered:
			waiting, missed = false, 0
		case <-t.C:
			if waiting {
				if missed++; missed == keepAliveMisses {
					c.leg.Conn.Close()
					return
				}
				continue
			}
			waiting = true
			c.group.Go("client keep-alive request", func() {
				if _, _, err := c.leg.Conn.SendRequest("keepalive@openssh.com", true, nil); err == nil {
					answered <- struct{}{}
				}
			})
		}
	}
}

// portal answers one session channel on the connection to entry itself.
func (c *client) portal(ctx context.Context, nch ssh.NewChannel) {
	defer c.login.Busy()()
	c.s.portal.Serve(ctx, c.login, c.leg, c.group, nch)
}

// fields say in the server's log whose connection err is about.
func (c *client) fields(err error) []zap.Field {
	return connFields(c.login.Conn(), c.login.Source(), err)
}

// note puts r on record and returns its line for the user.
func (c *client) note(r *access.Refused) string { return c.login.Note(r) }

// refuse rejects a channel with one ASCII line.
func (c *client) refuse(nch ssh.NewChannel, reason ssh.RejectionReason, r *access.Refused) {
	_ = nch.Reject(reason, "entry: "+plain.ASCII(c.note(r), maxLine)) // the client may be gone
}

func reply(r *ssh.Request, ok bool) {
	_ = r.Reply(ok, nil) // the client may have left; the channel's end says so
}
