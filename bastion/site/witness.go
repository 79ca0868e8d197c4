//go:build linux

package site

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"entry/audit"
	"entry/audit/plain"
	"entry/audit/witness"
	"entry/configs"
)

// peers are the witnesses that cfg names.
func peers(cfg *configs.Config) (all []*witness.Peer, err error) {
	for i, c := range cfg.Audit.Witnesses {
		p, err := witness.NewPeer(c)
		if err != nil {
			return nil, wrongf("audit.witnesses, number %d (%s): %w", i+1, plain.Word(c.Name()), err)
		}
		all = append(all, p)
	}
	return all, nil
}

// lastPush is how long the end of a server waits for its witnesses.
const lastPush = 4 * time.Second

// startWitnesses asks the witnesses, before anybody can log in, whether this is the
// log that they know. It refuses one that isn't; a witness that can't be reached within
// three seconds stops nothing.
func (s *Server) startWitnesses(ctx context.Context) error {
	all, err := peers(s.cfg)
	if err != nil || len(all) == 0 {
		return err
	}
	s.pusher, err = witness.NewPusher(witness.PushOptions{Log: s.state.log, Dir: s.cfg.Audit.Directory, Peers: all,
		Need: s.cfg.Audit.Need, Within: s.cfg.Audit.Within, Told: s.witnessed})
	if err != nil {
		return err
	}
	return otherLog(s.pusher.Round(ctx))
}

// otherLog says what to do where a witness knows another log.
func otherLog(err error) error {
	if errors.Is(err, witness.ErrBehind) || errors.Is(err, witness.ErrForked) {
		return hinted(err, "keep these files as they are; "+newestLog+". If it is the witness that is wrong, take it out of audit.witnesses")
	}
	return err
}

// witnessed says in the server's own log how it stands with the witnesses.
func (s *Server) witnessed(text string, err error) {
	switch {
	case err == nil:
		s.log.Info(text)
	case errors.Is(err, witness.ErrBehind), errors.Is(err, witness.ErrForked):
		s.log.Error("THE AUDIT LOG ISN'T THE ONE THAT A WITNESS KNOWS: "+text, zap.Error(err))
	default:
		s.log.Error("ALARM: "+text, zap.Error(err))
	}
}

// followWitnesses pushes checkpoints until ctx ends.
func (s *Server) followWitnesses(ctx context.Context) { s.pusher.Run(ctx) }

// endWitnesses pushes what the server wrote last, and lets go of the witnesses.
func (s *Server) endWitnesses() error {
	if s.pusher == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), lastPush)
	defer cancel()
	_ = s.pusher.Round(ctx) // told; the next start goes on from there
	return s.pusher.Close()
}

// unwitnessed tells whether sessions may not start because nobody vouches for the log.
func (s *Server) unwitnessed() bool {
	return s.cfg.Audit.Required && s.pusher != nil && s.pusher.Stale()
}

// CheckWitnesses asks the witnesses that cfg names whether they cosign this server's
// log, and returns what isn't as it should be. The error is with which a start would be
// refused. Where there is no log yet, nobody is asked.
func CheckWitnesses(ctx context.Context, cfg *configs.Config) (warnings []string, err error) {
	all, err := peers(cfg)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	key, err := audit.ReadKey(cfg.Audit.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("audit.public_key: %w", err)
	}
	warnings, err = witness.Check(ctx, cfg.Audit.Directory, key, all)
	return warnings, otherLog(err)
}
