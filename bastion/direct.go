package bastion

import (
	"context"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/bastion/access"
	"entry/policy"
)

// openDirect opens the target that the whole client connection leads to
// (`ssh alice+home@entry`, or a listener bound to one target), inside the
// login dialogue that has just succeeded: the target's banner and its own
// prompts can still be passed on there.
func (l *login) openDirect(ask ssh.KeyboardInteractiveChallenge) {
	c := &client{s: l.s, group: l.group, login: l.proved}
	o := &opening{c: c, destination: l.target}
	l.direct = o
	c.login.Busy() // for as long as it is there
	if l.no != nil {
		o.failed = c.note(l.no)
		return
	}
	grant, r := c.login.Authorise(l.target, access.SSHPort)
	if r != nil && r.Approval != nil && r.Target.Kind == policy.SSH {
		// Who waits has logged in: it takes no place from those who haven't.
		l.ticket.leave(true)
		l.grace(l.s.cfg.Login.Grace + r.Approval.Wait)
		grant, r = c.login.Await(l.ctx, r.Target, *r.Approval, saying(l.pre, ask))
	}
	switch {
	case r == nil && grant.Target().Kind != policy.SSH:
		r = noMachine(grant.Target())
	case r != nil && r.Approval != nil:
		r = noMachine(r.Target)
	}
	if r == nil {
		o.grant, o.target = grant, grant.Target()
	} else {
		r.Event.Destination = l.target
		o.failed = c.note(r)
		return
	}
	o.open(l.ctx, "", l.pre, ask)
}

func noMachine(t *policy.Target) *access.Refused {
	return access.Refuse("kind", t.FullName()+" is no SSH machine; reach it with -L or -D through entry", audit.Event{Lab: t.Lab, Target: t.FullName()})
}

// direct relays the client connection itself.
func (c *client) direct(ctx context.Context) {
	c.opened.run(ctx, c.leg)
}
