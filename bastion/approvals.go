package bastion

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
	"entry/bastion/identity"
	"entry/policy"
)

const (
	maxWaiting = 1000 // requests at a time; past it a new one is refused
	maxGiven   = 4096 // approvals remembered; past it the ones that end first are forgotten

	// waitBeat keeps a waiting client's connection alive, with an empty banner
	// that prints nothing.
	waitBeat = 5 * time.Second
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

// approvals holds who waits for whom, and what was approved. It lives in
// memory: after a restart everybody asks again, which can only refuse. It is
// safe for concurrent use.
type approvals struct {
	now func() time.Time

	mu      sync.Mutex
	waiting map[string]*waiter // by ID
	given   map[seat][]policy.Approval
}

// waiter is one user who waits.
type waiter struct {
	id     string
	seat   seat
	quorum policy.Quorum
	until  time.Time
	more   chan struct{} // has a value when an approval came
}

func newApprovals(now func() time.Time) *approvals {
	return &approvals{now: now, waiting: map[string]*waiter{}, given: map[seat][]policy.Approval{}}
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

// wait enters a request, or returns false when too many wait.
func (a *approvals) wait(id string, s seat, q policy.Quorum) (*waiter, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.waiting) >= maxWaiting {
		return nil, false
	}
	w := &waiter{id: id, seat: s, quorum: q, until: a.now().Add(q.Wait), more: make(chan struct{}, 1)}
	a.waiting[id] = w
	return w, true
}

func (a *approvals) leave(w *waiter) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.waiting, w.id)
}

// find is the request with this ID.
func (a *approvals) find(id string) (*waiter, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	w, ok := a.waiting[strings.ToLower(id)]
	return w, ok
}

// give notes an approval and wakes everybody whom it may concern.
func (a *approvals) give(w *waiter, by string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	if n := a.count(); n >= maxGiven {
		a.forget()
	}
	a.given[w.seat] = append(a.given[w.seat], policy.Approval{By: by, Rule: w.quorum.Rule.Name, At: now, Until: now.Add(w.quorum.For)})
	for _, o := range a.waiting {
		if o.seat == w.seat {
			select {
			case o.more <- struct{}{}:
			default: // it has yet to look at the one before
			}
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
}

// Approvals lists who waits, longest first.
func (s *Server) Approvals() []ApprovalRequest {
	s.approvals.mu.Lock()
	all := make([]*waiter, 0, len(s.approvals.waiting))
	for _, w := range s.approvals.waiting {
		all = append(all, w)
	}
	s.approvals.mu.Unlock()
	slices.SortFunc(all, func(x, y *waiter) int { return cmp.Or(x.until.Compare(y.until), strings.Compare(x.id, y.id)) })
	out := make([]ApprovalRequest, 0, len(all))
	for _, w := range all {
		out = append(out, s.shown(w))
	}
	return out
}

func (s *Server) shown(w *waiter) ApprovalRequest {
	r := ApprovalRequest{ID: w.id, User: w.seat.user, Target: w.seat.target, Source: w.seat.source.String(), Rule: w.quorum.Rule.String(), Because: w.quorum.Because,
		Approvers: w.quorum.Approvers, Need: w.quorum.Need, By: []string{}, For: w.quorum.For.String(), Until: w.until.UTC()}
	for _, x := range s.approvals.of(w.seat) {
		if x.Rule == w.quorum.Rule.Name && !slices.Contains(r.By, x.By) {
			r.By = append(r.By, x.By)
		}
	}
	return r
}

// Approve gives by's approval to the request with this ID. by is proven: a
// user of the portal after a fresh code, or the account behind the admin
// socket. The event is durable first; both names stand in it. Errors:
// ErrNoRequest, ErrNotApprover, and those of the log.
func (s *Server) Approve(ctx context.Context, id, by string) (ApprovalRequest, error) {
	w, ok := s.approvals.find(id)
	if !ok {
		return ApprovalRequest{}, ErrNoRequest
	}
	if !w.quorum.Admits(by) {
		return ApprovalRequest{}, ErrNotApprover
	}
	until := s.now().Add(w.quorum.For)
	e := ByActor(ctx, audit.Event{Type: audit.ApprovalGiven, Ref: w.id, User: w.seat.user, Approver: by, Target: w.seat.target, Source: w.seat.source.String(),
		Rule: w.quorum.Rule.String(), Until: &until})
	if err := s.o.Events.Append(context.WithoutCancel(ctx), e); err != nil {
		return ApprovalRequest{}, fmt.Errorf("append approval: %w", err)
	}
	s.approvals.give(w, by)
	return s.shown(w), nil
}

// await keeps the user waiting until enough people have approved, and returns
// the grant that policy gives then. say shows a line to the user and, with "",
// keeps the connection alive; its error says that the user has left. Nobody is
// waiting for a target that is denied for another reason meanwhile.
func (c *client) await(ctx context.Context, t *policy.Target, q policy.Quorum, say func(string) error) (policy.Grant, *refusal) {
	s := c.s
	w, ok := s.approvals.wait(newRef(), c.seat(t), q)
	refuse := func(why, text string) (policy.Grant, *refusal) {
		return policy.Grant{}, &refusal{why: why, event: audit.ApprovalMissing, lab: t.Lab, target: t.FullName(), rule: q.Rule.String(), text: text}
	}
	if !ok {
		return refuse("too-many-waiting", "too many people wait for approval right now; try again later")
	}
	defer s.approvals.leave(w)
	e := audit.Event{Type: audit.ApprovalRequested, Ref: w.id, Conn: c.id, User: c.who.User(), Source: c.source.String(), Lab: t.Lab, Target: t.FullName(),
		Rule: q.Rule.String(), Until: &w.until, Detail: "needs " + q.String()}
	if err := s.o.Events.Append(ctx, e); err != nil {
		return refuse("audit", "the audit log can't be written, so nothing was started; tell your operator")
	}
	text := fmt.Sprintf("entry: %s needs the approval of %s. Waiting until %s; keep this open. They approve with: ssh %s approve %s",
		t.FullName(), q, moment(w.until), s.o.Name, w.id)
	if q.Because != "" {
		text += " (" + q.Because + ")"
	}
	if say(text) != nil {
		return refuse("left", "the client left")
	}
	end := time.NewTimer(q.Wait)
	defer end.Stop()
	beat := time.NewTicker(waitBeat)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return refuse("left", "the client left")
		case <-end.C:
			return refuse("not-approved", fmt.Sprintf("nobody of %s approved in time; ask them and connect again", q))
		case <-beat.C:
			if say("") != nil {
				return refuse("left", "the client left")
			}
		case <-w.more:
			if err := c.revoked(); err != nil {
				return policy.Grant{}, &refusal{why: "revoked", event: audit.AccessRefused, text: userText(err)}
			}
			g, r := c.decideAgain(t)
			if r == nil || r.quorum == nil {
				if r == nil && say("entry: approved") != nil {
					return refuse("left", "the client left")
				}
				return g, r
			}
			if say(fmt.Sprintf("entry: approved by %s; more are needed", strings.Join(r.quorum.By, ", "))) != nil {
				return refuse("left", "the client left")
			}
		}
	}
}

func (c *client) seat(t *policy.Target) seat {
	return seat{user: c.who.User(), target: t.FullName(), source: c.source.Addr()}
}

// decideAgain decides on t, as the policy in force knows it.
func (c *client) decideAgain(t *policy.Target) (policy.Grant, *refusal) {
	p := c.s.policy.Load()
	now, ok := p.Target(t.FullName())
	if !ok {
		return policy.Grant{}, &refusal{why: "denied", event: audit.AccessRefused, lab: t.Lab, target: t.FullName(), policy: p.Hash(), text: t.FullName() + " is no longer in the policy"}
	}
	return c.decide(p, now)
}

// verbApprove lists who waits for this user's approval, or gives it.
func (c *client) verbApprove(ctx context.Context, d *desk, args []string) uint32 {
	if len(args) > 1 {
		return c.misused(d, "approve")
	}
	if len(args) == 0 {
		return c.waitingForMe(d)
	}
	w, ok := c.s.approvals.find(args[0])
	if !ok || !w.quorum.Admits(c.who.User()) {
		// The same words for both: a request is its approvers' business.
		d.errs.printf("entry: no request of that ID waits for you; see: %s", c.says(d, "approve"))
		return exitNotFound
	}
	r := c.s.shown(w)
	d.out.printf("%s wants to reach %s from %s, by rule %s. Your approval holds for %s.", r.User, r.Target, r.Source, printable(r.Rule), r.For)
	if _, err := c.fresh(ctx, d); err != nil {
		return c.failed(d, "approve", err)
	}
	done, err := c.s.Approve(ctx, r.ID, c.who.User())
	switch {
	case errors.Is(err, ErrNoRequest):
		d.errs.printf("entry: the request is over; nothing was approved")
		return exitNotFound
	case err != nil:
		return c.failed(d, "approve", fmt.Errorf("%w: %w", identity.ErrUnavailable, err))
	}
	d.out.printf("Approved: %d of %d.", len(done.By), done.Need)
	return exitOK
}

func (c *client) waitingForMe(d *desk) uint32 {
	n := 0
	for _, r := range c.s.Approvals() {
		w, ok := c.s.approvals.find(r.ID)
		if !ok || !w.quorum.Admits(c.who.User()) {
			continue
		}
		n++
		d.out.printf("%s  %s to %s from %s, waits until %s, approved by %d of %d", r.ID, r.User, r.Target, r.Source, moment(r.Until), len(r.By), r.Need)
	}
	if n == 0 {
		d.out.printf("Nobody waits for your approval.")
	}
	return exitOK
}
