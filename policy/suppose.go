package policy

import "time"

// Supposition is a request that nobody made: for tests, and for those who wonder
// what would be.
type Supposition struct {
	// Request is asked, but for CodeAt and Approvals, which the others give.
	Request
	CodeAge    time.Duration // at Time, if Method says that there was a login
	ApprovedBy []string      // at Time, whatever rule asks
}

// Suppose makes the request that s stands for.
func (p *Policy) Suppose(s Supposition) Request {
	r := s.Request
	if r.Method != "" {
		r.CodeAt = r.Time.Add(-s.CodeAge)
	}
	if r.Target == nil || len(s.ApprovedBy) == 0 {
		return r
	}
	d := decision{policy: p, request: r}
	for _, i := range p.match(nil, d.asker(), p.targets[r.Target.FullName()]) {
		for _, name := range s.ApprovedBy {
			if rule := p.rules[i]; rule.approval != nil {
				r.Approvals = append(r.Approvals, Approval{By: name, Rule: rule.ref.Name, At: r.Time, Until: r.Time.Add(rule.approval.lasts), Uses: rule.approval.uses,
					Gives: rule.gives(r.User, p.targets[r.Target.FullName()])})
			}
		}
	}
	return r
}
