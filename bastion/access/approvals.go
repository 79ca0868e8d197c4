package access

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"entry/audit"
	"entry/policy"
)

// Errors of Approve.
var (
	ErrNoRequest   = errors.New("nobody waits under this ID")
	ErrNotApprover = errors.New("the rule doesn't name you as an approver of this request")
)

// waits are the connections that wait for approval at this server, each with
// what wakes it: an approval came, the policy or its user's account changed. It
// is safe for concurrent use.
type waits struct {
	mu  sync.Mutex // held for a few instructions
	all map[*wait]struct{}
}

// wait is one connection that waits here.
type wait struct {
	Waiter
	wake chan struct{} // has a value when it should look again
}

func newWaits() *waits { return &waits{all: map[*wait]struct{}{}} }

func (a *waits) enter(w Waiter) *wait {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := &wait{Waiter: w, wake: make(chan struct{}, 1)}
	a.all[out] = struct{}{}
	return out
}

func (a *waits) leave(w *wait) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.all, w)
}

// look has everybody look again, or those of one user.
func (a *waits) look(user string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for w := range a.all {
		if user == "" || w.Seat.User == user {
			signal(w.wake)
		}
	}
}

// ApprovalRequest is somebody who waits, as approvers see it.
type ApprovalRequest struct {
	ID        string            `json:"id"`
	User      string            `json:"user"`
	Target    string            `json:"target"`
	Source    string            `json:"source"`
	Rule      string            `json:"rule"`
	Because   string            `json:"because,omitempty"`
	Approvers []string          `json:"approvers"`
	Need      int               `json:"need"`
	By        []string          `json:"approved_by"`
	Acting    map[string]string `json:"acting,omitempty"` // of those in By who acted "as root"
	For       string            `json:"for"`
	Uses      int               `json:"uses,omitempty"` // sessions; 0 is any number
	Until     time.Time         `json:"waits_until"`

	waiter Waiter
	quorum policy.Quorum
}

// requests are who waits at any server, longest first, by the policy in force.
func (g *Gate) requests(ctx context.Context, show func(policy.Quorum) bool) ([]ApprovalRequest, error) {
	now, p := g.now(), g.Policy()
	waiters, err := g.o.Book.Waiters(ctx, now)
	if err != nil {
		return nil, err
	}
	out := []ApprovalRequest{}
	for _, w := range waiters {
		i := slices.IndexFunc(out, func(r ApprovalRequest) bool { return r.ID == w.Request })
		if i >= 0 {
			if w.Until.After(out[i].Until) {
				out[i].Until = w.Until.UTC()
			}
			continue
		}
		given, err := g.o.Book.Given(ctx, w.Seat, "", true, now)
		if err != nil {
			return nil, err
		}
		t, _ := p.Target(w.Seat.Target)
		q, ok := p.QuorumOf(w.Rule, policy.Request{User: w.Seat.User, Target: t, Time: now, Approvals: given})
		if !ok || q.Gives != w.Gives || !show(q) { // asked for by a policy that is no longer in force, or not here
			continue
		}
		r := ApprovalRequest{ID: w.Request, User: w.Seat.User, Target: w.Seat.Target, Source: w.Seat.Source.String(), Rule: q.Rule.String(), Because: q.Because,
			Approvers: q.Approvers, Need: q.Need, By: append([]string{}, q.By...), For: q.For.String(), Uses: q.Uses, Until: w.Until.UTC(), waiter: w, quorum: q}
		for _, a := range given {
			if a.Rule == w.Rule && a.Acting != "" && slices.Contains(q.By, a.By) {
				if r.Acting == nil {
					r.Acting = map[string]string{}
				}
				r.Acting[a.By] = a.Acting
			}
		}
		out = append(out, r)
	}
	slices.SortFunc(out, func(x, y ApprovalRequest) int { return cmp.Or(x.Until.Compare(y.Until), strings.Compare(x.ID, y.ID)) })
	return out, nil
}

// Approvals lists who waits, longest first.
func (g *Gate) Approvals(ctx context.Context) ([]ApprovalRequest, error) {
	return g.requests(ctx, func(policy.Quorum) bool { return true })
}

// Mine lists who waits for l's approval, longest first.
func (l *Login) Mine(ctx context.Context) ([]ApprovalRequest, error) {
	return l.gate.requests(ctx, func(q policy.Quorum) bool { return q.Admits(l.who.User()) })
}

// Waits is the request with this ID as it is now, if by may approve it. Errors:
// ErrNoRequest, ErrNotApprover, and those of the database.
func (g *Gate) Waits(ctx context.Context, id, by string) (ApprovalRequest, error) {
	all, err := g.Approvals(ctx)
	if err != nil {
		return ApprovalRequest{}, err
	}
	i := slices.IndexFunc(all, func(r ApprovalRequest) bool { return r.ID == strings.ToLower(id) })
	switch {
	case i < 0:
		return ApprovalRequest{}, ErrNoRequest
	case !all[i].quorum.Admits(by):
		return ApprovalRequest{}, ErrNotApprover
	}
	return all[i], nil
}

// GivenApproval is an approval in force, as operators see it.
type GivenApproval struct {
	ID     string    `json:"id"` // of the request that it answered
	User   string    `json:"user"`
	Target string    `json:"target"`
	Source string    `json:"source"`
	Rule   string    `json:"rule"`
	By     string    `json:"by"`
	Acting string    `json:"acting,omitempty"` // "as root"
	At     time.Time `json:"at"`
	Until  time.Time `json:"until"`
	Uses   int       `json:"uses,omitempty"` // sessions it was given for; 0 is any number
	Used   int       `json:"used,omitempty"` // of them
}

// Given lists the approvals in force, those that end first first.
func (g *Gate) Given(ctx context.Context) ([]GivenApproval, error) {
	return g.given(ctx, func(Approval) bool { return true })
}

// Given lists the approvals in force that l's user has given, those that end first
// first.
func (l *Login) Given(ctx context.Context) ([]GivenApproval, error) {
	return l.gate.given(ctx, func(a Approval) bool { return a.By == l.who.User() })
}

func (g *Gate) given(ctx context.Context, show func(Approval) bool) ([]GivenApproval, error) {
	all, err := g.o.Book.Approvals(ctx, g.now())
	out := []GivenApproval{}
	for _, a := range all {
		if !show(a) {
			continue
		}
		out = append(out, GivenApproval{ID: a.Request, User: a.Seat.User, Target: a.Seat.Target, Source: a.Seat.Source.String(), Rule: a.Rule, By: a.By, Acting: a.Acting,
			At: a.At.UTC(), Until: a.Until.UTC(), Uses: a.Uses, Used: a.Used})
	}
	return out, err
}

// Approve gives by's approval to the request with this ID, at whichever server
// its user waits. by is proven: a user of the portal after a fresh code, or the
// person behind the admin socket; acting says how, where that is no login of
// their own. The event is durable first; both names stand in it. Errors:
// ErrNoRequest, ErrNotApprover, and those of the log and the database.
func (g *Gate) Approve(ctx context.Context, id, by, acting string) (ApprovalRequest, error) {
	ctx = context.WithoutCancel(ctx)
	r, err := g.Waits(ctx, id, by)
	if err != nil {
		return ApprovalRequest{}, err
	}
	now := g.now()
	until := now.Add(r.quorum.For).UTC()
	e := audit.ByActor(ctx, audit.Event{Type: audit.ApprovalGiven, Ref: r.ID, User: r.User, Approver: by, Target: r.Target, Source: r.Source,
		Rule: r.Rule, Until: &until, Uses: int64(r.Uses)})
	if acting != "" {
		e.Detail = "given by " + Approver(by, acting)
	}
	if err := g.o.Events.Append(ctx, e); err != nil {
		return ApprovalRequest{}, fmt.Errorf("append approval: %w", err)
	}
	// Whoever waited may have left meanwhile; the approval stands for when they
	// come back.
	err = g.o.Book.Give(ctx, r.waiter, policy.Approval{By: by, Rule: r.waiter.Rule, Gives: r.waiter.Gives, At: now, Until: until, Uses: r.Uses, Acting: acting})
	if err != nil {
		e.Actor, e.Until, e.Reason = audit.ActorOf(ctx), nil, "not-applied"
		return ApprovalRequest{}, errors.Join(err, g.o.Events.Append(ctx, e))
	}
	g.waits.look(r.User)
	if !slices.Contains(r.By, by) {
		r.By = append(r.By, by)
		slices.Sort(r.By)
	}
	if acting != "" {
		if r.Acting == nil {
			r.Acting = map[string]string{}
		}
		r.Acting[by] = acting
	}
	return r, nil
}

// seat is where l stands as to approvals for t.
func (l *Login) seat(t *policy.Target) policy.Seat {
	return policy.Seat{User: l.who.User(), Target: t.FullName(), Source: l.source.Addr()}
}

// use is what an approval for few sessions is used up by: a session, and of a tcp
// target, which has none, the client connection.
func (l *Login) use(t *policy.Target, session string) string {
	if t.Kind == policy.TCP {
		return "connection " + l.conn
	}
	return session
}

// approvals are those that something on t rests on by p; fresh adds what
// something new could use. Where they can't be read there are none, and err says
// so.
func (l *Login) approvals(p *policy.Policy, t *policy.Target, use string, fresh bool) ([]policy.Approval, error) {
	if !p.Asks() {
		return nil, nil
	}
	given, err := l.gate.o.Book.Given(context.WithoutCancel(l.group.Context()), l.seat(t), use, fresh, l.gate.now())
	if err != nil {
		l.gate.o.Trouble("read approvals", err)
	}
	return given, err
}
