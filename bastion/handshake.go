package bastion

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/crypto/ssh"

	"entry/audit/plain"
	"entry/bastion/access"
	"entry/bastion/identity"
	"entry/policy"
	"entry/policy/pubkey"
	"entry/session"
	"entry/session/fastconn"
	"entry/session/group"
)

// maxAuthTries is what x/crypto counts: every offered key is one. The
// dialogues are counted by identity (three a connection).
const maxAuthTries = 24

var (
	errRefused = errors.New("login refused")
	errRenamed = errors.New("user name changed during login")
)

// proofKey is where a proven identity travels from the callback that proved it
// to the connection: Permissions.ExtraData, which x/crypto keeps only from the
// final, successful method.
type proofKey struct{}

// login is one client connection until it is authenticated. Its callbacks run
// one at a time, on the handshake's goroutine.
type login struct {
	s      *Server
	ctx    context.Context
	group  *group.Group
	conn   net.Conn
	id     string
	source netip.AddrPort
	bound  string
	state  *identity.ConnState
	ticket *ticket

	pre    ssh.ServerPreAuthConn
	first  string   // the name of the first request; never changes after it
	target string   // after the last +, or the listener's
	toward bool     // the connection leads to target, even if that is ""
	direct *opening // of that target

	proved *access.Login   // whose it is; set once, by settle
	leave  func()          // forgets proved; set with it
	no     *access.Refused // why nothing opens on it all the same
	in     atomic.Pointer[ssh.ServerConn]

	refused ssh.PublicKey // the last key that opens nothing; nil without any
	keys    int           // so many
	asked   bool          // something else was tried, which has events of its own

	mu    sync.Mutex // guards timer and ended
	timer *time.Timer
	ended bool
}

// authenticate runs the SSH handshake and the login dialogue on nc. It closes
// nc unless it returns a connection.
func (s *Server) authenticate(g *group.Group, nc net.Conn, id string, source netip.AddrPort, bound string, t *ticket) (*client, error) {
	l := &login{s: s, ctx: g.Context(), group: g, conn: nc, id: id, source: source, bound: bound, state: identity.NewConnState(), ticket: t}
	l.grace(kexGrace)
	defer l.endGrace()

	vc, peer, err := fastconn.ExchangeVersion(fastconn.Coalesce(g, nc))
	if err != nil {
		nc.Close() // the peer is gone or no SSH client
		return nil, err
	}
	authenticated := false
	defer func() { // also when something panics
		if authenticated {
			return
		}
		if l.direct != nil {
			l.direct.close()
		}
		if l.leave != nil {
			l.leave()
		}
	}()
	intake := fastconn.NewIntake(vc)
	intake.OnExchange(sync.OnceFunc(func() {
		t.reads()
		l.grace(s.cfg.Login.Grace)
	}))
	sc, chans, reqs, err := ssh.NewServerConn(intake, l.config(peer, intake))
	if err != nil { // NewServerConn has closed nc
		l.keysRefused()
		return nil, err
	}
	intake.LoggedIn()
	who, ok := sc.Permissions.ExtraData[proofKey{}].(identity.Identity)
	if !ok || !who.Valid() || l.proved == nil || (l.direct != nil) != l.toward {
		sc.Close()
		return nil, errors.New("handshake ended without a proven identity")
	}
	authenticated = true
	l.in.Store(sc)
	return &client{s: s, login: l.proved, leave: l.leave, no: l.no, opened: l.direct, group: g, leg: session.Leg{Conn: sc, Channels: chans, Requests: reqs, Intake: intake}}, nil
}

func (l *login) config(peer []byte, i *fastconn.Intake) *ssh.ServerConfig {
	c := &ssh.ServerConfig{
		Config:                    fastconn.ServerConfig(peer),
		ServerVersion:             fastconn.Version,
		MaxAuthTries:              maxAuthTries,
		PublicKeyAuthAlgorithms:   fastconn.PublicKeyAlgorithms,
		PublicKeyCallback:         l.offered,
		VerifiedPublicKeyCallback: l.proven,
		KeyboardInteractiveCallback: func(m ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
			return l.dialogue(m, ask, nil)
		},
		PreAuthConnCallback: func(c ssh.ServerPreAuthConn) { l.pre = c },
		// Called once, at the first request, whatever its method.
		BannerCallback: func(m ssh.ConnMetadata) string {
			l.begin(m.User())
			return ""
		},
		AuthLogCallback: func(m ssh.ConnMetadata, _ string, _ error) {
			if m.User() != l.first {
				l.conn.Close() // a name that changes drops the connection, whatever the method
			}
		},
	}
	for _, k := range l.s.hostSigners() {
		c.AddHostKey(i.HostKey(k))
	}
	return c
}

// begin notes the name that the whole login is for and starts the grace.
func (l *login) begin(user string) {
	l.first = user
	l.ticket.answered()
	l.grace(l.s.cfg.Login.Grace)
	l.target, l.toward = l.bound, l.bound != ""
}

// name splits what the client calls its user: `alice+home` names a target too.
func (l *login) name(m ssh.ConnMetadata) (string, error) {
	if m.User() != l.first {
		l.conn.Close()
		return "", errRenamed
	}
	user := l.first
	if i := strings.LastIndexByte(user, '+'); i >= 0 && l.bound == "" {
		l.target, l.toward = user[i+1:], true
		user = user[:i]
	}
	return user, nil
}

// offered is asked about every key the client offers. It proves nothing.
func (l *login) offered(m ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
	user, err := l.name(m)
	if err != nil {
		return nil, err
	}
	if err := pubkey.CheckCost(key); err != nil {
		return nil, err
	}
	if wait := l.ticket.query(); wait > 0 {
		pause(l.ctx, wait)
	}
	if !l.s.o.Auth.KnowsKey(l.ctx, user, key) {
		l.refused = key
		l.keys++
		return nil, errRefused
	}
	return nil, nil
}

// keysRefused notes that the client came with keys alone, and none opens anything: at
// most once a minute for a source, as connections are that are refused.
func (l *login) keysRefused() {
	if l.refused == nil || l.asked {
		return
	}
	n, due := l.s.refusals.note(sourceOf(l.source.Addr()), identity.ReasonUnknownKey, l.s.now())
	if !due {
		return
	}
	user := l.first
	if l.toward && l.bound == "" {
		user = user[:strings.LastIndexByte(user, '+')]
	}
	detail := plain.Count(l.keys, "key") + " offered, the last of them noted"
	if n > 1 {
		detail += fmt.Sprintf("; %d such connections since the last such event", n)
	}
	at := identity.Attempt{Name: user, Source: l.source, Conn: l.id, Familiar: l.ticket.known, Key: l.refused}
	if err := l.s.o.Auth.KeysRefused(context.WithoutCancel(l.ctx), at, n, detail); err != nil {
		l.s.log.Error("keys that were refused can't be noted", connFields(l.id, l.source, err)...)
	}
}

// proven runs after the client has signed with a key that offered accepted.
// The key is the first factor; the code follows in the dialogue, unless one
// that was given with this key from this network still stands.
func (l *login) proven(m ssh.ConnMetadata, key ssh.PublicKey, _ *ssh.Permissions, _ string) (*ssh.Permissions, error) {
	l.asked = true
	user, err := l.name(m)
	if err != nil {
		return nil, err
	}
	through := l.passesThrough(user)
	if !through {
		if p, done, err := l.remembered(m, user, key, nil); done {
			return p, err
		}
	}
	return nil, &ssh.PartialSuccessError{Next: ssh.ServerAuthCallbacks{
		KeyboardInteractiveCallback: func(m ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
			if through {
				if p, done, err := l.remembered(m, user, key, ask); done {
					return p, err
				}
			}
			return l.dialogue(m, ask, key)
		},
	}}
}

// remembered logs the holder of key in if no code is needed now; done is false
// where the dialogue has to be had.
func (l *login) remembered(m ssh.ConnMetadata, user string, key ssh.PublicKey, ask ssh.KeyboardInteractiveChallenge) (p *ssh.Permissions, done bool, err error) {
	if _, err := l.name(m); err != nil {
		return nil, true, err
	}
	// The pace of the account is asked for what goes on record under its name alone: who
	// has but the key of somebody else uses none of it up.
	var early *access.Refused
	who, ok, err := l.s.o.Auth.Remembered(l.ctx, identity.Attempt{Name: user, Source: l.source, Conn: l.id, Key: key}, func(ctx context.Context) error {
		if early = l.s.gate.Early(ctx, user, l.source); early != nil {
			return errRefused
		}
		return nil
	})
	if early != nil {
		if early.Ref == "" { // it isn't on record
			l.s.connectionRefused(l.source, early.Code.String())
		}
		l.banner("entry: " + l.s.contact().In(early.Line()))
		return nil, true, &ssh.PartialSuccessError{}
	}
	if err == nil && !ok {
		return nil, false, nil
	}
	p, err = l.settle(m, who, err, ask)
	return p, true, err
}

// passesThrough tells whether the connection leads to a target whose own
// prompts reach the client: then somebody has to be asked, remembered or not. The
// same goes for a name that may be such a target's once a directory has told the
// user's groups.
func (l *login) passesThrough(user string) bool {
	if !l.toward {
		return false
	}
	u, err := l.s.o.Auth.User(l.ctx, user)
	if err != nil {
		return false // nothing opens for whoever that is
	}
	t, found := l.s.gate.Finds(access.Expected(u, l.s.now()), l.target)
	return found && t.Auth == policy.Passthrough || !found && u.Realm != ""
}

// dialogue runs the login dialogue; key is the first factor where it is set.
func (l *login) dialogue(m ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge, key ssh.PublicKey) (*ssh.Permissions, error) {
	l.asked = true
	user, err := l.name(m)
	if err != nil {
		return nil, err
	}
	stop := l.extendForEnrolment(user)
	defer stop()
	who, err := l.s.o.Auth.Login(l.ctx, identity.Attempt{Name: user, Source: l.source, Conn: l.id, Familiar: l.ticket.known, Key: key}, l.state, attentive{asker(ask), l.ticket, l.state})
	return l.settle(m, who, err, ask)
}

// settle turns what identity said into what x/crypto takes. Only here does a
// proven identity become a connection's.
func (l *login) settle(m ssh.ConnMetadata, who identity.Identity, err error, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
	switch {
	case err == nil:
		if r := l.enter(who); r != nil {
			_ = saying(l.pre, ask)("entry: " + l.s.contact().In(r.Line()))
			return nil, &ssh.PartialSuccessError{}
		}
		if l.toward {
			l.openDirect(ask)
			if l.direct.denied {
				return nil, &ssh.PartialSuccessError{}
			}
		}
		return &ssh.Permissions{ExtraData: map[any]any{proofKey{}: who}}, nil
	case errors.Is(err, identity.ErrUnavailable):
		l.s.log.Error("login unavailable", connFields(l.id, l.source, err)...)
		l.banner("entry: logins can't be checked right now. Nothing is wrong with your account; try again in some minutes.")
		return nil, &ssh.PartialSuccessError{} // no further method: the connection closes
	case errors.Is(err, identity.ErrExhausted):
		return nil, &ssh.PartialSuccessError{}
	case errors.Is(err, identity.ErrAbandoned):
		// Enter alone, or nobody is there to read it. Clients ask again, or end with
		// words that sound like a fault of the network.
		_ = saying(l.pre, ask)("entry: " + l.s.o.Auth.NothingTyped())
		return nil, errRefused
	default:
		return nil, errRefused
	}
}

// enter makes the connection one of who's, from here on: it counts, and what takes the
// access away ends it, however long its target then takes. It returns why it can't be one
// at all; what else is in its way is told where something is opened.
func (l *login) enter(who identity.Identity) *access.Refused {
	proved := l.s.gate.Login(who, l.id, l.source, l.group)
	leave, r := proved.Enter(func() {
		if c := l.in.Load(); c != nil {
			_ = c.Close() // its client may be gone
			return
		}
		l.conn.Close()
	})
	if leave == nil {
		return r
	}
	l.proved, l.leave, l.no = proved, leave, r
	return nil
}

// refuseUnauthenticated notes why a connection came to nothing. Causes are for
// the log; identity has already written the audit events of dialogues.
func (s *Server) refuseUnauthenticated(id string, source netip.AddrPort, err error) {
	s.log.Debug("connection ended before login", connFields(id, source, err)...)
}

// hostSigners are entry's own host key and its certificate.
//
// They are asked for each time: a certificate lasts for days, and a server runs for years.
func (s *Server) hostSigners() []ssh.Signer {
	own, err := s.o.HostKeys.Signers(s.cfg.Name)
	if err != nil {
		s.log.Error("the server's own host certificate can't be renewed", zap.Error(err))
		return s.own
	}
	return own
}
