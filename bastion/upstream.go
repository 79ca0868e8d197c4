package bastion

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/charmbracelet/x/ansi"
	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/audit/plain"
	"entry/audit/refusal"
	"entry/bastion/access"
	"entry/bastion/ca"
	"entry/policy"
	"entry/session"
	"entry/session/fastconn"
	"entry/session/group"
)

// passthroughTries is how often the target's own prompts are answered for one
// inner connection. The upstream connection is closed after that, or several
// clients' retries would reach the target's faillock.
const passthroughTries = 3

const (
	maxBanner  = 8 << 10 // bytes of all the target's banners passed on
	maxRounds  = 32      // of the target's prompts, all tries together
	maxPrompts = 16      // prompts in one round of the target's
	maxPrompt  = 4 << 10 // bytes of one of them
)

// minAttempt is the least time that an address of a target gets to answer.
const minAttempt = 500 * time.Millisecond

// dial opens TCP to the grant's target, trying its addresses in order. It
// takes a grant, so that nothing can be dialled that policy didn't grant.
func (s *Server) dial(ctx context.Context, g policy.Grant) (net.Conn, *access.Refused) {
	if !g.Valid() {
		return nil, access.Refuse("no-grant", "not permitted", audit.Event{})
	}
	t := g.Target()
	if !s.hasFiles(false) {
		return nil, without(access.About(g))
	}
	nc, err := s.connect(ctx, t.Addresses)
	if err == nil {
		return nc, nil
	}
	e := access.About(g)
	e.Type = audit.UpstreamFailed
	return nil, access.Refuse("unreachable", t.FullName()+" does not answer; it may be down or restarting. Try again in some minutes, then tell your lab's administrator", e).With(err)
}

// Of the connections to one target that haven't logged in yet there are maxDials at a
// time, so that sshd, which by default turns newcomers away from ten on (MaxStartups),
// turns none away; of one user's maxDialsOfUser, so that others have theirs.
//
// To sshd all users come from one address, and from OpenSSH 9.8 on it shuts an address out
// whose logins fail: 5 s for each, from 15 s on (sshd_config, PerSourcePenalties). So of one
// user's logins that aren't known to go well there are maxUnproven at a time, and one that
// failed counts for failedLogin more.
const (
	maxDials       = 8
	maxDialsOfUser = 4
	maxUnproven    = 2
	failedLogin    = 10 * time.Second
)

// arrival is a place among those who are about to log in at a target.
type arrival struct {
	*place
	what string // by whom, where, and as whom
}

// ended gives the place back.
func (a arrival) ended(loggedIn bool) {
	a.in.trust(a.what, loggedIn)
	if loggedIn {
		a.give()
	} else {
		a.failed(failedLogin)
	}
}

// dialInTurn is dial, once no more connections to that machine than it takes are about to
// log in, as login there. The place is to be given back by
// ended.
func (s *Server) dialInTurn(ctx context.Context, g policy.Grant, user, login string) (arrival, net.Conn, *access.Refused) {
	if !g.Valid() {
		return arrival{}, nil, access.Refuse("no-grant", "not permitted", audit.Event{})
	}
	t := g.Target()
	wait, cancel := context.WithTimeout(ctx, 3*s.cfg.Limits.Dial)
	defer cancel()
	machine := strings.Join(t.Addresses, " ")
	what := strings.Join([]string{machine, user, login}, "|")
	most := maxUnproven
	if t.Auth != policy.Passthrough && s.dials.trusts(what) {
		most = maxDialsOfUser
	}
	p, err := s.dials.takeOf(wait, machine, user, most)
	if err != nil {
		e := access.About(g)
		e.Type = audit.UpstreamFailed
		return arrival{}, nil, access.Refuse("target-busy", "too many connections of yours to "+t.FullName()+" are being opened, or failed just now; try again in a minute", e).With(err)
	}
	// What has begun goes on to its end, which is near, though the client may have left: sshd
	// counts a connection without a login, too.
	on, stop := s.beyond(ctx)
	defer stop()
	nc, r := s.dial(on, g)
	if r != nil {
		p.give()
		return arrival{}, nil, r
	}
	return arrival{p, what}, nc, nil
}

// beyond is ctx for what goes on when the client has left, as long as the server runs.
func (s *Server) beyond(ctx context.Context) (context.Context, context.CancelFunc) {
	on, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(s.ctx, cancel)
	return on, func() { stop(); cancel() }
}

// connect opens TCP to the first of a target's addresses that answers.
func (s *Server) connect(ctx context.Context, addresses []string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Limits.Dial)
	defer cancel()
	var errs []error
	end := time.Now().Add(s.cfg.Limits.Dial)
	for i, a := range addresses {
		// Each gets its share of what is left: one that swallows packets must
		// not use up the time of the others.
		d := net.Dialer{Timeout: max(minAttempt, time.Until(end)/time.Duration(len(addresses)-i))}
		nc, err := d.DialContext(ctx, "tcp", a)
		if err == nil {
			return nc, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// errNobody: the target asks for itself, and nobody is there to be asked.
var errNobody = errors.New("no prompts can be passed to this client")

var errUnchecked = errors.New("the host key could not be checked")

// upstream is the SSH handshake with a target over tcp, which it closes unless
// it returns a leg.
type upstream struct {
	s       *Server
	group   *group.Group // of the client connection
	tcp     net.Conn
	place   *place // of a connection that hasn't logged in
	grant   policy.Grant
	login   string
	user    string
	session string
	pre     ssh.ServerPreAuthConn            // of the inner connection, for the target's banner; may be nil
	ask     ssh.KeyboardInteractiveChallenge // of the inner connection, for the target's prompts; nil without passthrough

	checked  bool          // the host key was right
	offered  bool          // the certificate, or an answer, was put to the target
	taken    ssh.PublicKey // whose certificate the target took last; nil for none
	bannered int           // bytes of banners passed on
	rounds   int           // of prompts passed on
}

// open returns the authenticated leg, or what to tell the user. denied says
// that the target refused the user's own answers.
func (u *upstream) open(ctx context.Context) (leg session.Leg, denied bool, r *access.Refused) {
	t := u.grant.Target()
	about := access.About(u.grant)
	about.Type = audit.UpstreamFailed
	fail := func(code refusal.Code, text string, cause error) *access.Refused {
		return access.Refuse(code, text, about).With(cause)
	}
	verifier, err := ca.NewHostVerifier(ca.HostPins{Target: t.FullName(), Keys: t.HostKeys, CAs: t.HostCAs, Now: u.s.now})
	if err != nil {
		u.tcp.Close()
		return leg, false, fail("host-key-unknown", "entry has no host key to check "+t.FullName()+" against; tell your lab's administrator", err)
	}
	method, limit, err := u.method()
	if errors.Is(err, errNobody) {
		u.tcp.Close()
		return leg, false, fail("nobody-to-ask", t.FullName()+" asks for a login of its own, and this client was asked nothing that it could answer; connect with keyboard-interactive allowed", err)
	}
	if err != nil {
		u.tcp.Close()
		return leg, false, fail("certificate", "entry could not make a certificate for "+t.FullName()+"; tell your lab's administrator", err)
	}
	intake := fastconn.NewIntake(fastconn.Coalesce(u.group, u.tcp))
	cfg := &ssh.ClientConfig{
		Config:        fastconn.ClientConfig(),
		User:          u.login,
		Auth:          []ssh.AuthMethod{method},
		ClientVersion: fastconn.Version,
		HostKeyCallback: func(address string, remote net.Addr, key ssh.PublicKey) error {
			// It runs on a goroutine of x/crypto's, at each key exchange, and what it
			// reads is the target's.
			intake.Exchanged()
			err := errUnchecked
			u.group.Run("check of a host key", func() { err = verifier.Check(address, remote, key) })
			u.checked = err == nil
			return err
		},
		HostKeyAlgorithms: verifier.Algorithms(),
		BannerCallback:    u.banner,
	}
	if u.ask == nil {
		var stop context.CancelFunc
		ctx, stop = u.s.beyond(ctx)
		defer stop()
	} // else a person answers, who isn't there any more
	defer context.AfterFunc(ctx, func() { u.tcp.Close() })()
	// Real time: it bounds I/O, not validity.
	if err := u.tcp.SetDeadline(time.Now().Add(limit)); err != nil {
		u.tcp.Close()
		return leg, false, fail("unreachable", t.FullName()+" hung up; try again in some minutes", err)
	}
	conn, chans, reqs, err := ssh.NewClientConn(intake, u.tcp.RemoteAddr().String(), cfg)
	if err == nil {
		err = u.tcp.SetDeadline(time.Time{})
		if err == nil {
			intake.LoggedIn()
			if u.taken != nil && u.s.o.Taken != nil {
				u.s.o.Taken(t.FullName(), u.tcp.RemoteAddr().String(), u.taken)
			}
			return session.Leg{Conn: conn, Channels: chans, Requests: reqs, Intake: intake}, false, nil
		}
	}
	u.tcp.Close()
	var changed *ca.HostKeyChanged
	switch {
	case errors.As(err, &changed):
		about.Type = audit.HostKeyChanged
		return leg, false, fail("host-key",
			fmt.Sprintf("the host key of %s is not the one on record, so entry does not connect. Tell your lab's administrator; nothing you can do at your side makes it safe", t.FullName()), err)
	case !u.checked && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)):
		// sshd does so to whom MaxStartups or PerSourcePenalties shut out.
		return leg, false, fail("hung-up", t.FullName()+" hangs up before a login, as one that has too many of them does; try again in some minutes", err)
	case !u.checked:
		return leg, false, fail("handshake", t.FullName()+" answers, but not as an SSH server that entry can talk to; tell your lab's administrator", err)
	case u.offered && t.Auth == policy.Passthrough:
		// Not the target's own words: it has the user's answers and could
		// repeat them into the log.
		return leg, true, fail("target-refused-login", t.FullName()+" did not accept the answers", nil)
	case u.offered:
		return leg, false, fail("certificate-refused",
			fmt.Sprintf("%s does not accept entry's certificate for account %q; ask your lab's administrator whether the account exists there and whether it trusts entry's user CA", t.FullName(), u.login), err)
	default:
		return leg, false, fail("handshake", t.FullName()+" hung up during login; try again in some minutes", err)
	}
}

// method is the one way entry logs in at the target, and how long the
// handshake may take with it.
func (u *upstream) method() (ssh.AuthMethod, time.Duration, error) {
	if u.grant.Target().Auth == policy.Passthrough {
		if u.ask == nil {
			return nil, 0, errNobody
		}
		return ssh.RetryableAuthMethod(ssh.KeyboardInteractive(u.relay), passthroughTries), u.s.cfg.Login.Grace, nil
	}
	// Made when the target asks for it: one certificate for this connection, or two while
	// the CA is changed, which is one of the target's MaxAuthTries more.
	m := ssh.PublicKeysCallback(func() ([]ssh.Signer, error) {
		u.offered = true
		issued, err := u.s.o.UserCA.Issue(ca.UserRequest{
			Principal:     u.login,
			KeyID:         ca.KeyID(u.user, u.session),
			SourceAddress: u.s.cfg.Limits.SourceAddress,
			Extensions:    extensions(u.grant),
			Now:           u.s.now(),
		})
		var signers []ssh.Signer
		for _, c := range issued {
			signers = append(signers, &noted{c, u})
		}
		return signers, err
	})
	return m, u.s.cfg.Limits.Dial, nil
}

// noted is a certificate of which is noted that the target takes it: only then it has
// something signed.
type noted struct {
	ca.Issued
	u *upstream
}

func (n *noted) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	n.u.taken = n.By
	return n.Issued.Sign(rand, data)
}

// extensions are those that the grant's capabilities need, and no others.
func extensions(g policy.Grant) ca.Extensions {
	var e ca.Extensions
	if g.Allows(policy.Shell) || g.Allows(policy.Exec) {
		e |= ca.PermitPTY
	}
	if g.Allows(policy.ForwardLocal) || g.Allows(policy.ForwardRemote) {
		e |= ca.PermitPortForwarding
	}
	if g.Allows(policy.Agent) {
		e |= ca.PermitAgentForwarding
	}
	if g.Allows(policy.X11) {
		e |= ca.PermitX11Forwarding
	}
	return e
}

// banner passes the target's banner on, marked with its name.
func (u *upstream) banner(text string) error {
	if len(text) > maxBanner-u.bannered {
		text = text[:maxBanner-u.bannered]
	}
	if u.pre == nil || text == "" {
		return nil
	}
	u.bannered += len(text)
	_ = u.pre.SendAuthBanner(strings.ReplaceAll(u.marked(text), "\n", "\r\n") + "\r\n") // the client may have left
	return nil
}

// marked is text of the target's as clients may see it: every line begins with
// the target's name, so that none can pass for one of entry's.
func (u *upstream) marked(text string) string {
	prefix := "[" + u.grant.Target().FullName() + "] "
	return prefix + strings.ReplaceAll(strings.TrimRight(plainText(text), "\n"), "\n", "\n"+prefix)
}

// relay asks the inner client what the target asks. Answers go through memory
// only: they are neither recorded nor logged.
func (u *upstream) relay(name, instruction string, questions []string, echos []bool) ([]string, error) {
	if u.rounds++; u.rounds > maxRounds || len(questions) > maxPrompts {
		return nil, errors.New("target asks too many questions")
	}
	u.place.pass() // a person answers now, who may take their time
	asked := make([]string, len(questions))
	for i, q := range questions {
		asked[i] = u.marked(bounded(q))
	}
	instruction = strings.TrimSpace(plainText(bounded(name) + "\n" + bounded(instruction)))
	if instruction != "" {
		instruction = u.marked(instruction) + "\n"
		if len(asked) > 0 {
			// In the prompt, because clients cut and escape instructions.
			asked[0] = "\n" + instruction + asked[0]
			instruction = ""
		}
	}
	// A round without questions, often the last one, carries only a text.
	answers, err := u.ask("", instruction, asked, echos)
	if err != nil {
		return nil, fmt.Errorf("ask the client: %w", err)
	}
	if len(questions) > 0 {
		u.offered = true
	}
	return answers, nil
}

func bounded(s string) string { return s[:min(len(s), maxPrompt)] }

// plainText keeps printable text and line feeds, without escape sequences, of what a target sends before
// a terminal is open, so that it can't draw entry's own prompts.
func plainText(s string) string { return plain.Lines(ansi.Strip(s)) }
