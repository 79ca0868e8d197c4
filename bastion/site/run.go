//go:build linux

package site

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"reflect"
	"syscall"
	"time"

	"go.uber.org/zap"

	"entry/audit"
	"entry/audit/evidence"
	"entry/audit/refusal"
	"entry/bastion/store"
	"entry/configs"
	"entry/session/group"
	"entry/session/recording/spool"
)

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

// lookEvery is how often the database's files are looked for, and what the watch of the
// accounts found in them: an older state. The log and the spool look for theirs themselves.
const lookEvery = time.Second

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
