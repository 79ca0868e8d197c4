package bastion

import (
	"context"

	"golang.org/x/crypto/ssh"

	"entry/bastion/identity"
	"entry/policy"
)

// openDirect opens the target that the whole client connection leads to
// (`ssh alice+home@entry`, or a listener bound to one target), inside the
// login dialogue that has just succeeded: the target's banner and its own
// prompts can still be passed on there.
func (l *login) openDirect(m ssh.ConnMetadata, who identity.Identity, ask ssh.KeyboardInteractiveChallenge) {
	c := &client{s: l.s, id: l.id, source: l.source, who: who, group: l.group}
	o := &opening{c: c}
	l.direct = o
	grant, r := c.authorise(l.target, sshPort)
	if r != nil && r.quorum != nil && r.waitsFor.Kind == policy.SSH {
		// Who waits has logged in: it takes no place from those who haven't.
		l.ticket.leave(true)
		l.grace(l.s.o.Grace + r.quorum.Wait)
		grant, r = c.await(l.ctx, r.waitsFor, *r.quorum, saying(l.pre, ask))
	}
	switch {
	case r == nil && grant.Target().Kind != policy.SSH:
		r = noMachine(grant.Target())
	case r != nil && r.quorum != nil:
		r = noMachine(r.waitsFor)
	}
	if r == nil {
		o.grant, o.target = grant, grant.Target()
		o.tcp, r = l.s.dial(l.ctx, grant)
	}
	if r != nil {
		r.destination = clip(l.target)
		o.failed = c.noted(*r)
		return
	}
	o.open(l.ctx, "", l.pre, ask)
}

func noMachine(t *policy.Target) *refused {
	return &refused{why: "kind", lab: t.Lab, target: t.FullName(), text: t.FullName() + " is no SSH machine; reach it with -L or -D through entry"}
}

// direct relays the client connection itself.
func (c *client) direct(ctx context.Context) {
	defer c.opened.close()
	c.opened.run(ctx, c.leg)
}
