//go:build linux

package site

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"entry/audit"
	"entry/audit/plain"
	"entry/bastion/gateway"
	"entry/bastion/identity"
	"entry/configs"
)

// noticesWaiting is how many notices may wait: one operation may be about a whole
// course.
const noticesWaiting = 1 << 13

// noticesLast bounds how long the end waits for notices that still wait to go
// out: a command or a webhook with all its tries.
const noticesLast = 15 * time.Second

// openNotices starts what tells users of changes to their accounts; nil where
// nobody is told. Whatever gets lost becomes an event of log, and tell hears of
// it in words.
func openNotices(cfg *configs.Config, log *audit.Log, tell func(string, error)) (*gateway.Notices, error) {
	if cfg.Notices == nil {
		return nil, nil
	}
	n, err := gateway.NewNotices(gateway.NoticesOptions{Notices: *cfg.Notices, Queue: noticesWaiting, Lost: func(l gateway.Loss) {
		ctx := Self(context.Background())
		what := fmt.Sprintf("%s, the last was %s", plain.Count(l.Count, "notice"), l.Last.Kind)
		err := log.Append(ctx, audit.ByActor(ctx, audit.Event{Type: audit.NoticeLost, User: l.Last.User, Reason: l.Reason, Detail: what}))
		tell(fmt.Sprintf("users were not told of changes to their accounts (%s, to %s)", what, l.Last.User), errors.Join(l.Err, err))
	}})
	if err != nil {
		return nil, wrong(err)
	}
	return n, nil
}

// checkNotices is what openNotices would refuse, and whether the command is
// there.
func checkNotices(cfg *configs.Config) error {
	if cfg.Notices == nil {
		return nil
	}
	n, err := gateway.NewNotices(gateway.NoticesOptions{Notices: *cfg.Notices, Lost: func(gateway.Loss) {}})
	if err != nil {
		return wrong(err)
	}
	if err := n.Close(context.Background()); err != nil { // nothing was sent, so nothing waits
		return err
	}
	if len(cfg.Notices.Command) > 0 {
		if _, err := exec.LookPath(cfg.Notices.Command[0]); err != nil {
			return wrongf("notices.command: %w", err)
		}
	}
	return nil
}

// notifier is how identity reaches n, which may be nil.
func notifier(n *gateway.Notices) func(context.Context, identity.Notice) {
	if n == nil {
		return nil
	}
	return func(_ context.Context, v identity.Notice) {
		n.Send(gateway.Notice{User: v.User, Kind: string(v.Kind), At: v.At, Source: v.Source, Detail: v.Detail})
	}
}
