//go:build linux

package site

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"go.uber.org/zap"
	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/audit/witness"
	"entry/bastion"
	"entry/bastion/admin"
	"entry/bastion/identity"
	"entry/configs"
	"entry/policy"
	"entry/session/recording"
	"entry/session/recording/spool"
)

// Options are New's. All are required.
type Options struct {
	Config *configs.Config
	Log    *zap.Logger // the server's own
	// Policy reads and tests the policy files of a configuration. Its error is
	// for operators.
	Policy func(*configs.Config) (*policy.Policy, error)
}

// Server is everything that runs in a server's process. Make one with New.
type Server struct {
	o       Options
	cfg     *configs.Config
	log     *zap.Logger
	state   *state
	spool   *spool.Spool
	bastion *bastion.Server
	admin   *admin.Server
	socket  net.Listener
	listen  []net.Listener    // one for each of cfg.Listeners
	pusher  *witness.Pusher   // nil without witnesses
	serving []<-chan struct{} // each closed when a listener or the admin socket answers no more

	policies *admin.Policies
	keys     *keys
}

// readPolicy reads the policy files, and entry.yaml for where they are. What
// else changed in entry.yaml waits for a restart.
func (s *Server) readPolicy() (*policy.Policy, error) {
	cfg, err := configs.Load(s.cfg.Path)
	if err != nil {
		return nil, &admin.BadConfig{Err: err}
	}
	p, err := s.o.Policy(cfg)
	if err == nil {
		_, err = loadOwn(s.cfg, p)
	}
	return p, err
}

// Serve runs the server that o describes until ctx ends or a signal says so.
// ready is called once connections are accepted.
func Serve(ctx context.Context, o Options, ready func()) error {
	tuneMemory()
	s, err := New(ctx, o)
	if err != nil {
		return err
	}
	return s.Run(ctx, ready)
}

// New opens all state and checks all keys. What it refuses it refuses before
// the first session, and leaves nothing open. Run or Close ends the server.
func New(ctx context.Context, o Options) (_ *Server, err error) {
	ctx, cfg, log := Self(ctx), o.Config, o.Log
	p, err := o.Policy(cfg)
	if err != nil {
		return nil, err
	}
	if err := settleKeys(cfg); err != nil {
		return nil, err
	}
	k, err := loadKeys(cfg, p)
	if err != nil {
		return nil, err
	}
	s := &Server{o: o, cfg: cfg, log: log, keys: k}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	for _, lc := range cfg.Listeners {
		l, err := net.Listen("tcp", lc.Address)
		if err != nil {
			return nil, hinted(fmt.Errorf("listen: %w", err), "is another server running on that address?")
		}
		s.listen = append(s.listen, l)
	}
	if s.state, err = openState(cfg, s.lostNotice); err != nil {
		if errors.Is(err, audit.ErrLocked) {
			return nil, hinted(errors.New("another process is writing this audit log"), "one server, or one operator's verb, may run at a time")
		}
		return nil, err
	}
	if err := s.state.store.Serve(ctx, s.state.log.Name()); err != nil {
		return nil, err
	}
	if err := s.startWitnesses(ctx); err != nil {
		return nil, err
	}
	if err := errors.Join(s.alarmRecordings(ctx), s.recoverSpool(ctx)); err != nil {
		return nil, err
	}
	if s.spool, err = spool.Open(spool.Options{Dir: cfg.Recording.Directory, Commit: s.commitTick, Reserve: cfg.Recording.Reserve, Quota: cfg.Recording.Quota, Share: cfg.Recording.Share,
		Rescue: func(user string) bool { return slices.Contains(cfg.Operators.Rescue, user) }}); err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	keys := &rotations{cfg: cfg, log: s.state.log, store: s.state.store, live: k.UserCA, host: k.HostCA, auth: s.state.auth,
		policy: func() *policy.Policy { return s.bastion.Access().Policy() }}
	s.bastion, err = bastion.New(bastion.Options{
		Config: cfg, Policy: p, Auth: s.state.auth, Events: s.state.log, Spool: s.spool, Usage: s.state.store, Book: s.state.store, Orders: s.state.store, Auditors: k.auditorsOf,
		HostKeys: k.Hosts, UserCA: k.UserCA, Taken: s.taken(keys), Log: log,
		History: newest(cfg), Unwitnessed: s.unwitnessed,
	})
	if err != nil {
		return nil, err
	}
	s.policies = &admin.Policies{Load: s.readPolicy, Gate: s.bastion.Access(), Events: s.state.log, Log: log}
	s.admin = &admin.Server{Auth: s.state.auth, Events: s.state.log, Holds: s.state.store, Erasures: s.state.store, Rotations: keys, Retention: s.retention(),
		Recordings: cfg.Recording.Directory, Log: log, Gate: s.bastion.Access(), Control: s.policies, Probe: s.bastion.Probe, History: newest(cfg),
		Unread: func(ctx context.Context) ([]string, error) { return s.state.store.Unread(ctx, s.state.log, time.Now()) }}
	err = s.state.log.Append(ctx, audit.ByActor(ctx, audit.Event{Type: audit.ServerStarted, Policy: p.Hash()}),
		audit.ByActor(ctx, audit.Event{Type: audit.PolicyLoaded, Policy: p.Hash()}))
	if err != nil {
		return s, err
	}
	// A database that doesn't know of a start in the log is one that was put back.
	now := s.state.log.Position()
	return s, s.state.store.NotePosition(ctx, now, now.Size, time.Now())
}

// taken tells keys whose certificate a target took, and the server's own log what is in the
// way of that.
func (s *Server) taken(keys *rotations) func(string, string, ssh.PublicKey) {
	return func(target, address string, by ssh.PublicKey) {
		if err := keys.taken(target, address, by); err != nil {
			s.log.Error("which user CA a target takes", zap.String("target", target), zap.Error(err))
		}
	}
}

// lostNotice says in the server's own log what the audit log has as an event.
func (s *Server) lostNotice(text string, cause error) { s.log.Error(text, zap.Error(cause)) }

// recoverSpool reports what a crash left behind before anything is recorded.
func (s *Server) recoverSpool(ctx context.Context) error {
	_, err := spool.Recover(s.cfg.Recording.Directory, func(a recording.Aborted) error {
		s.log.Warn("recording cut off by a crash", zap.String("session", a.ID), zap.Uint32("segments", a.Segments))
		return s.state.log.Append(ctx, audit.Event{Type: audit.RecordingAborted, Session: a.ID, User: a.Header.User, Lab: a.Header.Lab, Target: a.Header.Target,
			Recording: &audit.Recording{ID: a.ID, Head: hex.EncodeToString(a.Head[:]), Segments: a.Segments}})
	})
	if err != nil {
		return fmt.Errorf("recover spool: %w", err)
	}
	return nil
}

// commitTick puts a tick's Merkle root into the audit log. A log without room ends
// the recordings in it, and takes the tick later.
func (s *Server) commitTick(ctx context.Context, t recording.Tick) error {
	err := s.state.log.Append(ctx, audit.Event{Type: audit.RecordingTick, Tick: &audit.Tick{Root: hex.EncodeToString(t.Root[:]), Changed: t.Changed, List: t.List}})
	if errors.Is(err, audit.ErrFull) {
		return fmt.Errorf("%w: %w", spool.ErrFull, err)
	}
	return err
}

// Accounts are the server's.
func (s *Server) Accounts() *identity.Authenticator { return s.state.auth }
