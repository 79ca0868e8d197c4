package access

import (
	"context"
	"errors"

	"entry/audit"
	"entry/audit/plain"
	"entry/audit/refusal"
	"entry/policy"
)

// maxPeer bounds what peers say, for the log.
const maxPeer = 256 // bytes

// Refused is a refusal with what the audit log is told of it.
type Refused struct {
	refusal.Error

	// Event is what is known of it: the lab, the target, the rule … Its Type is
	// audit.JumpRefused if none is set; code and cause are added by Note.
	Event audit.Event

	// Approval is the one that would change it, if one would, and Target what it
	// would be for.
	Approval *policy.Quorum
	Target   *policy.Target
}

// Refuse is a refusal for code, of which e is known.
func Refuse(code refusal.Code, text string, e audit.Event) *Refused {
	return &Refused{Error: refusal.Error{Code: code, Text: text}, Event: e}
}

// With adds the cause, for the log.
func (r *Refused) With(cause error) *Refused {
	r.Cause = cause
	return r
}

// About is what an event says of a grant: its target, its rule, its policy.
func About(g policy.Grant) audit.Event {
	t := g.Target()
	return audit.Event{Lab: t.Lab, Target: t.FullName(), Rule: g.Rule().String(), Policy: g.PolicyHash()}
}

// noteAs puts r on record as part of base, which says whose it is, and returns
// its line for the user, with the reference under which it stands in the log:
// that of an earlier one where l was refused the same less than a minute ago, or
// of the sum that follows where its user is past what one may cause.
func (l *Login) noteAs(r *Refused, base audit.Event) string {
	r.Ref, r.Text = refusal.NewRef(), l.gate.o.Contact.In(r.Text)
	e := r.Event
	if e.Type == "" {
		e.Type = audit.JumpRefused
	}
	e.Conn, e.Session, e.User, e.Source, e.Login, e.AskedLogin = base.Conn, base.Session, base.User, base.Source, base.Login, base.AskedLogin
	e.Ref, e.Reason = r.Ref, r.Code.String()
	if r.Cause != nil && e.Detail == "" {
		e.Detail = r.Cause.Error()
	}
	for _, s := range []*string{&e.Detail, &e.Destination, &e.ChannelType} {
		*s = plain.Clip(*s, maxPeer)
	}
	defer func() { l.gate.failures.note(e, r.Line(), l.gate.now()) }()
	if ref, counted := l.Count(e); counted {
		r.Ref = ref
		return r.Line()
	}
	var sums []audit.Event
	var again bool
	if r.Ref, sums, again = l.repeats.Again(e, l.gate.now()); !again {
		sums = append(sums, e)
	}
	l.append(sums...)
	return r.Line()
}

// append writes events that l doesn't wait for.
func (l *Login) append(e ...audit.Event) {
	if len(e) == 0 {
		return
	}
	if err := l.Append(context.Background(), e...); err != nil {
		l.gate.o.Trouble("append events", err)
	}
}

// denied is the refusal of err, policy's answer for t under p.
func denied(p *policy.Policy, t *policy.Target, err error) *Refused {
	r := &Refused{Error: *refusal.Of(err), Event: audit.Event{Type: audit.AccessRefused, Lab: t.Lab, Target: t.FullName(), Policy: p.Hash()}}
	var d *policy.Denied
	if errors.As(err, &d) {
		r.Code, r.Cause = refusal.Denied, nil // the rule says it
		if d.Rule == (policy.RuleRef{}) {
			r.Event.Detail = d.Error() // which rule it nearly was, say
		}
		r.Event.Rule, r.Approval, r.Target = d.Rule.String(), d.Approval, t
		if d.Capability != 0 {
			r.Event.Capability = d.Capability.String()
		}
	}
	return r
}
