package access

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"entry/audit"
	"entry/audit/plain"
	"entry/audit/refusal"
	"entry/policy"
)

// Hold is what was opened under a grant and ends with it: a session, or one
// connection to a tcp target. It is safe for concurrent use.
type Hold struct {
	login   *Login
	session string       // its ULID; "" for a connection to a tcp target
	use     string       // what approvals for few sessions are used up by
	grant   policy.Grant // at its start; each channel is decided anew
	began   time.Time
	event   func(audit.Type) audit.Event
	end     func(*refusal.Error)
	watch   *watch
	budgets *budgets

	mu   sync.Mutex   // the relay and the watch both ask; held across a decision
	last policy.Grant // under which it last stood

	approved atomic.Pointer[[]policy.Approval] // on which it rests, as last read
	killed   atomic.Pointer[Order]             // by which it ends; the first counts
}

// Opening is what a Hold is made of.
type Opening struct {
	Grant   policy.Grant
	Session string                       // ULID; "" for a connection to a tcp target
	Began   time.Time                    // now, if zero
	Event   func(audit.Type) audit.Event // makes the events about it
	End     func(*refusal.Error)         // ends it and tells its user; it must not block
}

// Hold registers what is about to open, then asks again whether it may: whoever
// takes access away changes the account or the policy first and ends what is
// registered then, so one of the two sees the other. Release it in the end.
func (l *Login) Hold(o Opening) (*Hold, *Refused) {
	if o.Began.IsZero() {
		o.Began = l.gate.now()
	}
	h := &Hold{login: l, session: o.Session, grant: o.Grant, began: o.Began, event: o.Event, end: o.End, last: o.Grant, watch: newWatch()}
	h.use = l.use(o.Grant.Target(), o.Session)
	h.budgets = newBudgets(l.gate, o.Grant, o.Event)
	most := o.Grant.Limits().Concurrent
	if h.session == "" {
		most = 0 // it limits sessions
	}
	no := About(o.Grant)
	no.Type = audit.AccessRefused
	if code, text := l.gate.unfit(l.who.User()); code != "" {
		return nil, Refuse(code, text, no)
	}
	if !l.gate.registry.add(h, most) {
		return nil, Refuse("concurrent", fmt.Sprintf("you already have %s on %s, the most that you may have; end one first",
			plain.Count(int(most), "session"), no.Target), no)
	}
	if most := o.Grant.Limits().Connections; most > 0 && l.gate.registry.under(h) > most {
		h.Release()
		return nil, Refuse("connections", fmt.Sprintf("you have something open on %s, the most that you may have; end what is open on one first",
			plain.Count(most, "connection")), no)
	}
	took, err := l.useUp(o.Grant, h.use)
	if err == nil {
		_, err = h.Decide()
	}
	if err != nil {
		h.Release()
		if took > 0 {
			if err := l.gate.o.Book.Unuse(context.Background(), h.use); err != nil {
				l.gate.o.Trouble("give an approval back", err) // it is used up: less is permitted, never more
			}
		}
		var denied *policy.Denied
		if errors.As(err, &denied) && denied.Approval != nil {
			return nil, Refuse(refusal.Revoked, "the approval for "+no.Target+" was used by another session; connect again to ask for another", no)
		}
		return nil, Refuse(refusal.Revoked, refusal.Of(err).Text, no)
	}
	if h.session != "" { // the machine has taken the login
		l.gate.failures.over(l.who.User(), no.Target)
	}
	return h, nil
}

// useUp has the session called use rest on the approvals for few sessions that g
// needs, and tells how many it newly rests on.
func (l *Login) useUp(g policy.Grant, use string) (int, error) {
	rules := g.Approved()
	if len(rules) == 0 {
		return 0, nil
	}
	n, err := l.gate.o.Book.Use(context.WithoutCancel(l.group.Context()), l.seat(g.Target()), rules, use, l.gate.now())
	if err != nil {
		l.gate.o.Trouble("use approvals", err)
		return 0, &refusal.Error{Code: refusal.Unavailable, Cause: err, Text: "entry can't look up approvals right now, so nothing new opens; try again in some minutes"}
	}
	return n, nil
}

// Release forgets h and gives back what it reserved and didn't move.
func (h *Hold) Release() {
	h.budgets.close()
	h.login.gate.registry.remove(h)
}

// Began is when it was opened.
func (h *Hold) Began() time.Time { return h.began }

// End ends it and tells its user. It doesn't wait.
func (h *Hold) End(why *refusal.Error) { h.end(why) }

// Decide asks whether and how something new may open on it, under whatever
// account and policy are in force now. The error is a *refusal.Error or a
// *policy.Denied.
func (h *Hold) Decide() (policy.Grant, error) {
	if err := h.login.Open(); err != nil {
		return policy.Grant{}, err
	}
	return h.granted(h.login.gate.Policy())
}

// Stands asks whether what is open may go on, and puts the grant's budgets in
// force. Its age is no reason against it: what runs may run on, only nothing new
// opens.
func (h *Hold) Stands() (policy.Grant, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.login.gate.Policy()
	g, err := h.goesOn(p)
	if err != nil {
		return g, ending(h.last, p.Hash(), err)
	}
	h.last = g
	h.budgets.adapt(g)
	return g, nil
}

// Down and Up are the budgets of the bytes towards the client and towards the
// target.
func (h *Hold) Down() *Budget { return h.budgets.down }

// Up is the budget of the bytes towards the target.
func (h *Hold) Up() *Budget { return h.budgets.up }

// Beside bounds what targets say beside files to its user.
func (h *Hold) Beside() *Beside {
	return &Beside{gate: h.login.gate, user: h.login.who.User(), event: h.event}
}

// Messages are lines for the user, of what is about to end.
func (h *Hold) Messages() <-chan string { return h.watch.messages }

// Recheck says that what Stands answers may have changed.
func (h *Hold) Recheck() <-chan struct{} { return h.watch.recheck }

// Follow has h decided anew whenever something may have changed, until ctx ends
// or stop, which waits for that. What it means reaches the relay through Recheck
// and Messages. It is called once.
func (h *Hold) Follow(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	h.login.group.Go("watch of what is open", func() { h.watch.run(ctx, h.login.gate.now, h.Stands) })
	return func() { cancel(); <-h.watch.done }
}

func (h *Hold) granted(p *policy.Policy) (policy.Grant, error) {
	was := h.grant.Target()
	t, ok := p.Target(was.FullName())
	if !ok || t.Kind != was.Kind {
		no := &policy.Denied{User: h.login.who.User(), Target: was.FullName()}
		if was.Kind == policy.TCP {
			no.Capability = policy.ForwardLocal
		}
		return policy.Grant{}, no
	}
	// What runs goes on where approvals can't be read: by those that were, until
	// their end.
	given, err := h.login.approvals(p, t, h.use, false)
	if err == nil {
		h.approved.Store(&given)
	} else if last := h.approved.Load(); last != nil {
		given = *last
	}
	return h.login.subject().decide(p, t, moment{at: h.login.gate.now(), began: h.began, approvals: given})
}

// goesOn is the grant under which h may go on.
func (h *Hold) goesOn(p *policy.Policy) (policy.Grant, error) {
	g, err := h.granted(p)
	if err == nil && g.Record() != policy.Metadata && h.grant.Record() == policy.Metadata {
		return g, &refusal.Error{Code: refusal.PolicyChanged, Text: "sessions on " + g.Target().FullName() + " are recorded from now on; connect again"}
	}
	return g, err
}
