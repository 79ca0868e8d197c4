//go:build linux

package site

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"reflect"
	"slices"
	"syscall"
	"time"

	"go.uber.org/zap"
	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/audit/evidence"
	"entry/audit/refusal"
	"entry/audit/witness"
	"entry/bastion"
	"entry/bastion/admin"
	"entry/bastion/identity"
	"entry/bastion/store"
	"entry/configs"
	"entry/policy"
	"entry/session/group"
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

// Run calls ready, serves until ctx ends, a signal says so or something fails
// that no session can do without, and closes the server.
func (s *Server) Run(ctx context.Context, ready func()) (err error) {
	defer func() { err = errors.Join(err, s.Close()) }()
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)
	// Before any user can connect: what fails here ends nobody's session.
	if s.socket, err = listenAdmin(s.cfg.Admin.Socket); err != nil {
		return err
	}
	failed := make(chan error, len(s.cfg.Listeners)+1)
	s.serve("the admin socket", func() {
		if err := s.admin.Serve(s.socket); err != nil {
			failed <- fmt.Errorf("admin socket: %w", err)
		}
	})
	for i, l := range s.listen {
		s.serve("the listener on "+s.cfg.Listeners[i].Address, func() { failed <- s.bastion.Serve(l, s.cfg.Listeners[i].Target) })
	}
	defer s.retention().Start(Self(ctx))()
	end := evidence.LogEnd{Keep: s.cfg.Audit.Keep, Of: s.retention(), Drop: s.state.log.Drop, Told: s.dropped}
	defer end.Start(Self(ctx))()
	following, unfollow := context.WithCancel(context.WithoutCancel(ctx))
	defer unfollow() // before the server closes
	for _, c := range s.cfg.Realms {
		if c.Search != nil {
			s.serve("the watch of the directory "+c.Name, func() { s.followRealm(following, c) })
		}
	}
	s.serve("the note of the log's position", func() { s.state.followLog(following, s.log) })
	if s.pusher != nil {
		s.serve("the push of checkpoints to witnesses", func() { s.followWitnesses(following) })
	}
	defer s.startReminding(Self(ctx))()
	ready()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case <-look.C:
			if err := s.state.store.Intact(); errors.Is(err, store.ErrGone) {
				s.fileGone(err, "database")
				s.drain("failure", signals)
				return err
			}
		case <-ctx.Done():
			s.drain("shutdown", signals)
			return nil
		case err := <-failed:
			s.drain("failure", signals)
			return err
		case <-s.state.log.SpaceChanged():
			s.makeRoom()
		case <-s.spool.Failed():
			if err := s.spool.Err(); errors.Is(err, spool.ErrGone) {
				s.fileGone(err, "spool")
			}
			s.drain("failure", signals)
			return fmt.Errorf("recordings: %w", s.spool.Err())
		case sig := <-signals:
			if sig == syscall.SIGHUP {
				s.reload(Self(ctx))
				continue
			}
			s.drain(sig.String(), signals)
			return nil
		}
	}
}

// reload reads anew what SIGHUP is for: the policy, and the auditors' keys.
func (s *Server) reload(ctx context.Context) {
	s.policies.Reload(ctx)
	s.reloadReaders(ctx)
	if err := s.reloadSecrets(); err != nil {
		s.log.Error("THE SECRET CAN'T BE READ: the one of before is used", zap.Error(err))
	}
	switch now, err := configs.Load(s.cfg.Path); {
	case s.cfg.Path == "":
	case err != nil:
		s.log.Error("the configuration can't be read any more, and the next start would fail", zap.Error(err))
	case !reflect.DeepEqual(now, s.cfg):
		s.log.Warn("THE CONFIGURATION HAS CHANGED SINCE THE SERVER STARTED, AND ISN'T IN FORCE: restart it for that; SIGHUP reads the policy, the auditors' keys and the secret alone", zap.String("file", s.cfg.Path))
	}
}

// lookEvery is how often the database's files are looked for, and what the watch of the
// accounts found in them: an older state. The log and the spool look for theirs themselves.
const lookEvery = time.Second

// fileGone says, in both logs, that files which promise durability aren't where
// they were.
func (s *Server) fileGone(err error, what string) {
	s.log.Error("FILES ARE NOT WHERE THEY WERE: nothing can be promised any more, so the server ends", zap.Error(err))
	e := audit.Event{Type: audit.AlarmFileGone, Reason: what, Detail: err.Error()}
	ctx, cancel := context.WithTimeout(context.Background(), lookEvery)
	defer cancel()
	if err := s.state.log.Append(ctx, e); err != nil {
		s.log.Error("append alarm", zap.Error(err))
	}
	s.bastion.Access().EndAll(&refusal.Error{Code: "file-gone", Text: "the jump host's files were changed, so all sessions end; tell your lab's administrator"})
}

// makeRoom says loudly how much room the log has now, and ends what has to end.
func (s *Server) makeRoom() {
	space := s.state.log.Space()
	if space == audit.Ample {
		s.log.Info("the audit log has room again: sessions may start")
		return
	}
	ended := s.bastion.Access().MakeRoom()
	s.log.Error("THE AUDIT LOG'S DISK IS ALMOST FULL: make room on it, or on the witness's, of bytes (df) or of files (df -i)", zap.String("space", space.String()),
		zap.Int64("reserve in bytes", s.cfg.Audit.Reserve), zap.Int("sessions ended", ended))
}

// serve runs f on a goroutine that Close waits for.
func (s *Server) serve(name string, f func()) { s.serving = append(s.serving, group.Vital(name, f)) }

func (s *Server) retention() evidence.Retention {
	r := retention(s.cfg, s.state.log, s.state.store, &s.state.orders)
	r.Policy, r.Told = s.bastion.Access().Policy, s.removed
	return r
}

// removed says in the server's own log which recordings were removed, and why.
func (s *Server) removed(why string, n int, err error) {
	if n > 0 {
		s.log.Info("recordings removed "+why, zap.Int("recordings", n))
	}
	if err != nil {
		s.log.Error("remove recordings "+why, zap.Error(err))
	}
}

// dropped says in the server's own log which of the audit log's records were dropped.
func (s *Server) dropped(through uint64, err error) {
	if through > 0 {
		s.log.Info("records of the audit log dropped, which are older than audit.keep", zap.Uint64("through", through))
	}
	if err != nil {
		s.log.Error("drop records of the audit log that are older than audit.keep", zap.Error(err))
	}
}

// drain ends the server: no new connections, then a time for live sessions to
// end by themselves, then the rest with a word to their users. Meanwhile
// SIGHUP still takes access away, and a second signal to end is obeyed at once.
func (s *Server) drain(why string, signals <-chan os.Signal) {
	s.log.Info("draining", zap.String("why", why), zap.Duration("at most", s.cfg.Drain))
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.Drain)
	defer cancel()
	drained := make(chan int, 1)
	group.Vital("the end of all sessions", func() { drained <- s.bastion.Shutdown(ctx) })
	for {
		select {
		case ended := <-drained:
			s.log.Info("drained", zap.Int("sessions ended", ended))
			return
		case sig := <-signals:
			if sig == syscall.SIGHUP {
				s.reload(Self(context.Background()))
				continue
			}
			s.log.Info("told again to end; ending live sessions", zap.String("why", sig.String()))
			cancel()
		}
	}
}

// Close seals what is open: recordings first, because their last tick goes to
// the log. It comes once, after Run at the latest, and waits for every goroutine
// that the server started.
func (s *Server) Close() error {
	var errs []error
	for _, l := range s.listen {
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if s.socket != nil {
		errs = append(errs, s.socket.Close())
	}
	for _, done := range s.serving {
		<-done // what an operator was promised is in the log before it closes
	}
	if s.spool != nil {
		errs = append(errs, s.spool.Close())
	}
	if s.state != nil {
		errs = append(errs, s.state.settle()) // nobody is left who could change an account
		if s.bastion != nil {
			ctx, cancel := context.WithTimeout(Self(context.Background()), 10*time.Second)
			defer cancel()
			if err := s.state.log.Append(ctx, audit.ByActor(ctx, audit.Event{Type: audit.ServerStopped})); err != nil {
				errs = append(errs, fmt.Errorf("append server.stopped: %w", err))
			}
		}
		errs = append(errs, s.endWitnesses())
		errs = append(errs, s.state.Close())
	}
	return errors.Join(errs...)
}
