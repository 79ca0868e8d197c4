package bastion

import (
	"context"

	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/bastion/access"
	"entry/bastion/identity"
	"entry/policy"
)

// openDirect opens the target that the whole client connection leads to
// (`ssh alice+home@entry`, or a listener bound to one target), inside the
// login dialogue that has just succeeded: the target's banner and its own
// prompts can still be passed on there.
func (l *login) openDirect(m ssh.ConnMetadata, who identity.Identity, ask ssh.KeyboardInteractiveChallenge) {
	c := &client{s: l.s, group: l.group, login: l.s.gate.Login(who, l.id, l.source, l.group)}
	o := &opening{c: c}
	l.direct = o
	// From here on it is known, so that what takes the access away ends it: it may
	// wait long for an approval or for the target's own prompts.
	leave, r := c.login.Enter(func() { l.conn.Close() })
	l.leave = leave
	if r != nil {
		o.failed = c.note(r)
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
		o.tcp, r = l.s.dial(l.ctx, grant)
	}
	if r != nil {
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
