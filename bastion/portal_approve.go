package bastion

import (
	"context"
	"errors"
	"fmt"

	"entry/bastion/identity"
	"entry/policy"
)

// verbAsk asks for an approval beforehand, and for one that gives more than
// what the user has without it: nobody would be waiting for that.
func (c *client) verbAsk(ctx context.Context, d *desk, args []string) uint32 {
	if len(args) != 1 {
		return c.misused(d, "ask")
	}
	t, err := c.s.policy.Load().Resolve(c.who.User(), args[0], c.realm()...)
	if err != nil {
		d.errs.printf("entry: %s", printable(resolveText(err)))
		return exitNotFound
	}
	decide := func() (policy.Grant, *refused) {
		g, r := c.decideAgain(t)
		if r == nil {
			if q := more(g); q != nil {
				return g, &refused{quorum: q, waitsFor: t}
			}
		}
		return g, r
	}
	_, r := decide()
	switch {
	case r == nil:
		d.out.printf("%s needs nobody's approval.", t.FullName())
		return exitOK
	case r.quorum == nil:
		d.errs.printf("entry: %s", printable(c.noted(*r)))
		return exitDenied
	}
	_, r = c.awaitAs(ctx, t, *r.quorum, func(text string) error {
		if text != "" {
			d.out.printf("%s", printable(text))
		}
		return ctx.Err()
	}, decide)
	if r != nil {
		d.errs.printf("entry: %s", printable(c.noted(*r)))
		return exitDenied
	}
	return exitOK
}

// more is the approval that would give something that g hasn't got; nil where
// none would.
func more(g policy.Grant) *policy.Quorum {
	for c := policy.Shell; c <= policy.X11; c++ {
		if q := g.Refusal(c).Approval; q != nil && !g.Allows(c) {
			return q
		}
	}
	return nil
}

// verbApprove lists who waits for this user's approval, or gives it.
func (c *client) verbApprove(ctx context.Context, d *desk, args []string) uint32 {
	if len(args) > 1 {
		return c.misused(d, "approve")
	}
	if len(args) == 0 {
		return c.waitingForMe(d)
	}
	r, _, err := c.s.approvals.find(args[0], c.who.User())
	if err != nil {
		// The same words for all errors: a request is its approvers' business.
		d.errs.printf("entry: no request of that ID waits for you; see: %s", c.says(d, "approve"))
		return exitNotFound
	}
	d.out.printf("%s wants to reach %s from %s, by rule %s. Your approval holds for %s.", r.User, r.Target, r.Source, printable(r.Rule), r.For)
	if _, err := c.fresh(ctx, d); err != nil {
		return c.failed(d, "approve", err)
	}
	done, err := c.s.Approve(ctx, r.ID, c.who.User())
	switch {
	case errors.Is(err, ErrNoRequest), errors.Is(err, ErrNotApprover):
		d.errs.printf("entry: the request is over; nothing was approved")
		return exitNotFound
	case err != nil:
		return c.failed(d, "approve", fmt.Errorf("%w: %w", identity.ErrUnavailable, err))
	}
	d.out.printf("Approved: %d of %d.", len(done.By), done.Need)
	return exitOK
}

func (c *client) waitingForMe(d *desk) uint32 {
	mine := c.s.approvals.list(func(q policy.Quorum) bool { return q.Admits(c.who.User()) })
	for _, r := range mine {
		d.out.printf("%s  %s to %s from %s, waits until %s, approved by %d of %d", r.ID, r.User, r.Target, r.Source, moment(r.Until), len(r.By), r.Need)
	}
	if len(mine) == 0 {
		d.out.printf("Nobody waits for your approval.")
	}
	return exitOK
}
