//go:build linux

package site

import (
	"context"
	"time"

	"go.uber.org/zap"

	"entry/configs"
	"entry/session/group"
)

// followRealm asks a directory that can be searched, at once and then every so often,
// who of its users is still there, until ctx ends. What it answers can end one question,
// not the watch.
func (s *Server) followRealm(ctx context.Context, c configs.Realm) {
	what := "look for the users of the directory " + c.Name
	gate := s.bastion.Access()
	questions := group.New(ctx, func(p *group.Panic) { s.log.Error("panic", zap.Error(p)) })
	tick := time.NewTicker(c.Poll)
	defer tick.Stop()
	for {
		questions.Run(what, func() {
			began := time.Now()
			err := s.state.auth.LookUp(Self(ctx), c.Name, gate.Members(c.Name), func(user string, groups []string) { gate.Regroup(c.Name, user, groups) })
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				s.log.Error(what+"; nothing was taken from those it didn't tell of", zap.Error(err))
			}
			if took := time.Since(began); took > c.Poll {
				s.log.Warn(what+": it takes longer than the realm's poll, so who is gone there is known later", zap.Duration("took", took), zap.Duration("poll", c.Poll))
			}
		})
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
