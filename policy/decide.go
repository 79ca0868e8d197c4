package policy

import (
	"net/netip"
	"slices"
	"time"
)

// Request asks for one user's access to one target. What isn't known is left
// zero: it then meets no condition of an allow rule, and every one of a deny
// rule.
type Request struct {
	User   string     // proved, not merely claimed
	Realm  string     // what vouched for the user, as the configuration calls it
	Groups Groups     // the user's groups in that realm
	Target *Target    // one of a Policy's; found again by its full name
	Source netip.Addr // the client's; the zero Addr is in no network
	Time   time.Time  // when access would begin, or is decided anew
	// Began is when a session that is decided anew began, zero where access
	// would begin. The age of the last code is measured there: a code is asked
	// for what is opened, not for what goes on.
	Began  time.Time
	Method string    // the login's factors: "passphrase+otp", "publickey+remembered"
	CodeAt time.Time // when the user's last one-time code was accepted
	// Approvals are those given to this user for this target from this source,
	// by whatever rule; at most 64 are looked at.
	Approvals []Approval

	anyLogin bool // whatever mfa asks for is there
}

// Decide gathers the rules that match r; see the package's documentation for
// how they combine. The error is always a [*Denied]. A grant holds at least one
// capability. Decide is deterministic and safe for concurrent use; its cost
// grows with the rules that speak of both the user and the target.
func (p *Policy) Decide(r Request) (Grant, error) {
	if r.Target == nil || ValidUser(r.User) != nil {
		return Grant{}, &Denied{} // what no user can be called isn't repeated
	}
	no := &Denied{User: r.User, Target: r.Target.FullName()}
	// A session may hold a target of the policy before a reload: the name
	// decides, and this policy's idea of it.
	t := p.targets[no.Target]
	if t == nil {
		return Grant{}, no
	}
	d := p.gather(r, t)
	for _, rule := range d.deny {
		if rule.whole {
			return Grant{}, no.by(rule)
		}
	}
	if d.capabilities != 0 {
		return Grant{d}, nil
	}
	return Grant{}, d.explain(no)
}

// gather finds the rules that match r and combines them.
func (p *Policy) gather(r Request, t *Target) *decision {
	r.Target = t // p's own
	d := &decision{policy: p, request: r, target: t}
	var buffer [16]int32
	for _, i := range p.match(buffer[:0], d.asker(), t) {
		d.consider(p.rules[i])
	}
	d.combine()
	return d
}

// quorumFor is the approval that would give c, nil if none would.
func (d *decision) quorumFor(c Capability) *Quorum {
	if !d.target.Offers().Has(c) || slices.ContainsFunc(d.deny, func(r *rule) bool { return r.may.Has(c) }) {
		return nil
	}
	for _, r := range d.waiting {
		if r.may.Has(c) {
			q := r.quorum(&d.request)
			return &q
		}
	}
	return nil
}

// consider sorts a rule that speaks of the user and the target.
func (d *decision) consider(r *rule) {
	switch failed := r.failed(&d.request); {
	case r.deny && failed == 0:
		d.deny = append(d.deny, r)
	case r.deny:
	case failed == 0:
		d.allow = append(d.allow, r)
	case failed == ClauseApproval && r.approval.lacks(d.request.User, "") == "":
		d.waiting = append(d.waiting, r)
	case d.near == nil, d.nearBy == ClauseFrom && failed != ClauseFrom:
		d.near, d.nearBy = r, failed // what can be done where the user is comes first
	}
}

func (d *decision) asker() asker {
	return d.policy.asker(d.request.User, d.request.Realm, d.request.Groups)
}

// combine merges the rules. One of which deny rules leave nothing relaxes no
// limit, but its recording still holds: denying never makes less be seen.
func (d *decision) combine() {
	for _, r := range d.allow {
		d.capabilities |= r.may
		d.record = max(d.record, r.record)
		d.recordInput = d.recordInput || r.recordInput
		d.complete = d.complete || r.complete
		d.bulk = d.bulk.strictest(r.bulk)
	}
	d.capabilities &= d.target.Offers()
	for _, r := range d.deny {
		d.capabilities &^= r.may
	}
	first := true
	for _, r := range d.allow {
		switch {
		case r.may&d.capabilities == 0:
		case first:
			d.limits, first = r.limits, false
		default:
			d.limits = d.limits.generous(r.limits)
		}
	}
}

// Offers is what there is to be had on t.
func (t *Target) Offers() Capabilities {
	if t.Kind == TCP {
		return capabilitiesOf(ForwardLocal) // the stream itself
	}
	return AllCapabilities
}

// explain fills in why there is nothing: what an approval would open, who took
// it away, or what was missing.
func (d *decision) explain(no *Denied) *Denied {
	var denied Capabilities
	for _, r := range d.deny {
		denied |= r.may
	}
	open := d.target.Offers() &^ denied
	for _, r := range d.waiting {
		if r.may&open != 0 {
			q := r.quorum(&d.request)
			no.Approval = &q
			return no
		}
	}
	var wanted Capabilities
	for _, r := range slices.Concat(d.allow, d.waiting) {
		wanted |= r.may & d.target.Offers()
	}
	for _, r := range d.deny {
		if wanted != 0 && wanted&^r.may == 0 {
			return no.by(r) // took the last of it
		}
		wanted &^= r.may
	}
	if d.near != nil && d.near.may&open != 0 {
		no.near, no.nearBy = d.near, d.nearBy
		if now := d.request.Time; !now.IsZero() {
			if t, ok := d.near.start(now); ok {
				no.opens = t
			}
		}
	}
	return no
}
