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

// ownClient tells whether the SSH client itself stands at its end of a jump
// channel, as far as it says so: OpenSSH opens -J and -W from 127.0.0.1:65535,
// dropbear from 127.0.0.1:22. Whatever else is said, or nothing (PuTTY, paramiko,
// a forwarded port), may come from another program. The originator is a courtesy
// that a local process can imitate: it decides whether a proof is asked once more,
// and no security claim rests on it.
func ownClient(m directTCPIP) bool {
	a, err := netip.ParseAddr(m.Originator)
	return err == nil && a == netip.AddrFrom4([4]byte{127, 0, 0, 1}) && (m.OriginatorPort == 65535 || m.OriginatorPort == 22)
}

// jump answers one direct-tcpip channel: it never dials what the client named,
// only the target that policy knows by that name.
func (c *client) jump(ctx context.Context, nch ssh.NewChannel) {
	var m directTCPIP
	refuse := func(reason ssh.RejectionReason, r *access.Refused) {
		r.Event.Destination = destination(m)
		if m.Port == access.SSHPort || ownClient(m) && c.machine(r.Event.Target) != nil {
			c.tell(nch, r.Event.Target, c.note(r))
			return
		}
		c.refuse(nch, reason, r)
	}
	if err := ssh.Unmarshal(nch.ExtraData(), &m); err != nil {
		m = directTCPIP{}
		refuse(ssh.ConnectionFailed, access.Refuse("malformed", "malformed request to open a forward", audit.Event{}))
		return
	}
	own := ownClient(m)
	if !own && c.confirms.over() {
		refuse(ssh.Prohibited, noConfirms())
		return
	}
	done, r := c.login.Channel()
	if r != nil {
		refuse(ssh.ResourceShortage, r)
		return
	}
	defer done()
	grant, r := c.login.Authorise(m.Host, m.Port)
	var waits *policy.Quorum
	switch {
	case r == nil || r.Approval == nil:
	case r.Target.Kind == policy.SSH:
		waits = r.Approval // there, banners can say so
	case own:
		// -W has but this one channel: it stays until it may open.
		grant, r = c.login.Await(ctx, r.Target, *r.Approval, func(string) error { return ctx.Err() })
	default:
		r = c.login.AskAside(ctx, r.Target, *r.Approval)
	}
	if r != nil && waits == nil {
		refuse(ssh.Prohibited, r)
		return
	}
	if waits == nil && grant.Target().Kind == policy.TCP {
		defer c.login.Busy()()
		tcp, r := c.s.dial(ctx, grant)
		if r != nil {
			refuse(ssh.ConnectionFailed, r)
			return
		}
		c.forward(ctx, nch, grant, tcp, int(m.Port))
		return
	}
	// Nothing is dialled until the client inside has logged in: who only opens channels
	// has none of the target's few places for those who haven't.
	o := &opening{c: c, grant: grant, target: grant.Target(), waits: waits, destination: destination(m)}
	if waits != nil {
		o.target = r.Target
	}
	// Before the channel is accepted: later there is no way to say why not.
	signers, r := c.hostKeys(o.target)
	if r != nil {
		refuse(ssh.ConnectionFailed, r)
		return
	}
	user := c.login.Who().User()
	place, err := c.s.inner.take(ctx, user, user)
	if err != nil {
		return // the connection has ended
	}
	defer place.give()
	o.shown = place.give
	inner, closed, err := c.accept(nch)
	if err != nil {
		return
	}
	defer func() { inner.Close(); <-closed }()
	stop := context.AfterFunc(ctx, func() { inner.Close() })
	defer stop()
	c.inner(ctx, inner, signers, o, own)
}

// machine is the target of that full name, if SSH is spoken there.
func (c *client) machine(name string) *policy.Target {
	if t, ok := c.s.gate.Policy().Target(name); ok && t.Kind == policy.SSH {
		return t
	}
	return nil
}

// isJump tells whether a channel that was opened without being looked at leads to
// where SSH is spoken.
func isJump(nch ssh.NewChannel) bool {
	var m directTCPIP
	return nch.ChannelType() == "direct-tcpip" && ssh.Unmarshal(nch.ExtraData(), &m) == nil && m.Port == access.SSHPort
}

// tell opens a jump only to say why it goes nowhere, to the SSH client inside it:
// the text of a refused channel is hidden by OpenSSH's connection sharing, by -W
// under -q, and by most libraries. Nothing is dialled. target is the full name, ""
// where there is none.
func (c *client) tell(nch ssh.NewChannel, target, why string) {
	line := "entry: " + plain.ASCII(why, maxLine)
	inner, closed, err := c.accept(nch)
	if err != nil {
		return
	}
	defer func() { inner.Close(); <-closed }()
	if inner.SetDeadline(time.Now().Add(refusalGrace)) != nil {
		return
	}
	vc, peer, err := fastconn.ExchangeVersion(inner)
	switch {
	case err != nil: // no SSH client, or it is gone
	case isDropbear(peer):
		c.bannerOnly(vc, peer, target, line)
	default:
		_ = fastconn.Disconnect(inner, fastconn.NotAvailable, line) // the client may be gone
	}
}

// bannerOnly tells dropbear, which shows no text of a disconnect, by a banner;
// that takes a key exchange. target is the full name, "" where there is none:
// then the host key shown is entry's own.
func (c *client) bannerOnly(nc net.Conn, peer []byte, target, line string) {
	signers := c.s.hostSigners()
	if t := c.machine(target); t != nil {
		if theirs, r := c.hostKeys(t); r == nil {
			signers = theirs
		}
	}
	var pre ssh.ServerPreAuthConn
	cfg := &ssh.ServerConfig{
		Config: fastconn.ServerConfig(peer), ServerVersion: fastconn.Version, NoClientAuth: true,
		PreAuthConnCallback: func(p ssh.ServerPreAuthConn) { pre = p },
		NoClientAuthCallback: func(ssh.ConnMetadata) (*ssh.Permissions, error) {
			_ = pre.SendAuthBanner(line + "\r\n")  // the client may be gone
			return nil, &ssh.PartialSuccessError{} // no further method: the connection closes
		},
	}
	for _, k := range signers {
		cfg.AddHostKey(k)
	}
	if sc, _, _, err := ssh.NewServerConn(nc, cfg); err == nil {
		sc.Close() // unreachable: nobody gets in by this configuration
	}
}

// maxInner is how many connections inside one user's jumps may be before their login, of
// all client connections together; more of them wait. Each takes about 120 kB of memory.
const maxInner = 32

// refusalGrace is how long a client may take to read why it is refused.
const refusalGrace = 5 * time.Second

// accept opens nch as a conn. closed is closed when the client, too, has
// closed the channel: until then its place stays taken, or a client that never
// answers a CLOSE could pile up channels.
func (c *client) accept(nch ssh.NewChannel) (conn net.Conn, closed <-chan struct{}, err error) {
	ch, reqs, err := c.leg.Intake.Accept(nch)
	if err != nil {
		return nil, nil, err
	}
	gone := make(chan struct{})
	c.group.Go("requests of a jump", func() {
		defer close(gone)
		c.leg.Intake.Discard(reqs)
	})
	local := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: access.SSHPort}
	conn = fastconn.Channel(c.group, ch, local, net.TCPAddrFromAddrPort(c.login.Source()))
	fastconn.Share(conn, c.ahead)
	return conn, gone, nil
}

// hostKeys are what a target shows to clients.
func (c *client) hostKeys(t *policy.Target) ([]ssh.Signer, *access.Refused) {
	signers, err := c.s.o.HostKeys.Signers(t.FullName(), t.Name)
	if err != nil {
		c.s.log.Error("host key for "+t.FullName(), c.fields(err)...)
		return nil, access.Refuse("no-host-key", "entry has no valid host key for "+t.FullName()+"; tell your lab's administrator", audit.Event{Lab: t.Lab, Target: t.FullName()})
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
func (c *client) inner(ctx context.Context, nc net.Conn, signers []ssh.Signer, o *opening, own bool) {
	defer o.close()
	grace := c.s.cfg.Login.Grace
	if o.waits != nil {
		grace += o.waits.Wait
	}
	// Until the keys are exchanged it is for programs to answer; then there may be a
	// person who reads the host key, or types.
	timer := time.AfterFunc(min(grace, kexGrace), func() { nc.Close() })
	defer timer.Stop()
	var sc *ssh.ServerConn
	var chans <-chan ssh.NewChannel
	var reqs <-chan *ssh.Request
	var intake *fastconn.Intake
	vc, peer, err := fastconn.ExchangeVersion(nc)
	if err == nil {
		intake = fastconn.NewIntake(vc)
		intake.OnExchange(sync.OnceFunc(func() { timer.Reset(grace) }))
		defer c.watch(intake)()
		sc, chans, reqs, err = ssh.NewServerConn(intake, c.innerConfig(ctx, peer, intake, signers, o, own))
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
	intake.LoggedIn()
	o.run(ctx, session.Leg{Conn: sc, Channels: chans, Requests: reqs, Intake: intake})
}

// innerConfig is the inner connection's authentication. Behind the client
// itself any method succeeds, because the client connection has proven who
// this is; behind any other program a key of the account is to be proven, or the
// passphrase is asked once. The inner user name is never identity.
func (c *client) innerConfig(ctx context.Context, peer []byte, i *fastconn.Intake, signers []ssh.Signer, o *opening, own bool) *ssh.ServerConfig {
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
		cfg.AddHostKey(i.HostKey(k))
	}
	passthrough := o.target.Auth == policy.Passthrough
	// Where the target asks for itself, somebody has to be there to answer.
	asked := func(m ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
		if !passthrough {
			if _, err := ask("", "", nil, nil); err != nil {
				return nil, err
			}
		}
		return open(m, ask)
	}
	cfg.KeyboardInteractiveCallback = asked
	if !own {
		cfg.KeyboardInteractiveCallback = func(m ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
			if !c.confirmed(ctx, ask) {
				return nil, &ssh.PartialSuccessError{}
			}
			return open(m, ask)
		}
	}
	if own && !passthrough {
		cfg.NoClientAuth = true
		cfg.NoClientAuthCallback = func(m ssh.ConnMetadata) (*ssh.Permissions, error) { return open(m, nil) }
	}
	if own && passthrough {
		return cfg
	}
	cfg.PublicKeyCallback = func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		err := pubkey.CheckCost(key)
		if err == nil && !own && !c.s.o.Auth.KnowsKey(ctx, c.login.Who().User(), key) {
			err = errRefused
		}
		return nil, err
	}
	cfg.VerifiedPublicKeyCallback = func(m ssh.ConnMetadata, _ ssh.PublicKey, _ *ssh.Permissions, _ string) (*ssh.Permissions, error) {
		if passthrough {
			return nil, &ssh.PartialSuccessError{Next: ssh.ServerAuthCallbacks{KeyboardInteractiveCallback: asked}}
		}
		return open(m, nil)
	}
	return cfg
}
