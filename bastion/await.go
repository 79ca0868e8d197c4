package bastion

import (
	"context"
	"fmt"
	"strings"
	"time"

	"entry/audit"
	"entry/policy"
)

// waitBeat is how often something that isn't shown is sent to who waits: it
// keeps the connection alive for clients that give up a silent server
// (OpenSSH's ServerAliveInterval), and finds out whether they are still there.
const waitBeat = 5 * time.Second

// await keeps the user waiting until enough people have approved, and returns
// the grant that policy gives then. say shows a line to the user and, with "",
// keeps the connection alive; its error says that the user has left. What is
// asked for is decided anew at every approval, every new policy, every change
// of the user's account and every beat.
func (c *client) await(ctx context.Context, t *policy.Target, q policy.Quorum, say func(string) error) (policy.Grant, *refused) {
	return c.awaitAs(ctx, t, q, say, func() (policy.Grant, *refused) { return c.decideAgain(t) })
}

// awaitAs is await for what decide decides.
func (c *client) awaitAs(ctx context.Context, t *policy.Target, q policy.Quorum, say func(string) error, decide func() (policy.Grant, *refused)) (policy.Grant, *refused) {
	left := func() (policy.Grant, *refused) {
		return policy.Grant{}, c.unapproved(t, q, "left", "the client left before anybody approved")
	}
	w, r := c.ask(ctx, t, q, func(id string, until time.Time) error {
		return say(fmt.Sprintf("entry: %s needs the approval of %s%s. Waiting until %s; keep this open. They approve with: ssh %s approve %s",
			t.FullName(), clip(q.String()), because(q), moment(until), c.s.o.Name, id))
	})
	if r != nil {
		return policy.Grant{}, r
	}
	defer func() { c.s.approvals.leave(w) }()
	end := time.NewTimer(q.Wait)
	defer end.Stop()
	beat := time.NewTicker(waitBeat)
	defer beat.Stop()
	told := strings.Join(q.By, ", ")
	for {
		select {
		case <-ctx.Done():
			return left()
		case <-end.C:
			return policy.Grant{}, c.unapproved(t, q, "not-approved", fmt.Sprintf("%s didn't approve in time; ask them and connect again", clip(q.String())))
		case <-beat.C:
			if say("") != nil {
				return left()
			}
		case <-w.wake:
			if err := c.revoked(); err != nil {
				return policy.Grant{}, &refused{why: "revoked", event: audit.AccessRefused, lab: t.Lab, target: t.FullName(), text: userText(err)}
			}
		}
		g, r := decide()
		switch {
		case r == nil:
			if say("entry: approved by "+strings.Join(g.Approval().By, ", ")) != nil {
				return left()
			}
			return g, nil
		case r.quorum == nil:
			return policy.Grant{}, r
		case r.quorum.Rule.Name != q.Rule.Name || r.quorum.String() != q.String():
			// A new policy asks others: that is another request.
			c.s.approvals.leave(w)
			q = *r.quorum
			next, r := c.ask(ctx, t, q, func(id string, until time.Time) error {
				return say(fmt.Sprintf("entry: the policy changed: %s now needs the approval of %s%s. They approve with: ssh %s approve %s", t.FullName(), clip(q.String()), because(q), c.s.o.Name, id))
			})
			if r != nil {
				return policy.Grant{}, r
			}
			w, told = next, strings.Join(q.By, ", ")
		case strings.Join(r.quorum.By, ", ") != told:
			q = *r.quorum
			told = strings.Join(q.By, ", ")
			text := "entry: approved by " + told + "; more are needed"
			if told == "" {
				text = "entry: an approval is over before the next one came; all are needed again"
			}
			if say(text) != nil {
				return left()
			}
		}
	}
}

func because(q policy.Quorum) string {
	if q.Because == "" {
		return ""
	}
	return " (" + q.Because + ")"
}

// ask enters a request, puts it on record if it is a new one, and has tell say
// it to the user. The caller ends the waiting.
func (c *client) ask(ctx context.Context, t *policy.Target, q policy.Quorum, tell func(id string, until time.Time) error) (*waiter, *refused) {
	s := c.s
	w, fresh, ok := s.approvals.wait(c.seat(t), q)
	if !ok {
		return nil, c.unapproved(t, q, "too-many-waiting", "too many connections wait for approval already; end one, or try again later")
	}
	until := s.now().Add(q.Wait).UTC()
	if fresh {
		e := audit.Event{Type: audit.ApprovalRequested, Ref: w.request.id, Conn: c.id, User: c.who.User(), Source: c.source.String(), Lab: t.Lab, Target: t.FullName(),
			Rule: q.Rule.String(), Policy: s.policy.Load().Hash(), Until: &until, Detail: "needs " + q.String()}
		if err := s.o.Events.Append(context.WithoutCancel(ctx), e); err != nil {
			s.approvals.leave(w)
			return nil, c.unapproved(t, q, "audit", "the audit log can't be written, so nothing was started; tell your operator")
		}
	}
	if tell(w.request.id, until) != nil {
		s.approvals.leave(w)
		return nil, c.unapproved(t, q, "left", "the client left before anybody approved")
	}
	return w, nil
}

// unapproved is the refusal of what nobody approved.
func (c *client) unapproved(t *policy.Target, q policy.Quorum, why, text string) *refused {
	return &refused{why: why, event: audit.ApprovalMissing, lab: t.Lab, target: t.FullName(), rule: q.Rule.String(), policy: c.s.policy.Load().Hash(), text: text}
}

// askAside enters a request that waits beside the channel that needs it, as
// long as the connection and the rule's wait last, and returns the refusal of
// that channel: only a refusal can say anything to the user of a forward. With
// the approval given, the next try goes through.
func (c *client) askAside(ctx context.Context, t *policy.Target, q policy.Quorum) *refused {
	r, open := c.s.approvals.asked(c.seat(t), q.Rule.Name)
	if !open {
		entered := make(chan *refused, 1)
		c.group.Go("wait for approval", func() {
			told := false
			_, no := c.await(ctx, t, q, func(string) error {
				if !told { // the request is there
					told = true
					entered <- nil
				}
				return ctx.Err()
			})
			switch {
			case no != nil && told:
				c.noted(*no)
			case !told:
				entered <- no
			}
		})
		select {
		case no := <-entered:
			if no != nil {
				return no
			}
		case <-ctx.Done():
		}
		if r, open = c.s.approvals.asked(c.seat(t), q.Rule.Name); !open {
			return c.unapproved(t, q, "left", "nobody approved yet; try again")
		}
	}
	return &refused{why: "needs-approval", event: audit.AccessRefused, lab: t.Lab, target: t.FullName(), rule: q.Rule.String(), policy: c.s.policy.Load().Hash(),
		text: fmt.Sprintf("%s needs the approval of %s%s; try again once they have given it, until %s, with: ssh %s approve %s",
			t.FullName(), clip(q.String()), because(q), moment(r.Until), c.s.o.Name, r.ID)}
}

func (c *client) seat(t *policy.Target) seat {
	return seat{user: c.who.User(), target: t.FullName(), source: c.source.Addr()}
}

// decideAgain decides on t, as the policy in force knows it.
func (c *client) decideAgain(t *policy.Target) (policy.Grant, *refused) {
	p := c.s.policy.Load()
	now, ok := p.Target(t.FullName())
	if !ok {
		return policy.Grant{}, &refused{why: "denied", event: audit.AccessRefused, lab: t.Lab, target: t.FullName(), policy: p.Hash(), text: t.FullName() + " is no longer in the policy"}
	}
	return c.decide(p, now)
}
