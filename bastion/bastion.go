package bastion

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	gliderlabs "github.com/gliderlabs/ssh"
	"github.com/oklog/ulid/v2"
	"go.uber.org/zap"
	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/audit/refusal"
	"entry/bastion/access"
	"entry/bastion/ca"
	"entry/bastion/guide"
	"entry/bastion/identity"
	"entry/bastion/portal"
	"entry/configs"
	"entry/policy"
	"entry/session/group"
	"entry/session/recording/auditors"
	"entry/session/recording/spool"
)

// Events is the audit log. *audit.Log implements it.
type Events interface {
	access.Events
	// Failed is closed when the log can't go on.
	Failed() <-chan struct{}
	// Space is how much room the log has.
	Space() audit.Space
}

// Options holds what a Server needs. Fields without a default are required.
type Options struct {
	Config   *configs.Config // treated as read-only
	Policy   *policy.Policy
	Auth     *identity.Authenticator
	Events   Events
	Spool    *spool.Spool
	Usage    access.Usage                        // bytes moved by day
	Book     access.Book                         // who waits for approval, and what was approved
	Orders   access.Orders                       // to end sessions, of the servers on one database
	Auditors func(lab string) []auditors.Auditor // who may read a lab's recordings; at least one
	HostKeys *ca.HostKeys
	UserCA   *ca.UserCA
	// Taken hears whose certificate a target took, after each login there, and at which of
	// its addresses. Nil means that nobody needs to know.
	Taken func(target, address string, by ssh.PublicKey)
	Log   *zap.Logger
	Now   func() time.Time // default time.Now

	History portal.History // of the audit log, for the portal's list of sessions; nil = live ones only
	// Unwitnessed tells whether nothing may start because nobody vouches for the log.
	// Nil means that something always may.
	Unwitnessed func() bool
	PortalIdle  time.Duration // a portal session ends without an answer for that long; default 10 min
}

// Server is the jump host. Make one with New; it is safe for concurrent use.
type Server struct {
	o         Options
	cfg       *configs.Config
	log       *zap.Logger
	now       func() time.Time
	own       []ssh.Signer
	gate      *access.Gate
	admission *admission
	refusals  *refusals
	backlogs  backlogs
	inner     *lines        // connections inside jumps that haven't logged in, by user
	dials     *lines        // connections to targets that haven't, by address
	away      chan struct{} // a place for each connection that is told why it is refused
	portal    *portal.Portal

	ctx    context.Context // ends all connections; cancelled by Shutdown's end
	cancel context.CancelCauseFunc
	conns  sync.WaitGroup

	mu        sync.Mutex // guards listeners and closing
	listeners []net.Listener
	closing   bool
}

// ErrClosed is returned by Serve after Shutdown.
var ErrClosed = errors.New("server closed")

// New checks o and returns a server that doesn't listen yet.
func New(o Options) (*Server, error) {
	switch {
	case o.Config == nil, o.Policy == nil, o.Auth == nil, o.Events == nil, o.Spool == nil, o.Usage == nil, o.Book == nil, o.Orders == nil, o.Auditors == nil, o.HostKeys == nil, o.UserCA == nil, o.Log == nil:
		return nil, errors.New("new server: a required option is missing")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	cfg := o.Config
	own, err := o.HostKeys.Signers(cfg.Name)
	if err != nil {
		return nil, fmt.Errorf("host key of %s: %w", cfg.Name, err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	s := &Server{o: o, cfg: cfg, log: o.Log, now: o.Now, own: own, refusals: newRefusals(), away: make(chan struct{}, maxAway),
		admission: newAdmission(cfg.Limits.Startups, cfg.Limits.PerSource, o.Now), inner: newLines(maxInner, maxInner), dials: newLines(maxDials, maxDialsOfUser), ctx: ctx, cancel: cancel}
	most, err := bounds(cfg.Limits, o.Log)
	if err != nil {
		return nil, err
	}
	s.gate, err = access.New(access.Options{Name: cfg.Name, Contact: s.contact(), Policy: o.Policy, Accounts: o.Auth, Events: o.Events, Usage: o.Usage, Book: o.Book, Orders: o.Orders, ChannelsFor: cfg.Login.ChannelsAfter, Now: o.Now,
		Pace: access.Pace(cfg.Limits.Events), Bounds: most, Space: o.Events.Space, Unwitnessed: o.Unwitnessed, Rescue: cfg.Operators.Rescue,
		Trouble: func(what string, cause error) { s.log.Error(what, zap.Error(cause)) }})
	if err != nil {
		return nil, err
	}
	if err := s.admission.remember(ctx, o.Auth); err != nil {
		s.log.Error("known networks", zap.Error(err)) // they become known again by and by
	}
	facts, err := s.facts()
	if err != nil {
		return nil, err
	}
	s.portal = portal.New(portal.Options{Name: cfg.Name, Gate: s.gate, Auth: o.Auth, Now: o.Now, History: o.History, Idle: o.PortalIdle, Facts: facts, HostCAs: s.hostCAs,
		Trouble: func(what string, l *access.Login, cause error) {
			s.log.Error(what, connFields(l.Conn(), l.Source(), cause)...)
		}})
	return s, nil
}

// contact is whom texts tell users to ask.
func (s *Server) contact() refusal.Contact { return refusal.Contact(s.cfg.Guides.Contact) }

// facts are what ready files for users say of this server.
func (s *Server) facts() (guide.Facts, error) {
	f := guide.Facts{Name: s.cfg.Name, LoginTime: s.cfg.Login.Grace, Remembered: s.cfg.Login.Remembered.Lifetime, Contact: s.cfg.Guides.Contact}
	f.HostCA, f.NextHostCA = s.hostCAs()
	return f, f.At(s.cfg.Dialled())
}

// hostCAs are the public keys of the CA that vouches for the server's names, and of the one
// that is to follow on it, "" for none.
func (s *Server) hostCAs() (now, next string) {
	line := func(key ssh.PublicKey) string {
		if key == nil {
			return ""
		}
		return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
	}
	n, x := s.o.HostKeys.CAs()
	return line(n), line(x)
}

// Serve accepts connections on l until Shutdown, whatever closes l, or a
// failure of the audit log. A connection on it leads to the named target
// where target is set. It blocks; call it once per listener.
func (s *Server) Serve(l net.Listener, target string) error {
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		return ErrClosed
	}
	s.listeners = append(s.listeners, l)
	s.mu.Unlock()
	loop := &gliderlabs.Server{
		// Never used: each connection is taken over below. Without one the
		// accept loop would make a random RSA key.
		HostSigners: []gliderlabs.Signer{s.own[len(s.own)-1]},
		ConnCallback: func(_ gliderlabs.Context, nc net.Conn) net.Conn {
			s.takeOver(nc, target)
			return nil // the loop closes nc
		},
	}
	failed := make(chan error, 1)
	group.Vital("accept loop", func() { failed <- loop.Serve(l) })
	select {
	case err := <-failed:
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.closing {
			return ErrClosed
		}
		return fmt.Errorf("accept: %w", err)
	case <-s.o.Events.Failed():
		s.stopListening()
		s.log.Debug("accept loop ended", zap.Error(<-failed))
		s.gate.EndAll(&refusal.Error{Text: "the audit log can't be written; the session was ended so that nothing goes unrecorded", Code: "audit-failed"})
		return errors.New("audit log failed")
	}
}

// takeOver runs one client connection from its first byte to its end.
func (s *Server) takeOver(nc net.Conn, target string) {
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		return
	}
	s.conns.Add(1)
	s.mu.Unlock()
	defer s.conns.Done()
	source, err := netip.ParseAddrPort(nc.RemoteAddr().String())
	if err != nil {
		s.log.Error("connection without an address", zap.Error(err))
		return
	}
	source = netip.AddrPortFrom(source.Addr().Unmap(), source.Port())
	// A panic ends this connection instead of the server. What panicked is a
	// defect, so it is logged with its stack and never shown.
	g := group.New(s.ctx, func(p *group.Panic) {
		nc.Close()
		s.log.Error("panic", zap.String("source", source.String()), zap.Error(p))
	})
	stop := context.AfterFunc(g.Context(), func() { nc.Close() })
	defer stop()
	g.Run("client connection", func() { s.connection(g, nc, source, target) })
	g.Cancel(errClientLeft)
	g.Wait()
}

// connection is one client connection, whose goroutines are g.
func (s *Server) connection(g *group.Group, nc net.Conn, source netip.AddrPort, target string) {
	if s.o.Events.Space() == audit.Spent { // no event: operators need what is left
		if n, due := s.refusals.note(sourceOf(source.Addr()), "log-full", s.now()); due {
			s.log.Warn("connections refused: the audit log's reserve is used up", zap.String("source", source.String()), zap.Int("since the last such line", n))
		}
		s.turnAway(nc, "log-full")
		return
	}
	if s.noFiles(source) {
		s.turnAway(nc, "files")
		return
	}
	t, why := s.admission.enter(g.Context(), source.Addr(), func() { nc.Close() })
	if t == nil {
		s.connectionRefused(source, why)
		s.turnAway(nc, why)
		return
	}
	defer t.leave(false)
	id := s.newID()
	c, err := s.authenticate(g, nc, id, source, target, t)
	if err != nil {
		if t.madeRoom() {
			s.connectionRefused(source, "made-room")
		}
		s.refuseUnauthenticated(id, source, err)
		return
	}
	t.leave(true)
	c.serve(g.Context())
}

// Access is the one place that decides, and what is open there.
func (s *Server) Access() *access.Gate { return s.gate }

// Shutdown stops accepting, waits for live sessions until ctx ends, then ends
// the rest with a word to their users. It returns the number it had to end.
func (s *Server) Shutdown(ctx context.Context) int {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	s.stopListening()
	// Serve watches the log no more.
	ctx, cancelDrain := context.WithCancel(ctx)
	drained := group.Vital("drain", func() {
		select {
		case <-s.o.Events.Failed():
			cancelDrain()
		case <-ctx.Done():
		}
	})
	s.gate.Wait(ctx)
	cancelDrain()
	<-drained
	n := s.gate.EndAll(&refusal.Error{Text: "the jump host is shutting down", Code: "shutdown"})
	ended, cancel := context.WithTimeout(context.Background(), endTimeout)
	defer cancel()
	s.gate.Wait(ended)
	s.cancel(ErrClosed)
	select {
	case <-group.Vital("shutdown", s.conns.Wait):
	case <-time.After(endTimeout):
		s.log.Error("connections didn't end in time; leaving them")
	}
	s.gate.Close() // with what the last of them were refused
	return n
}

// draining tells whether Shutdown has begun.
func (s *Server) draining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

func (s *Server) stopListening() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.listeners {
		l.Close()
	}
}

// newID is a ULID: sortable by time, unguessable in its random half.
func (s *Server) newID() string {
	return ulid.MustNew(ulid.Timestamp(s.now()), rand.Reader).String()
}

func connFields(id string, source netip.AddrPort, err error) []zap.Field {
	return []zap.Field{zap.String("conn", id), zap.String("source", source.String()), zap.Error(err)}
}
