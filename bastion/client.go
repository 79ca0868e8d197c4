package bastion

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/bastion/identity"
	"entry/session"
)

const (
	maxJumps  = 64 // jump and tcp channels open at a time on one client connection
	maxPortal = 10 // portal sessions, OpenSSH's MaxSessions

	clientKeepAlive = 10 * time.Minute // laptops sleep; then the connection may be gone
	keepAliveMisses = 3
)

// client is an authenticated client connection. Its identity was set once, by
// the handshake.
type client struct {
	s      *Server
	id     string
	source netip.AddrPort
	who    identity.Identity
	target string // what the whole connection leads to; empty for a jump host connection
	opened *opening
	leg    session.Leg

	slots chan struct{} // a place for each open jump or tcp channel
	wg    sync.WaitGroup
}

// serve runs the connection until it ends, and everything that it started.
func (c *client) serve(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer c.wg.Wait()
	defer cancel()
	defer c.leg.Conn.Close()
	done := c.s.live.connected(c)
	defer done()
	if c.target != "" {
		c.direct(ctx)
		return
	}
	c.slots = make(chan struct{}, maxJumps)
	c.goes(func() { c.requests() })
	c.goes(func() { c.keepAlive(ctx) })
	portals := make(chan struct{}, maxPortal)
	for nch := range c.leg.Channels {
		switch t := nch.ChannelType(); {
		case c.expired():
			c.refuse(nch, ssh.Prohibited, refusal{why: "code-too-old", text: "your login is too old for new channels; connect again"})
		case t == "direct-tcpip":
			if !c.take(c.slots, nch) {
				continue
			}
			c.goes(func() {
				defer func() { <-c.slots }()
				c.jump(ctx, nch)
			})
		case t == "session":
			if !c.take(portals, nch) {
				continue
			}
			c.goes(func() {
				defer func() { <-portals }()
				c.portal(ctx, nch)
			})
		default:
			c.refuse(nch, ssh.UnknownChannelType, refusal{why: "channel-type", text: fmt.Sprintf("%q is not offered on the connection to entry itself", clip(t)), channel: t})
		}
	}
}

// goes runs f on its own goroutine; serve waits for it. A panic ends the
// connection, not the server.
func (c *client) goes(f func()) {
	c.wg.Add(1)
	go func() {
		defer c.wg.Done()
		defer c.s.recoverFrom("client connection", c.source, c.leg.Conn)
		f()
	}()
}

// take reserves a slot, or refuses the channel when there is none.
func (c *client) take(slots chan struct{}, nch ssh.NewChannel) bool {
	select {
	case slots <- struct{}{}:
		return true
	default:
		c.refuse(nch, ssh.ResourceShortage, refusal{why: "too-many-channels", text: "too many channels are open on this connection"})
		return false
	}
}

// expired tells whether the connection's code is too old for new channels.
func (c *client) expired() bool {
	return c.s.now().Sub(c.who.At()) > c.s.o.ChannelsFor
}

// requests answers the connection's global requests: nothing is forwarded on
// the client connection itself.
func (c *client) requests() {
	for r := range c.leg.Requests {
		ok := r.Type == "keepalive@openssh.com"
		if !ok && r.WantReply {
			c.s.log.Debug("global request refused: " + fmt.Sprintf("%q", clip(r.Type)))
		}
		if err := r.Reply(ok, nil); err != nil {
			return
		}
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
			c.wg.Add(1)
			go func() {
				defer c.wg.Done()
				if _, _, err := c.leg.Conn.SendRequest("keepalive@openssh.com", true, nil); err == nil {
					answered <- struct{}{}
				}
			}()
		}
	}
}

// refusal is one refusal: what the user reads and what the log gets.
type refusal struct {
	text   string // for the user: one ASCII line, says what to do, no internals
	why    string // short closed code for the log
	event  audit.Type
	detail string // cause, for the log

	lab, target, rule, policy, capability, destination, channel, digest string
}

// noted appends the refusal's event and returns its text with the reference
// under which it stands in the log.
func (c *client) noted(r refusal) string {
	return c.s.noted(r, audit.Event{Conn: c.id, User: c.who.User(), Source: c.source.String()})
}

func (s *Server) noted(r refusal, e audit.Event) string {
	e.Ref = newRef()
	e.Type = r.event
	if e.Type == "" {
		e.Type = audit.JumpRefused
	}
	e.Reason, e.Detail = r.why, clip(r.detail)
	e.Lab, e.Target, e.Rule, e.Policy, e.Capability = r.lab, r.target, r.rule, r.policy, r.capability
	e.Destination, e.ChannelType, e.Digest = clip(r.destination), clip(r.channel), r.digest
	s.append(e)
	return fmt.Sprintf("%s (ref %s)", r.text, e.Ref)
}

// refuse rejects a channel with one ASCII line.
func (c *client) refuse(nch ssh.NewChannel, reason ssh.RejectionReason, r refusal) {
	_ = nch.Reject(reason, "entry: "+ascii(c.noted(r))) // the client may be gone
}

// ascii is s as OpenSSH shows it in a refused channel: it would print anything
// else as octal numbers.
func ascii(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r >= 0x7f {
			return '?'
		}
		return r
	}, s)
}

// clip bounds a peer's string for the log.
func clip(s string) string {
	const most = 256 // bytes
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}
