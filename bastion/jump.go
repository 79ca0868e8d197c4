package bastion

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/audit/refusal"
	"entry/bastion/identity"
	"entry/policy"
	"entry/session"
	"entry/session/fastconn"
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
	refuse := func(reason ssh.RejectionReason, r refused) {
		c.slowRefusal(ctx)
		r.destination = destination(m)
		c.refuse(nch, reason, r)
	}
	if err := ssh.Unmarshal(nch.ExtraData(), &m); err != nil {
		m = directTCPIP{}
		refuse(ssh.ConnectionFailed, refused{why: "malformed", text: "malformed request to open a forward"})
		return
	}
	from := originatorOf(m)
	if from == originatorRefused {
		refuse(ssh.Prohibited, refused{why: "originator",
			text: "a forward must come from your own machine (127.0.0.1), not from another one through it"})
		return
	}
	grant, r := c.authorise(m.Host, m.Port)
	var waits *policy.Quorum
	switch {
	case r == nil || r.quorum == nil:
	case r.waitsFor.Kind == policy.SSH:
		waits = r.quorum // there, banners can say so
	case from == originatorClient:
		// -W has but this one channel: it stays until it may open.
		grant, r = c.await(ctx, r.waitsFor, *r.quorum, func(string) error { return ctx.Err() })
	default:
		r = c.askAside(ctx, r.waitsFor, *r.quorum)
	}
	if r != nil && waits == nil {
		refuse(ssh.Prohibited, *r)
		return
	}
	o := &opening{c: c, grant: grant, target: grant.Target(), waits: waits}
	if waits != nil {
		o.target = r.waitsFor
	}
	var signers []ssh.Signer
	if o.target.Kind == policy.SSH {
		// Before the channel is accepted: later there is no way to say why not.
		if signers, r = c.hostKeys(o.target); r != nil {
			refuse(ssh.ConnectionFailed, *r)
			return
		}
	}
	if waits == nil {
		if o.tcp, r = c.s.dial(ctx, grant); r != nil {
			refuse(ssh.ConnectionFailed, *r)
			return
		}
	}
	if o.target.Kind == policy.TCP {
		c.forward(ctx, nch, grant, o.tcp, int(m.Port))
		return
	}
	inner, closed, err := c.accept(nch)
	if err != nil {
		o.close()
		return
	}
	defer func() { inner.Close(); <-closed }()
	stop := context.AfterFunc(ctx, func() { inner.Close() })
	defer stop()
	c.inner(ctx, inner, signers, o, from)
}

// accept opens nch as a conn. closed is closed when the client, too, has
// closed the channel: until then its place stays taken, or a client that never
// answers a CLOSE could pile up channels.
func (c *client) accept(nch ssh.NewChannel) (conn net.Conn, closed <-chan struct{}, err error) {
	ch, reqs, err := nch.Accept()
	if err != nil {
		return nil, nil, err
	}
	gone := make(chan struct{})
	c.group.Go("requests of a jump", func() {
		defer close(gone)
		ssh.DiscardRequests(reqs)
	})
	local := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: sshPort}
	return fastconn.Channel(ch, local, net.TCPAddrFromAddrPort(c.source)), gone, nil
}

// hostKeys are what a target shows to clients.
func (c *client) hostKeys(t *policy.Target) ([]ssh.Signer, *refused) {
	signers, err := c.s.o.HostKeys.Signers(t.FullName(), t.Name)
	if err != nil {
		c.s.log.Error("host key for "+t.FullName(), connFields(c.id, c.source, err)...)
		return nil, &refused{why: "no-host-key", lab: t.Lab, target: t.FullName(),
			text: "entry has no valid host key for " + t.FullName() + "; tell your operator"}
	}
	return signers, nil
}

// destination is what was asked for, as the log has it; "" for nothing.
func destination(m directTCPIP) string {
	if m == (directTCPIP{}) {
		return ""
	}
	return net.JoinHostPort(clip(m.Host), strconv.FormatUint(uint64(m.Port), 10))
}

// authorise resolves what the client calls the target and decides.
func (c *client) authorise(name string, asked uint32) (policy.Grant, *refused) {
	if err := c.revoked(); err != nil {
		return policy.Grant{}, &refused{why: "revoked", event: audit.AccessRefused, text: userText(err)}
	}
	p := c.s.policy.Load()
	t, err := p.Resolve(c.who.User(), name, c.realm()...)
	if err != nil {
		return policy.Grant{}, &refused{why: "unknown-target", policy: p.Hash(), text: resolveText(err)}
	}
	// On the wire a port has 32 bits; no number that wraps round may fit.
	if asked > math.MaxUint16 || !t.Serves(int(asked)) {
		return policy.Grant{}, &refused{why: "port", lab: t.Lab, target: t.FullName(), policy: p.Hash(),
			text: fmt.Sprintf("%s is reached on port %s, not %d", t.FullName(), portList(t), asked)}
	}
	return c.decide(p, t)
}

// decide asks policy for what the user may do on t now.
func (c *client) decide(p *policy.Policy, t *policy.Target) (policy.Grant, *refused) {
	g, err := p.Decide(c.request(t, time.Time{}))
	if err != nil {
		r := refused{why: "denied", event: audit.AccessRefused, policy: p.Hash(), lab: t.Lab, target: t.FullName(), text: userText(err)}
		var d *policy.Denied
		if errors.As(err, &d) {
			r.rule, r.quorum, r.waitsFor = d.Rule.String(), d.Approval, t
		}
		return policy.Grant{}, &r
	}
	if t.Kind == policy.TCP && !g.Allows(policy.ForwardLocal) {
		d := g.Refusal(policy.ForwardLocal)
		return policy.Grant{}, &refused{why: "denied", event: audit.AccessRefused, policy: p.Hash(), lab: t.Lab, target: t.FullName(),
			rule: d.Rule.String(), capability: policy.ForwardLocal.String(), text: userText(d), quorum: d.Approval, waitsFor: t}
	}
	return g, nil
}

// request is what policy is asked about this connection. began is when a
// session that is decided anew began, zero for something new.
func (c *client) request(t *policy.Target, began time.Time) policy.Request {
	groups, _ := c.who.Groups()
	return policy.Request{User: c.who.User(), Realm: c.who.Realm(), Groups: groups, Target: t, Source: c.source.Addr(), Time: c.s.now(), Began: began,
		Method: c.who.Method(), CodeAt: c.who.At(), Approvals: c.s.approvals.of(c.seat(t))}
}

// realm is what policy resolves names with: the realm that vouched for the
// user, then the user's groups there.
func (c *client) realm() []string {
	if c.who.Realm() == "" {
		return nil
	}
	groups, _ := c.who.Groups()
	return append([]string{c.who.Realm()}, groups...)
}

// userText is what a user may read of a policy error. Policy's own error types
// are written for users; anything else isn't shown.
func userText(err error) string {
	var d *policy.Denied
	var e *refusal.Error
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
func (c *client) inner(ctx context.Context, nc net.Conn, signers []ssh.Signer, o *opening, from originator) {
	defer o.close()
	grace := c.s.o.Grace
	if o.waits != nil {
		grace += o.waits.Wait
	}
	timer := time.AfterFunc(grace, func() { nc.Close() })
	defer timer.Stop()
	var sc *ssh.ServerConn
	var chans <-chan ssh.NewChannel
	var reqs <-chan *ssh.Request
	vc, peer, err := fastconn.ExchangeVersion(fastconn.Coalesce(nc))
	if err == nil {
		sc, chans, reqs, err = ssh.NewServerConn(vc, c.innerConfig(ctx, peer, signers, o, from))
	}
	if err != nil {
		c.s.log.Debug("inner handshake", connFields(c.id, c.source, err)...)
		if o.live == nil && o.failed == "" {
			c.noted(refused{why: "inner-handshake", lab: o.target.Lab, target: o.target.FullName(), rule: o.grant.Rule().String(), policy: o.grant.PolicyHash(),
				detail: "the SSH connection inside the jump ended before its login"})
		}
		return
	}
	timer.Stop()
	o.run(ctx, session.Leg{Conn: sc, Channels: chans, Requests: reqs})
}

// revoked is asked before anything new opens on this connection, besides
// policy: nil, or a *refusal.Error for the user.
func (c *client) revoked() error {
	if c.expired() {
		return &refusal.Error{Text: loginTooOld, Code: "code-too-old"}
	}
	return c.stands()
}

// stands tells whether the login itself still holds: nil, or a *refusal.Error
// for the user.
func (c *client) stands() error {
	err := c.s.o.Auth.Check(c.s.ctx, c.who)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, identity.ErrRevoked):
		return &refusal.Error{Text: "your access was changed; connect again", Code: "revoked"}
	}
	c.s.log.Error("check identity", connFields(c.id, c.source, err)...)
	return &refusal.Error{Text: "entry can't check your access right now, so nothing new opens; try again in some minutes", Code: "unavailable"}
}

const loginTooOld = "your login is too old for new channels; connect again"

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
		Config:                  fastconn.ServerConfig(peer),
		ServerVersion:           fastconn.Version,
		MaxAuthTries:            maxAuthTries,
		PublicKeyAuthAlgorithms: fastconn.PublicKeyAlgorithms,
		PreAuthConnCallback:     func(p ssh.ServerPreAuthConn) { pre = p },
	}
	for _, k := range signers {
		cfg.AddHostKey(k)
	}
	passthrough := o.target.Auth == policy.Passthrough
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
