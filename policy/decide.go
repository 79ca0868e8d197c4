package policy

import (
	"net/netip"
	"time"
)

// Request asks for one user's access to one target.
type Request struct {
	User   string     // proved, not merely claimed
	Target *Target    // one of a Policy's; found again by its full name
	Source netip.Addr // the client's; the zero Addr is in no network
	Time   time.Time  // when access would begin
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
	var buffer [16]int32
	d := &decision{policy: p, user: r.User, target: t}
	for _, i := range p.match(buffer[:0], p.users[r.User], t) {
		if rule := p.rules[i]; !rule.matchesSource(r.Source) {
			continue
		} else if rule.deny {
			d.deny = append(d.deny, rule)
		} else {
			d.allow = append(d.allow, rule)
		}
	}
	for _, rule := range d.deny {
		if rule.whole {
			no.Rule, no.ByDeny, no.Because = rule.ref, true, rule.because
			return Grant{}, no
		}
	}
	if len(d.allow) == 0 {
		return Grant{}, no
	}
	d.combine()
	given := d.capabilities
	for _, rule := range d.deny {
		d.capabilities &^= rule.may
		if d.capabilities == 0 {
			no.Rule, no.ByDeny, no.Because = rule.ref, true, rule.because
			return Grant{}, no
		}
	}
	if given == 0 {
		return Grant{}, no
	}
	return Grant{d}, nil
}

// combine merges the allow rules.
func (d *decision) combine() {
	for i, r := range d.allow {
		d.capabilities |= r.may
		d.record = max(d.record, r.record)
		d.recordInput = d.recordInput || r.recordInput
		if i == 0 {
			d.limits = r.limits
			continue
		}
		d.limits.Session = generous(d.limits.Session, r.limits.Session)
		d.limits.Idle = generous(d.limits.Idle, r.limits.Idle)
		d.limits.Concurrent = generous(d.limits.Concurrent, r.limits.Concurrent)
	}
	if d.target.Kind == TCP {
		// There is nothing on it but the stream itself.
		d.capabilities &= capabilitiesOf(ForwardLocal)
	}
}

// generous is the larger of two limits, of which 0 is none.
func generous[T int | time.Duration](a, b T) T {
	if a == 0 || b == 0 {
		return 0
	}
	return max(a, b)
}
