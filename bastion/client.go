package bastion

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/audit/refusal"
	"entry/bastion/identity"
	"entry/policy"
	"entry/session"
	"entry/session/group"
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
	opened *opening // the target that the whole connection leads to; nil for a jump host connection
	leg    session.Leg

	slots   chan struct{} // a place for each open jump or tcp channel
	refused atomic.Int64  // channels, with an event each
	group   *group.Group
}

// errClientLeft ends what a client connection leaves behind.
var errClientLeft = &refusal.Error{Text: "the connection to entry ended", Code: "closed"}

// serve runs the connection until it ends, and everything that it started.
func (c *client) serve(ctx context.Context) {
	defer c.group.Wait()
	defer c.group.Cancel(errClientLeft)
	defer c.leg.Conn.Close()
	done := c.s.live.connected(c)
	defer done()
	// Registered first, then checked: whoever takes access away changes the
	// account first and ends what is registered then, so one of the two sees
	// the other.
	if err := c.revoked(); err != nil {
		c.noted(refused{why: "revoked", event: audit.AccessRefused})
		return
	}
	if c.opened != nil {
		c.direct(ctx)
		return
	}
	c.slots = make(chan struct{}, maxJumps)
	c.group.Go("client requests", c.requests)
	c.group.Go("client keep-alive", func() { c.keepAlive(ctx) })
	portals := make(chan struct{}, maxPortal)
	seldom := counts{}
	for nch := range c.leg.Channels {
		refuse := func(reason ssh.RejectionReason, r refused) {
			r.channel = nch.ChannelType()
			if seldom.due(r.why) {
				c.refuse(nch, reason, r)
				return
			}
			_ = nch.Reject(reason, "entry: "+ascii(r.text)) // the client may be gone
		}
		slots, open := c.slots, c.jump
		switch t := nch.ChannelType(); {
		case c.expired():
			refuse(ssh.Prohibited, refused{why: "code-too-old", text: loginTooOld})
			continue
		case c.s.draining():
			refuse(ssh.ResourceShortage, refused{why: "draining", text: "entry is about to restart; connect again in a minute"})
			continue
		case t == "direct-tcpip":
		case t == "session":
			slots, open = portals, c.portal
		default:
			refuse(ssh.UnknownChannelType, refused{why: "channel-type", text: fmt.Sprintf("%q is not offered on the connection to entry itself", clip(t))})
			continue
		}
		select {
		case slots <- struct{}{}:
			c.group.Go("client channel", func() {
				defer func() { <-slots }()
				open(ctx, nch)
			})
		default:
			refuse(ssh.ResourceShortage, refused{why: "too-many-channels", text: "too many channels are open on this connection"})
		}
	}
}

// counts says which refusals get an event where a client could cause any
// number of them without waiting: the 1st, 2nd, 4th, 8th … of a kind.
type counts map[string]int

// maxKinds bounds the names that a client makes up.
const maxKinds = 64

func (n counts) due(kind string) bool {
	if _, ok := n[kind]; !ok && len(n) >= maxKinds {
		kind = "" // all the others
	}
	n[kind]++
	return n[kind]&(n[kind]-1) == 0
}

// expired tells whether the connection's code is too old for new channels.
func (c *client) expired() bool {
	return c.s.now().Sub(c.who.At()) > c.s.o.ChannelsFor
}

// requests answers the connection's global requests: nothing is forwarded on
// the client connection itself. It goes on until the connection ends, because
// a request that nobody takes would stop everything else on it.
func (c *client) requests() {
	seldom := counts{}
	for r := range c.leg.Requests {
		if r.Type == "keepalive@openssh.com" {
			reply(r, true)
			continue
		}
		// OpenSSH's own courtesies need no answer and no event.
		if r.WantReply && seldom.due(r.Type) {
			e := refused{why: "unknown-request", event: audit.ChannelRefused, channel: r.Type}
			if strings.Contains(r.Type, "-forward") {
				e.why, e.event = "listen", audit.ForwardRefused
			}
			c.noted(e)
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

// refused is one refusal: what the user reads and what the log gets.
type refused struct {
	text   string // for the user: one ASCII line, says what to do, no internals
	why    string // short closed code for the log
	event  audit.Type
	detail string // cause, for the log

	quorum   *policy.Quorum // the approval that would change it, if one would
	waitsFor *policy.Target // of that approval

	lab, target, rule, policy, capability, destination, channel, digest string
}

// noted appends the refusal's event and returns its text with the reference
// under which it stands in the log.
func (c *client) noted(r refused) string {
	return c.s.noted(r, audit.Event{Conn: c.id, User: c.who.User(), Source: c.source.String()})
}

func (s *Server) noted(r refused, e audit.Event) string {
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

const (
	freeRefusals = 256                   // on one connection, answered at once
	refusalPause = 10 * time.Millisecond // longer with each one after those…
	longestPause = 10 * time.Second      // …up to this
)

// slowRefusal makes a client wait that is refused again and again: every
// refusal is a durable event, and nobody may write the log full with them.
func (c *client) slowRefusal(ctx context.Context) {
	n := c.refused.Add(1) - freeRefusals
	if n <= 0 {
		return
	}
	t := time.NewTimer(min(longestPause, time.Duration(n)*refusalPause))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// refuse rejects a channel with one ASCII line.
func (c *client) refuse(nch ssh.NewChannel, reason ssh.RejectionReason, r refused) {
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
