package access

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"entry/audit"
)

// ErrNotGiven is Withdraw's answer where no approval in force is meant.
var ErrNotGiven = errors.New("no approval in force has this ID")

// Withdraw ends the approvals in force that were given to the request with this ID,
// all of them, or by's alone. What rests on them loses what they gave within two
// seconds, at every server on the database, and who still waits needs another one.
// detail says who does it, where that is no approver in their own name. An event for
// each is durable first. Errors: ErrNotGiven, and those of the log and the database.
func (g *Gate) Withdraw(ctx context.Context, id, by, detail string) ([]GivenApproval, error) {
	ctx = context.WithoutCancel(ctx)
	id = strings.ToLower(id)
	all, err := g.given(ctx, func(a Approval) bool { return a.Request == id && (by == "" || a.By == by) })
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, ErrNotGiven
	}
	for _, a := range all {
		e := audit.ByActor(ctx, audit.Event{Type: audit.ApprovalWithdrawn, Ref: id, User: a.User, Approver: a.By, Target: a.Target, Source: a.Source, Rule: a.Rule, Detail: detail})
		if err := g.o.Events.Append(ctx, e); err != nil {
			return nil, fmt.Errorf("append approval.withdrawn: %w", err)
		}
		if err := g.o.Book.Withdraw(ctx, id, a.By); err != nil {
			e.Actor, e.Reason = audit.ActorOf(ctx), "not-applied"
			return nil, errors.Join(err, g.o.Events.Append(ctx, e))
		}
	}
	return all, nil
}

// approvalsChanged has what rests on approvals be decided anew.
func (g *Gate) approvalsChanged() {
	for _, h := range g.registry.all() {
		if given := h.approved.Load(); given != nil && len(*given) > 0 {
			h.watch.policyChanged()
		}
	}
}

// lapse puts on record the approvals that have ended with their approver's account:
// they count no more as soon as that was changed, at every server.
func (g *Gate) lapse() {
	gone, err := g.o.Book.Lapse(g.own.Context(), g.now())
	if err != nil {
		if g.own.Context().Err() == nil {
			g.o.Trouble("end approvals", err) // they don't count; the next change looks again
		}
		return
	}
	for _, a := range gone {
		g.append(audit.Event{Type: audit.ApprovalWithdrawn, Ref: a.Request, User: a.Seat.User, Approver: a.By, Target: a.Seat.Target, Source: a.Seat.Source.String(),
			Rule: a.Rule, Detail: "the approver's account was disabled, removed or reset"})
	}
}
