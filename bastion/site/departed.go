//go:build linux

package site

import (
	"context"
	"time"

	"go.uber.org/zap"

	"entry/configs"
	"entry/session/group"
)

// followRealm asks a directory that can be searched, every so often, who of its
// users is still there, until ctx ends. What it answers can end one question, not
// the watch.
func (s *Server) followRealm(ctx context.Context, c configs.Realm) {
	what := "look for the users of the directory " + c.Name
	gate := s.bastion.Access()
	questions := group.New(ctx, func(p *group.Panic) { s.log.Error("panic", zap.Error(p)) })
	lasts := c.Poll + min(c.Poll, time.Minute) // the next poll takes its time
	tick := time.NewTicker(c.Poll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		questions.Run(what, func() {
			err := s.state.auth.LookUp(Self(ctx), c.Name, gate.Members(c.Name), func(user string, groups []string) { gate.Regroup(c.Name, user, groups, lasts) })
			if err != nil && ctx.Err() == nil {
				s.log.Error(what+"; nothing was taken from those it didn't tell of", zap.Error(err))
			}
		})
	}
}
