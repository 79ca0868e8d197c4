package bastion

import (
	"cmp"
	"context"
	"net"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/audit/refusal"
	"entry/bastion/access"
	"entry/policy"
	"entry/session"
)

// forward carries nch to the tcp target at tc: the lab's workbench, reached by
// name over -L or -D. Its bytes are counted, not recorded. It returns when the
// client, too, has closed the channel.
func (c *client) forward(ctx context.Context, nch ssh.NewChannel, g policy.Grant, tc net.Conn, port int) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	e := access.About(g)
	e.Type, e.Rule, e.Destination = audit.AccessRefused, g.RuleFor(policy.ForwardLocal).String(), net.JoinHostPort(g.Target().FullName(), strconv.Itoa(port))
	refuse := func(r *access.Refused) {
		tc.Close()
		r.Event = e
		c.refuse(nch, ssh.Prohibited, r)
	}
	if g.Record() != policy.Metadata { // policy has no such grant; nothing here could record it
		refuse(access.Refuse("not-recorded", g.Target().FullName()+" can't be recorded as it has to be; tell your lab's administrator", e))
		return
	}
	event := func(t audit.Type) audit.Event {
		x := c.login.Event(t)
		x.Lab, x.Target, x.Rule, x.Policy, x.Destination = e.Lab, e.Target, e.Rule, e.Policy, e.Destination
		x.Capability, x.ChannelType = policy.ForwardLocal.String(), nch.ChannelType()
		return x
	}
	hold, r := c.login.Hold(access.Opening{Grant: g, Event: event, End: func(why *refusal.Error) { cancel(why) }})
	if r != nil {
		refuse(r)
		return
	}
	follow := hold.Follow(ctx)
	// How it ended is in its events.
	_ = session.Forward(ctx, nch, tc, session.Options{Contact: c.s.contact(),
		Decide: func() (policy.Grant, error) { return g, nil }, // the hold has just asked
		Stands: hold.Stands, Recheck: hold.Recheck(), BudgetDown: hold.Down(), BudgetUp: hold.Up(), Turn: c.login.Turn, Count: c.login.Count, Backlog: c.backlog, Intake: c.leg.Intake,
		Event: func(e audit.Event) error {
			x := event(e.Type)
			e.Conn, e.User, e.Source, e.Lab, e.Target, e.Destination = x.Conn, x.User, x.Source, x.Lab, x.Target, x.Destination
			if e.Type == audit.ForwardOpened {
				e.Approver = strings.Join(g.Approval().By, ", ")
			}
			if e.Type == audit.ForwardClosed {
				e.Reason = cmp.Or(e.Reason, "closed")
			}
			return c.login.Append(context.WithoutCancel(ctx), e)
		},
	}, func() { follow(); hold.Release() })
}
