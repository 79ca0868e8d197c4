package access

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"entry/audit"
	"entry/audit/refusal"
	"entry/policy"
)

const (
	maxRequests    = 1000 // open at a time; past it a new one is refused
	maxWaitingEach = 8    // connections of one user that wait, so that one can't use up the others' places
	maxGiven       = 4096 // approvals remembered; past it the ones that end first are forgotten
)

// Errors of Approve.
var (
	ErrNoRequest   = errors.New("nobody waits under this ID")
	ErrNotApprover = errors.New("the rule doesn't name you as an approver of this request")
)

// seat is what an approval is bound to, besides its rule and its end.
type seat struct {
	user, target string
	source       netip.Addr
}

// approvals holds who waits for whom, and what was approved. It lives in the
// memory of one server: after a restart, and at another server, everybody asks
// again, which can only refuse. It is safe for concurrent use.
type approvals struct {
	now func() time.Time

	mu       sync.Mutex // never held across I/O
	requests map[string]*request
	given    map[seat][]policy.Approval
}

// request is what approvers see: one seat that asks by one rule, however many
// connections wait for it. The book's mu guards it.
type request struct {
	id      string
	seat    seat
	quorum  policy.Quorum // as last decided
	until   time.Time
	waiters map[*waiter]struct{}
}

// waiter is one connection that waits. wake has a value when it should look
// again: an approval came, the policy or its user's account changed.
type waiter struct {
	request *request
	wake    chan struct{}
}

func newApprovals(now func() time.Time) *approvals {
	return &approvals{now: now, requests: map[string]*request{}, given: map[seat][]policy.Approval{}}
}

// of are the approvals in force for s.
func (a *approvals) of(s seat) []policy.Approval {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	kept := slices.DeleteFunc(a.given[s], func(x policy.Approval) bool { return !now.Before(x.Until) })
	if len(kept) == 0 {
		delete(a.given, s)
		return nil
	}
	a.given[s] = kept
	return slices.Clone(kept)
}

// wait has one more connection wait by q. It joins the request that the seat
// has by that rule; fresh is true where it made one. ok is false when too many
// wait already.
func (a *approvals) wait(s seat, q policy.Quorum) (w *waiter, fresh, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var r *request
	mine := 0
	for _, o := range a.requests {
		if o.seat.user == s.user {
			mine += len(o.waiters)
		}
		if o.seat == s && o.quorum.Rule.Name == q.Rule.Name {
			r = o
		}
	}
	if mine >= maxWaitingEach || r == nil && len(a.requests) >= maxRequests {
		return nil, false, false
	}
	if r == nil {
		r, fresh = &request{id: refusal.NewRef(), seat: s, waiters: map[*waiter]struct{}{}}, true
		a.requests[r.id] = r
	}
	r.quorum = q
	if until := a.now().Add(q.Wait); until.After(r.until) {
		r.until = until
	}
	w = &waiter{request: r, wake: make(chan struct{}, 1)}
	r.waiters[w] = struct{}{}
	return w, fresh, true
}

// leave ends w's waiting; a request for which nobody waits is gone.
func (a *approvals) leave(w *waiter) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(w.request.waiters, w)
	if len(w.request.waiters) == 0 {
		delete(a.requests, w.request.id)
	}
}

// asked is the request that s has by the rule, if there is one.
func (a *approvals) asked(s seat, rule string) (ApprovalRequest, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range a.requests {
		if r.seat == s && r.quorum.Rule.Name == rule {
			return a.shown(r), true
		}
	}
	return ApprovalRequest{}, false
}

// find is the request with this ID as it is now, if by may approve it.
func (a *approvals) find(id, by string) (ApprovalRequest, policy.Quorum, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r, ok := a.requests[strings.ToLower(id)]
	if !ok {
		return ApprovalRequest{}, policy.Quorum{}, ErrNoRequest
	}
	if !r.quorum.Admits(by) {
		return ApprovalRequest{}, policy.Quorum{}, ErrNotApprover
	}
	return a.shown(r), r.quorum, nil
}

// give notes that by approves s's access by q, and has everybody look again
// whom it may concern. Somebody's later approval stands for their earlier one.
func (a *approvals) give(s seat, q policy.Quorum, by string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	kept := slices.DeleteFunc(a.given[s], func(x policy.Approval) bool { return x.By == by && x.Rule == q.Rule.Name })
	if a.count() >= maxGiven {
		a.forget()
	}
	a.given[s] = append(kept, policy.Approval{By: by, Rule: q.Rule.Name, At: now, Until: now.Add(q.For)})
	a.wake(func(o seat) bool { return o == s })
}

// drop forgets what was approved for user, whose access was taken away: whoever
// gives it back doesn't give that.
func (a *approvals) drop(user string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for s := range a.given {
		if s.user == user {
			delete(a.given, s)
		}
	}
}

// look has everybody look again whose seat is of the kind.
func (a *approvals) look(kind func(seat) bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.wake(kind)
}

// wake is look with a.mu held.
func (a *approvals) wake(kind func(seat) bool) {
	for _, r := range a.requests {
		if !kind(r.seat) {
			continue
		}
		for w := range r.waiters {
			signal(w.wake)
		}
	}
}

// count and forget bound what is remembered. The caller holds a.mu.
func (a *approvals) count() (n int) {
	for _, g := range a.given {
		n += len(g)
	}
	return n
}

func (a *approvals) forget() {
	var first seat
	var end time.Time
	for s, g := range a.given {
		if len(g) == 0 {
			continue
		}
		if u := slices.MaxFunc(g, func(x, y policy.Approval) int { return x.Until.Compare(y.Until) }).Until; end.IsZero() || u.Before(end) {
			first, end = s, u
		}
	}
	delete(a.given, first)
}

// ApprovalRequest is somebody who waits, as approvers see it.
type ApprovalRequest struct {
	ID        string    `json:"id"`
	User      string    `json:"user"`
	Target    string    `json:"target"`
	Source    string    `json:"source"`
	Rule      string    `json:"rule"`
	Because   string    `json:"because,omitempty"`
	Approvers []string  `json:"approvers"`
	Need      int       `json:"need"`
	By        []string  `json:"approved_by"`
	For       string    `json:"for"`
	Until     time.Time `json:"waits_until"`

	seat seat
}

// shown is r as it is now. The caller holds a.mu.
func (a *approvals) shown(r *request) ApprovalRequest {
	q := r.quorum
	out := ApprovalRequest{ID: r.id, User: r.seat.user, Target: r.seat.target, Source: r.seat.source.String(), Rule: q.Rule.String(), Because: q.Because,
		Approvers: q.Approvers, Need: q.Need, By: []string{}, For: q.For.String(), Until: r.until.UTC(), seat: r.seat}
	now := a.now()
	for _, x := range a.given[r.seat] {
		if x.Rule == q.Rule.Name && now.Before(x.Until) && q.Admits(x.By) {
			out.By = append(out.By, x.By)
		}
	}
	slices.Sort(out.By)
	return out
}

// list is who waits and may be shown, longest first.
func (a *approvals) list(show func(policy.Quorum) bool) []ApprovalRequest {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := []ApprovalRequest{}
	for _, r := range a.requests {
		if show(r.quorum) {
			out = append(out, a.shown(r))
		}
	}
	slices.SortFunc(out, func(x, y ApprovalRequest) int { return cmp.Or(x.Until.Compare(y.Until), strings.Compare(x.ID, y.ID)) })
	return out
}

// Approvals lists who waits, longest first.
func (g *Gate) Approvals() []ApprovalRequest {
	return g.approvals.list(func(policy.Quorum) bool { return true })
}

// Mine lists who waits for l's approval, longest first.
func (l *Login) Mine() []ApprovalRequest {
	return l.gate.approvals.list(func(q policy.Quorum) bool { return q.Admits(l.who.User()) })
}

// Waits is the request with this ID as it is now, if by may approve it. Errors:
// ErrNoRequest, ErrNotApprover.
func (g *Gate) Waits(id, by string) (ApprovalRequest, error) {
	r, _, err := g.approvals.find(id, by)
	return r, err
}

// Approve gives by's approval to the request with this ID. by is proven: a
// user of the portal after a fresh code, or the person behind the admin
// socket. The event is durable first; both names stand in it. Errors:
// ErrNoRequest, ErrNotApprover, and those of the log.
func (g *Gate) Approve(ctx context.Context, id, by string) (ApprovalRequest, error) {
	r, q, err := g.approvals.find(id, by)
	if err != nil {
		return ApprovalRequest{}, err
	}
	until := g.now().Add(q.For).UTC()
	e := audit.ByActor(ctx, audit.Event{Type: audit.ApprovalGiven, Ref: r.ID, User: r.User, Approver: by, Target: r.Target, Source: r.Source,
		Rule: r.Rule, Until: &until})
	if err := g.o.Events.Append(context.WithoutCancel(ctx), e); err != nil {
		return ApprovalRequest{}, fmt.Errorf("append approval: %w", err)
	}
	// Whoever waited may have left meanwhile; the approval stands for when they
	// come back.
	g.approvals.give(r.seat, q, by)
	if !slices.Contains(r.By, by) {
		r.By = append(r.By, by)
		slices.Sort(r.By)
	}
	return r, nil
}
