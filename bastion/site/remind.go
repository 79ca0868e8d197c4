//go:build linux

package site

import (
	"context"
	"time"

	"go.uber.org/zap"

	"entry/bastion/gateway"
	"entry/configs"
	"entry/session/group"
)

// remindEvery is how often it is looked whose invitation is about to lapse.
const remindEvery = time.Hour

// startReminding tells users, from now on, whose temporary passphrase is about to be
// no longer good. The returned function ends that and waits for it.
func (s *Server) startReminding(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := group.Vital("reminders of invitations", func() {
		t := time.NewTicker(remindEvery)
		defer t.Stop()
		for {
			if err := s.state.auth.Remind(ctx); err != nil && ctx.Err() == nil {
				s.log.Error("remind users of their invitations", zap.Error(err))
			}
			select {
			case <-ctx.Done():
				return
			case <-t.C:
			}
		}
	})
	return func() { cancel(); <-done }
}

// canHandOut tells whether there is a program that HandOut could give secrets to.
func canHandOut(cfg *configs.Config) error {
	if cfg.Notices == nil || len(cfg.Notices.Command) == 0 {
		return wrongf("there is no notices.command in the configuration to hand secrets to")
	}
	return nil
}

// handOut gives a secret to the site's command for notices.
func handOut(ctx context.Context, cfg *configs.Config, s gateway.Secret) error {
	if err := canHandOut(cfg); err != nil {
		return err
	}
	return gateway.HandOut(ctx, *cfg.Notices, s)
}
