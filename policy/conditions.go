package policy

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Clause is one part of a rule that a request has to meet.
type Clause uint8

// The clauses, in the order in which they are looked at. The zero Clause is
// none of them.
const (
	ClauseWho Clause = iota + 1
	ClauseWhere
	ClauseFrom
	ClauseWhen
	ClauseValid
	ClauseMFA
	ClauseApproval
)

var clauseNames = [...]string{"", "who", "where", "from", "when", "valid", "mfa", "approval"}

// String is the clause's key in the files.
func (c Clause) String() string {
	if int(c) >= len(clauseNames) {
		return ""
	}
	return clauseNames[c]
}

// conditions are what a rule asks of a request besides its user and target. The
// zero conditions ask nothing.
type conditions struct {
	from []netip.Prefix
	times
	mfa      *mfa
	approval *approval
}

// mfa is what a rule asks of the login.
type mfa struct {
	methods []string // factors joined by "+"; one of them is enough, empty asks for none
	maxAge  time.Duration
}

// clockSlack is how far a code may lie in the future: a clock that was put back
// a little must not lock everybody out.
const clockSlack = time.Minute

// admits reports whether the login that q tells of is good enough.
func (m *mfa) admits(q *Request) bool {
	if q.anyLogin {
		return true
	}
	if len(m.methods) > 0 && !slices.ContainsFunc(m.methods, func(want string) bool { return hasFactors(q.Method, want) }) {
		return false
	}
	if m.maxAge == 0 {
		return true
	}
	at := q.Began
	if at.IsZero() {
		at = q.Time
	}
	if at.IsZero() || q.CodeAt.IsZero() {
		return false
	}
	age := at.Sub(q.CodeAt)
	return age >= -clockSlack && age <= m.maxAge
}

// hasFactors reports whether every factor of want is among those of method.
func hasFactors(method, want string) bool {
	for factor := range strings.SplitSeq(want, "+") {
		found := false
		for f := range strings.SplitSeq(method, "+") {
			found = found || f == factor
		}
		if !found {
			return false
		}
	}
	return true
}

// matchesSource reports whether r speaks of connections from source. An
// unknown source is outside every network an allow rule lists and inside every
// one that a deny rule lists.
func (r *rule) matchesSource(source netip.Addr) bool {
	if len(r.from) == 0 {
		return true
	}
	if !source.IsValid() {
		return r.deny
	}
	source = source.Unmap().WithZone("")
	for _, network := range r.from {
		if network.Contains(source) {
			return true
		}
	}
	return false
}

// matchesTime reports whether r holds at t, by its windows and by its period.
// No time is in none of an allow rule's and in all of a deny rule's.
func (r *rule) matchesTime(t time.Time) (when, valid bool) {
	if t.IsZero() {
		return r.when == nil || r.deny, r.valid.open() || r.deny
	}
	return r.when.contains(t), r.valid.contains(t)
}

// failed is the first clause of r, of those about neither user nor target, that
// q doesn't meet; zero if it meets all.
func (r *rule) failed(q *Request) Clause {
	if !r.matchesSource(q.Source) {
		return ClauseFrom
	}
	if !r.always() {
		if when, valid := r.matchesTime(q.Time); !when {
			return ClauseWhen
		} else if !valid {
			return ClauseValid
		}
	}
	if r.mfa != nil && !r.mfa.admits(q) {
		return ClauseMFA
	}
	if r.approval != nil {
		if _, ok := r.approvedUntil(q); !ok {
			return ClauseApproval
		}
	}
	return 0
}
