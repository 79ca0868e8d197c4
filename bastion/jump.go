package bastion

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/audit/plain"
	"entry/bastion/access"
	"entry/bastion/identity"
	"entry/policy"
	"entry/policy/pubkey"
	"entry/session"
	"entry/session/fastconn"
)

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
	refuse := func(reason ssh.RejectionReason, r *access.Refused) {
		c.slowRefusal(ctx)
		r.Event.Destination = destination(m)
		c.refuse(nch, reason, r)
	}
	if err := ssh.Unmarshal(nch.ExtraData(), &m); err != nil {
		m = directTCPIP{}
		refuse(ssh.ConnectionFailed, access.Refuse("malformed", "malformed request to open a forward", audit.Event{}))
		return
	}
	from := originatorOf(m)
	if from == originatorRefused {
		refuse(ssh.Prohibited, access.Refuse("originator",
			"a forward must come from your own machine (127.0.0.1), not from another one through it", audit.Event{}))
		return
	}
	grant, r := c.login.Authorise(m.Host, m.Port)
	var waits *policy.Quorum
	switch {
	case r == nil || r.Approval == nil:
	case r.Target.Kind == policy.SSH:
		waits = r.Approval // there, banners can say so
	case from == originatorClient:
		// -W has but this one channel: it stays until it may open.
		grant, r = c.login.Await(ctx, r.Target, *r.Approval, func(string) error { return ctx.Err() })
	default:
		r = c.login.AskAside(ctx, r.Target, *r.Approval)
	}
	if r != nil && waits == nil {
		refuse(ssh.Prohibited, r)
		return
	}
	o := &opening{c: c, grant: grant, target: grant.Target(), waits: waits}
	if waits != nil {
		o.target = r.Target
	}
	var signers []ssh.Signer
	if o.target.Kind == policy.SSH {
		// Before the channel is accepted: later there is no way to say why not.
		if signers, r = c.hostKeys(o.target); r != nil {
			refuse(ssh.ConnectionFailed, r)
			return
		}
	}
	if waits == nil {
		if o.tcp, r = c.s.dial(ctx, grant); r != nil {
			refuse(ssh.ConnectionFailed, r)
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
	local := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: access.SSHPort}
	return fastconn.Channel(c.group, ch, local, net.TCPAddrFromAddrPort(c.login.Source())), gone, nil
}

// hostKeys are what a target shows to clients.
func (c *client) hostKeys(t *policy.Target) ([]ssh.Signer, *access.Refused) {
	signers, err := c.s.o.HostKeys.Signers(t.FullName(), t.Name)
	if err != nil {
		c.s.log.Error("host key for "+t.FullName(), c.fields(err)...)
		return nil, access.Refuse("no-host-key", "entry has no valid host key for "+t.FullName()+"; tell your operator", audit.Event{Lab: t.Lab, Target: t.FullName()})
	}
	return signers, nil
}

// destination is what was asked for, as the log has it; "" for nothing.
func destination(m directTCPIP) string {
	if m == (directTCPIP{}) {
		return ""
	}
	return net.JoinHostPort(plain.Clip(m.Host, maxPeer), strconv.FormatUint(uint64(m.Port), 10))
}

// inner serves SSH on the jump channel with the target's own key, and opens
// the target within its authentication: there the user name is known, the
// target's banner can be passed on, and so can its own prompts.
func (c *client) inner(ctx context.Context, nc net.Conn, signers []ssh.Signer, o *opening, from originator) {
	defer o.close()
	grace := c.s.cfg.Login.Grace
	if o.waits != nil {
		grace += o.waits.Wait
	}
	timer := time.AfterFunc(grace, func() { nc.Close() })
	defer timer.Stop()
	var sc *ssh.ServerConn
	var chans <-chan ssh.NewChannel
	var reqs <-chan *ssh.Request
	vc, peer, err := fastconn.ExchangeVersion(nc)
	if err == nil {
		sc, chans, reqs, err = ssh.NewServerConn(vc, c.innerConfig(ctx, peer, signers, o, from))
	}
	if err != nil {
		c.s.log.Debug("inner handshake", c.fields(err)...)
		if o.live == nil && o.failed == "" {
			c.note(access.Refuse("inner-handshake", "", audit.Event{Lab: o.target.Lab, Target: o.target.FullName(), Rule: o.grant.Rule().String(), Policy: o.grant.PolicyHash(),
				Detail: "the SSH connection inside the jump ended before its login"}))
		}
		return
	}
	timer.Stop()
	o.run(ctx, session.Leg{Conn: sc, Channels: chans, Requests: reqs})
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
			if err := c.s.o.Auth.Confirm(ctx, c.login.Who(), identity.Attempt{Source: c.login.Source(), Conn: c.login.Conn()}, asker(ask)); err != nil {
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
	cfg.PublicKeyCallback = func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		return nil, pubkey.CheckCost(key)
	}
	cfg.VerifiedPublicKeyCallback = func(m ssh.ConnMetadata, _ ssh.PublicKey, _ *ssh.Permissions, _ string) (*ssh.Permissions, error) {
		return open(m, nil)
	}
	return cfg
}
