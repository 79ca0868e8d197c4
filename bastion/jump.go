package bastion

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/bastion/identity"
	"entry/policy"
	"entry/session"
)

// sshPort is where every SSH target answers, whatever port it listens on.
const sshPort = 22

// directTCPIP is the payload of a direct-tcpip channel (RFC 4254 §7.2).
type directTCPIP struct {
	Host           string
	Port           uint32
	Originator     string
	OriginatorPort uint32
}

// originator is who stands at the client's end of a jump channel, as far as
// the client says so. A local process can imitate it: it decides whether the
// passphrase is asked once more, and no security claim rests on it.
type originator uint8

const (
	originatorRefused originator = iota // not on the client's own machine
	originatorForeign                   // some program behind a forwarded port
	originatorClient                    // the SSH client itself: -J, -W
)

// originatorOf reads the courtesy that clients pay: OpenSSH opens -J and -W
// from 127.0.0.1:65535, dropbear from 127.0.0.1:22.
func originatorOf(m directTCPIP) originator {
	host := m.Originator
	if host == "localhost" {
		return originatorForeign
	}
	a, err := netip.ParseAddr(host)
	// PuTTY says 0.0.0.0 for its own connections: nothing is known then.
	if err != nil || !a.Unmap().IsLoopback() && !a.Unmap().IsUnspecified() {
		return originatorRefused
	}
	if a.Unmap() == netip.AddrFrom4([4]byte{127, 0, 0, 1}) && (m.OriginatorPort == 65535 || m.OriginatorPort == 22) {
		return originatorClient
	}
	return originatorForeign
}

// jump answers one direct-tcpip channel: it never dials what the client named,
// only the target that policy knows by that name.
func (c *client) jump(ctx context.Context, nch ssh.NewChannel) {
	var m directTCPIP
	if err := ssh.Unmarshal(nch.ExtraData(), &m); err != nil {
		c.refuse(nch, ssh.ConnectionFailed, refusal{why: "malformed", text: "malformed request to open a forward"})
		return
	}
	from := originatorOf(m)
	if from == originatorRefused {
		c.refuse(nch, ssh.Prohibited, refusal{why: "originator", destination: destination(m),
			text: "a forward must come from your own machine (127.0.0.1), not from another one through it"})
		return
	}
	grant, r := c.authorise(m.Host, int(m.Port))
	if r != nil {
		r.destination = destination(m)
		c.refuse(nch, ssh.Prohibited, *r)
		return
	}
	tc, r := c.s.dial(ctx, grant)
	if r != nil {
		c.refuse(nch, ssh.ConnectionFailed, *r)
		return
	}
	if grant.Target().Kind == policy.TCP {
		c.forward(ctx, nch, grant, tc, int(m.Port))
		return
	}
	ch, reqs, err := nch.Accept()
	if err != nil {
		tc.Close()
		return
	}
	c.goes(func() { ssh.DiscardRequests(reqs) })
	local := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: sshPort}
	inner := session.ChannelConn(ch, local, net.TCPAddrFromAddrPort(c.source))
	defer inner.Close()
	stop := context.AfterFunc(ctx, func() { inner.Close() })
	defer stop()
	c.inner(ctx, inner, grant, tc, from)
}

func destination(m directTCPIP) string { return fmt.Sprintf("%s:%d", clip(m.Host), m.Port) }

// authorise resolves what the client calls the target and decides.
func (c *client) authorise(name string, port int) (policy.Grant, *refusal) {
	if err := c.revoked(); err != nil {
		return policy.Grant{}, &refusal{why: "revoked", text: userText(err)}
	}
	p := c.s.policy.Load()
	t, err := p.Resolve(c.who.User(), name)
	if err != nil {
		return policy.Grant{}, &refusal{why: "unknown-target", policy: p.Hash(), text: resolveText(err)}
	}
	if !t.Serves(port) {
		return policy.Grant{}, &refusal{why: "port", lab: t.Lab, target: t.FullName(),
			text: fmt.Sprintf("%s is reached on port %s, not %d", t.FullName(), portList(t), port)}
	}
	return c.decide(p, t)
}

// decide asks policy for what the user may do on t now.
func (c *client) decide(p *policy.Policy, t *policy.Target) (policy.Grant, *refusal) {
	g, err := p.Decide(policy.Request{User: c.who.User(), Target: t, Source: c.source.Addr(), Time: c.s.now()})
	if err != nil {
		r := refusal{why: "denied", event: audit.AccessRefused, policy: p.Hash(), lab: t.Lab, target: t.FullName(), text: userText(err)}
		var d *policy.Denied
		if errors.As(err, &d) {
			r.rule = d.Rule.String()
		}
		return policy.Grant{}, &r
	}
	if t.Kind == policy.TCP && !g.Allows(policy.ForwardLocal) {
		d := g.Refusal(policy.ForwardLocal)
		return policy.Grant{}, &refusal{why: "denied", event: audit.AccessRefused, policy: p.Hash(), lab: t.Lab, target: t.FullName(),
			rule: d.Rule.String(), capability: policy.ForwardLocal.String(), text: userText(d)}
	}
	return g, nil
}

// userText is what a user may read of a policy error. Policy's own error types
// are written for users; anything else isn't shown.
func userText(err error) string {
	var d *policy.Denied
	var e *session.End
	switch {
	case errors.As(err, &d):
		return d.Error()
	case errors.As(err, &e):
		return e.Text
	}
	return "not permitted"
}

func resolveText(err error) string {
	var u *policy.UnknownTarget
	var a *policy.Ambiguous
	if errors.As(err, &u) || errors.As(err, &a) {
		return err.Error()
	}
	return "no such target"
}

// portList is the target's ports in words.
func portList(t *policy.Target) string {
	var words []string
	if t.Kind == policy.SSH {
		words = append(words, strconv.Itoa(sshPort))
	}
	for _, p := range t.Ports {
		words = append(words, strconv.Itoa(p))
	}
	return strings.Join(words, " or ")
}

// inner serves SSH on the jump channel with the target's own key, and opens
// the target within its authentication: there the user name is known, the
// target's banner can be passed on, and so can its own prompts.
func (c *client) inner(ctx context.Context, nc net.Conn, grant policy.Grant, tc net.Conn, from originator) {
	signers, err := c.s.o.HostKeys.Signers(grant.Target().FullName(), grant.Target().Name)
	if err != nil {
		c.s.log.Error("host key for "+grant.Target().FullName(), connFields(c.id, c.source, err)...)
		tc.Close()
		return
	}
	o := &opening{s: c.s, conn: c.id, source: c.source, who: c.who, grant: grant, tcp: tc, revoked: c.revoked}
	defer o.close()
	timer := time.AfterFunc(c.s.o.Grace, func() { nc.Close() })
	defer timer.Stop()
	vc, peer, err := exchangeVersion(session.Coalesce(nc))
	if err != nil {
		return
	}
	sc, chans, reqs, err := ssh.NewServerConn(vc, c.innerConfig(ctx, peer, signers, o, from))
	if err != nil {
		c.s.log.Debug("inner handshake", connFields(c.id, c.source, err)...)
		return
	}
	timer.Stop()
	o.run(ctx, session.Leg{Conn: sc, Channels: chans, Requests: reqs})
}

// revoked is asked before anything new opens on this connection, besides
// policy: nil, or a *session.End for the user.
func (c *client) revoked() error {
	if c.expired() {
		return &session.End{Text: "your login is too old for new channels; connect again", Reason: "code-too-old"}
	}
	if err := c.s.o.Auth.Check(c.s.ctx, c.who); err != nil {
		if !errors.Is(err, identity.ErrRevoked) {
			c.s.log.Error("check identity", connFields(c.id, c.source, err)...)
		}
		return &session.End{Text: "your access was changed; connect again", Reason: "revoked"}
	}
	return nil
}

// innerConfig is the inner connection's authentication. Behind the client
// itself any method succeeds, because the client connection has proven who
// this is; behind any other originator the passphrase is asked once. The
// inner user name is never identity.
func (c *client) innerConfig(ctx context.Context, peer []byte, signers []ssh.Signer, o *opening, from originator) *ssh.ServerConfig {
	var pre ssh.ServerPreAuthConn
	var once sync.Once
	open := func(m ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
		once.Do(func() { o.open(ctx, m.User(), pre, ask) })
		if o.denied {
			return nil, &ssh.PartialSuccessError{} // the target refused the user's answers: close
		}
		return &ssh.Permissions{}, nil
	}
	cfg := &ssh.ServerConfig{
		Config:                  algorithms(peer),
		ServerVersion:           version,
		MaxAuthTries:            maxAuthTries,
		PublicKeyAuthAlgorithms: publicKeyAlgorithms,
		PreAuthConnCallback:     func(p ssh.ServerPreAuthConn) { pre = p },
	}
	for _, k := range signers {
		cfg.AddHostKey(k)
	}
	passthrough := o.grant.Target().Auth == policy.Passthrough
	cfg.KeyboardInteractiveCallback = func(m ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
		if from == originatorForeign {
			if err := c.s.o.Auth.Confirm(ctx, c.who, identity.Attempt{Source: c.source, Conn: c.id}, asker(ask)); err != nil {
				return nil, &ssh.PartialSuccessError{}
			}
		} else if !passthrough {
			if _, err := ask("", "", nil, nil); err != nil {
				return nil, err
			}
		}
		return open(m, ask)
	}
	if from == originatorForeign || passthrough {
		return cfg
	}
	cfg.NoClientAuth = true
	cfg.NoClientAuthCallback = func(m ssh.ConnMetadata) (*ssh.Permissions, error) { return open(m, nil) }
	cfg.PublicKeyCallback = func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) { return nil, usableKey(key) }
	cfg.VerifiedPublicKeyCallback = func(m ssh.ConnMetadata, _ ssh.PublicKey, _ *ssh.Permissions, _ string) (*ssh.Permissions, error) {
		return open(m, nil)
	}
	return cfg
}
