package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"go.uber.org/zap"

	"entry/audit"
	"entry/bastion"
	"entry/configs"
	"entry/session/recording"
)

// adminSocketMode lets only the server's own account and root connect.
const adminSocketMode = 0o600

// server is everything that runs in `entry serve` and `entry demo`.
type server struct {
	cfg     *configs.Config
	log     *zap.Logger
	state   *state
	spool   *recording.Spool
	bastion *bastion.Server
	admin   *bastion.Admin
	socket  net.Listener
	listen  []net.Listener // one for each of cfg.Listeners
}

// newServer opens all state and checks all keys, in an order that leaves
// nothing half done: what can be refused is refused before the first session.
func newServer(ctx context.Context, cfg *configs.Config, log *zap.Logger) (_ *server, err error) {
	p, err := loadPolicy(cfg)
	if err != nil {
		return nil, err
	}
	k, err := loadKeys(cfg, p)
	if err != nil {
		return nil, err
	}
	s := &server{cfg: cfg, log: log}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	for _, lc := range cfg.Listeners {
		l, err := net.Listen("tcp", lc.Address)
		if err != nil {
			return nil, hinted(fmt.Errorf("listen: %w", err), "is another server running on that address?")
		}
		s.listen = append(s.listen, l)
	}
	if s.state, err = openState(cfg); err != nil {
		if errors.Is(err, audit.ErrLocked) {
			return nil, hinted(errors.New("another process is writing this audit log"), "one server, or one operator's verb, may run at a time")
		}
		return nil, err
	}
	if err := s.recoverSpool(ctx); err != nil {
		return nil, err
	}
	if s.spool, err = recording.Open(recording.Options{Dir: cfg.Recording.Directory, Commit: s.commitTick, Reserve: cfg.Recording.Reserve, Quota: cfg.Recording.Quota}); err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	s.bastion, err = bastion.New(bastion.Options{
		Name: cfg.Name, Policy: p, Auth: s.state.auth, Events: s.state.log, Spool: s.spool, Auditors: k.auditorsOf,
		HostKeys: k.hosts, UserCA: k.user, Log: log,
		Startups:  bastion.Startups{Begin: cfg.Limits.Startups.Begin, Rate: cfg.Limits.Startups.Rate, Full: cfg.Limits.Startups.Full},
		PerSource: cfg.Limits.PerSource, Grace: cfg.Login.Grace, EnrolmentGrace: cfg.Login.EnrolmentGrace, ChannelsFor: cfg.Login.ChannelsAfter,
		DialTimeout: cfg.Limits.Dial, SourceAddress: texts(cfg.Limits.SourceAddress), Notice: noticeOf(cfg.Recording.Notice),
	})
	if err != nil {
		return nil, err
	}
	s.admin = &bastion.Admin{Auth: s.state.auth, Events: s.state.log, Log: log, Server: s.bastion, Reload: s.reload}
	err = s.state.log.Append(ctx, bastion.ByActor(ctx, audit.Event{Type: audit.ServerStarted, Policy: p.Hash()}),
		bastion.ByActor(ctx, audit.Event{Type: audit.PolicyLoaded, Policy: p.Hash()}))
	return s, err
}

// recoverSpool reports what a crash left behind before anything is recorded.
func (s *server) recoverSpool(ctx context.Context) error {
	_, err := recording.Recover(s.cfg.Recording.Directory, func(a recording.Aborted) error {
		s.log.Warn("recording cut off by a crash", zap.String("session", a.ID), zap.Uint32("segments", a.Segments))
		return s.state.log.Append(ctx, audit.Event{Type: audit.RecordingAborted, Session: a.ID, User: a.Header.User, Lab: a.Header.Lab, Target: a.Header.Target,
			Recording: &audit.Recording{ID: a.ID, Head: hex.EncodeToString(a.Head[:]), Segments: a.Segments}})
	})
	if errors.Is(err, fs.ErrNotExist) {
		return hinted(fmt.Errorf("recover spool: %w", err), "create recording.directory, on a file system of its own")
	}
	if err != nil {
		return fmt.Errorf("recover spool: %w", err)
	}
	return nil
}

// commitTick puts a tick's Merkle root into the audit log.
func (s *server) commitTick(ctx context.Context, t recording.Tick) error {
	return s.state.log.Append(ctx, audit.Event{Type: audit.RecordingTick, Tick: &audit.Tick{Root: hex.EncodeToString(t.Root[:]), Changed: t.Changed, List: t.List}})
}

// reload reads the policy again, and entry.yaml for where it is. A bad one
// leaves the last good one in force. What else changed in entry.yaml waits for
// a restart.
func (s *server) reload(ctx context.Context) error {
	refuse := func(t audit.Type, what string, err error) error {
		s.log.Error(what+" refused; the last good one stays in force", zap.Error(err))
		aerr := s.state.log.Append(ctx, bastion.ByActor(ctx, audit.Event{Type: t, Policy: s.bastion.Policy().Hash(), Detail: "the " + what + " has problems; the last good one stays in force"}))
		return errors.Join(&bastion.AdminError{Status: http.StatusBadRequest, Text: err.Error()}, aerr)
	}
	cfg, err := configs.Load(s.cfg.Path)
	if err != nil {
		return refuse(audit.ConfigRefused, "configuration", err)
	}
	p, err := loadPolicy(cfg)
	if err != nil {
		return refuse(audit.PolicyRefused, "policy", err)
	}
	if _, err := loadKeys(s.cfg, p); err != nil {
		return refuse(audit.PolicyRefused, "policy", err)
	}
	if err := s.state.log.Append(ctx, bastion.ByActor(ctx, audit.Event{Type: audit.PolicyLoaded, Policy: p.Hash()})); err != nil {
		return err
	}
	s.bastion.SetPolicy(p)
	s.log.Info("policy loaded", zap.String("hash", p.Hash()))
	return nil
}

// run calls ready and serves until a signal or a failure.
func (s *server) run(ctx context.Context, ready func()) (err error) {
	defer func() { err = errors.Join(err, s.close()) }()
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)
	failed := make(chan error, len(s.cfg.Listeners)+1)
	for i, l := range s.listen {
		go func() { failed <- s.bastion.Serve(l, s.cfg.Listeners[i].Target) }()
	}
	if s.socket, err = listenAdmin(s.cfg.Admin.Socket); err != nil {
		return err
	}
	go func() {
		if err := s.admin.ServeAdmin(s.socket); err != nil {
			failed <- fmt.Errorf("admin socket: %w", err)
		}
	}()
	ready()
	for {
		select {
		case <-ctx.Done():
			return s.drain("shutdown")
		case err := <-failed:
			return errors.Join(err, s.drain("failure"))
		case <-s.spool.Failed():
			return errors.Join(fmt.Errorf("recordings: %w", s.spool.Err()), s.drain("failure"))
		case sig := <-signals:
			if sig == syscall.SIGHUP {
				_ = s.reload(self(ctx)) // logged and audited there; the last good policy stays
				continue
			}
			return s.drain(sig.String())
		}
	}
}

// drain ends the server: no new connections, then a time for live sessions to
// end by themselves, then the rest with a word to their users.
func (s *server) drain(why string) error {
	s.log.Info("draining", zap.String("why", why), zap.Duration("at most", s.cfg.Drain))
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.Drain)
	defer cancel()
	ended := s.bastion.Shutdown(ctx)
	s.log.Info("drained", zap.Int("sessions ended", ended))
	return nil
}

// close seals what is open: recordings first, because their last tick goes to
// the log.
func (s *server) close() error {
	var errs []error
	for _, l := range s.listen {
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if s.socket != nil {
		errs = append(errs, s.socket.Close())
	}
	if s.spool != nil {
		errs = append(errs, s.spool.Close())
	}
	if s.state != nil {
		if s.bastion != nil {
			ctx, cancel := context.WithTimeout(self(context.Background()), 10*time.Second)
			defer cancel()
			if err := s.state.log.Append(ctx, bastion.ByActor(ctx, audit.Event{Type: audit.ServerStopped})); err != nil {
				errs = append(errs, fmt.Errorf("append server.stopped: %w", err))
			}
		}
		errs = append(errs, s.state.Close())
	}
	return errors.Join(errs...)
}

// listenAdmin opens the admin socket for its owner only. A socket that a crash
// left behind is replaced; the writer's lock is held, so no server uses it.
func listenAdmin(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("admin socket: %w", err)
	}
	old := syscall.Umask(0o177)
	defer syscall.Umask(old)
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, hinted(fmt.Errorf("admin socket: %w", err), "its folder must exist, and the whole path be under 108 bytes")
	}
	return l, os.Chmod(path, adminSocketMode)
}

// noticeOf is the configuration's word in the server's terms.
func noticeOf(n configs.Notice) bastion.Notice {
	switch n {
	case configs.NoticeBanner:
		return bastion.NoticeBanner
	case configs.NoticeNone:
		return bastion.NoticeNone
	}
	return bastion.NoticePTY
}

func texts[T fmt.Stringer](all []T) []string {
	var out []string
	for _, v := range all {
		out = append(out, v.String())
	}
	return out
}
