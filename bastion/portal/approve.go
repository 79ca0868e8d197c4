package portal

import (
	"context"
	"errors"
	"fmt"

	"entry/audit/plain"
	"entry/bastion/access"
	"entry/bastion/identity"
	"entry/policy"
)

// verbAsk asks for an approval beforehand, and for one that gives more than
// what the user has without it: nobody would be waiting for that.
func (v *visit) verbAsk(ctx context.Context, d *desk, args []string) uint32 {
	if len(args) != 1 {
		return v.misused(d, "ask")
	}
	t, r := v.login.Resolve(args[0])
	if r != nil {
		d.errs.printf("entry: %s", plain.Text(v.contact().In(r.Text)))
		return exitNotFound
	}
	decide := func() (policy.Grant, *access.Refused) {
		g, r := v.login.Again(t)
		if r == nil {
			if q := more(g); q != nil {
				return g, &access.Refused{Approval: q, Target: t}
			}
		}
		return g, r
	}
	_, r = decide()
	switch {
	case r == nil:
		d.out.printf("%s needs nobody's approval.", t.FullName())
		return exitOK
	case r.Approval == nil:
		d.errs.printf("entry: %s", plain.Text(v.login.Note(r)))
		return exitDenied
	}
	_, r = v.login.AwaitAs(ctx, t, *r.Approval, func(text string) error {
		if text != "" {
			d.out.printf("%s", plain.Text(text))
		}
		return ctx.Err()
	}, decide)
	if r != nil {
		d.errs.printf("entry: %s", plain.Text(v.login.Note(r)))
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
func (v *visit) verbApprove(ctx context.Context, d *desk, args []string) uint32 {
	switch {
	case len(args) == 0:
		return v.waitingForMe(ctx, d)
	case len(args) == 1 && args[0] == "given":
		return v.givenByMe(ctx, d)
	case len(args) == 2 && args[0] == "withdraw":
		return v.withdraw(ctx, d, args[1])
	case len(args) > 1 || args[0] == "withdraw":
		return v.misused(d, "approve")
	}
	r, err := v.p.o.Gate.Waits(ctx, args[0], v.login.Who().User())
	switch {
	case err != nil && !errors.Is(err, access.ErrNoRequest) && !errors.Is(err, access.ErrNotApprover):
		return v.failed(d, "approve", fmt.Errorf("%w: %w", identity.ErrUnavailable, err))
	case err != nil:
		// The same words for all errors: a request is its approvers' business.
		d.errs.printf("entry: no request of that ID waits for you; see: %s", v.says(d, "approve"))
		return exitNotFound
	}
	d.out.printf("%s wants to reach %s from %s, by rule %s. Your approval holds for %s.", r.User, r.Target, r.Source, plain.Text(r.Rule), r.Holds())
	if _, err := v.fresh(ctx, d, "approve that"); err != nil {
		return v.failed(d, "approve", err)
	}
	done, err := v.p.o.Gate.Approve(ctx, r.ID, v.login.Who().User(), "")
	switch {
	case errors.Is(err, access.ErrNoRequest), errors.Is(err, access.ErrNotApprover):
		d.errs.printf("entry: the request is over; nothing was approved")
		return exitNotFound
	case err != nil:
		return v.failed(d, "approve", fmt.Errorf("%w: %w", identity.ErrUnavailable, err))
	}
	d.out.printf("Approved: %d of %d.", len(done.By), done.Need)
	return exitOK
}

func (v *visit) waitingForMe(ctx context.Context, d *desk) uint32 {
	mine, err := v.login.Mine(ctx)
	if err != nil {
		return v.failed(d, "approve", fmt.Errorf("%w: %w", identity.ErrUnavailable, err))
	}
	for _, r := range mine {
		d.out.printf("%s  %s to %s from %s, waits until %s, approved by %d of %d%s", r.ID, r.User, r.Target, r.Source, plain.Moment(r.Until), len(r.By), r.Need, named(r))
	}
	if len(mine) == 0 {
		d.out.printf("Nobody waits for your approval.")
	}
	return exitOK
}

// named is who has approved r, for the end of a line.
func named(r access.ApprovalRequest) string {
	if len(r.By) == 0 {
		return ""
	}
	return ": " + plain.Text(r.Approved())
}

// givenByMe lists this user's approvals in force.
func (v *visit) givenByMe(ctx context.Context, d *desk) uint32 {
	mine, err := v.login.Given(ctx)
	if err != nil {
		return v.failed(d, "approve", fmt.Errorf("%w: %w", identity.ErrUnavailable, err))
	}
	for _, a := range mine {
		d.out.printf("%s  %s to %s from %s, by rule %s, until %s", a.ID, a.User, a.Target, a.Source, plain.Text(a.Rule), plain.Moment(a.Until))
	}
	if len(mine) == 0 {
		d.out.printf("No approval of yours is in force.")
	}
	return exitOK
}

// withdraw takes an approval of this user's back. It takes access away, so it asks
// for no code.
func (v *visit) withdraw(ctx context.Context, d *desk, id string) uint32 {
	done, err := v.p.o.Gate.Withdraw(ctx, id, v.login.Who().User(), "")
	switch {
	case errors.Is(err, access.ErrNotGiven):
		d.errs.printf("entry: no approval of yours in force has that ID; see: %s", v.says(d, "approve given"))
		return exitNotFound
	case err != nil:
		return v.failed(d, "approve", fmt.Errorf("%w: %w", identity.ErrUnavailable, err))
	}
	for _, a := range done {
		d.out.printf("Withdrawn: your approval of %s on %s. What was opened by it ends, or loses what it gave.", a.User, a.Target)
	}
	return exitOK
}
