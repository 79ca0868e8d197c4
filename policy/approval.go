package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Approval is one person's consent to one user's access by one rule. Whoever
// keeps approvals binds them to user, target and source, and passes to
// [Policy.Decide] those given for the access in question; that the approver may
// approve, isn't the user and that the time isn't over is checked there.
type Approval struct {
	By   string // proved, as Request.User is
	Rule string // name of the rule that asked; an approval without it counts for none
	// From At until before Until it is in force, but no longer than the rule's
	// `for`. One without Until is over.
	At, Until time.Time
}

// Quorum is the approval that a rule asks for. The zero Quorum asks for none.
type Quorum struct {
	Rule      RuleRef
	Approvers []string      // as the file has them: "carol", "tinker/stewards"
	Need      int           // distinct people, never the user
	For       time.Duration // from an approval on, how long it holds
	Wait      time.Duration // how long the user may be kept waiting for it
	Because   string        // the rule's own words, may be ""
	By        []string      // who has approved already, sorted

	user string
	of   *approval
}

// Zero reports whether q asks for nothing.
func (q Quorum) Zero() bool { return q.of == nil }

// Admits reports whether by may approve.
func (q Quorum) Admits(by string) bool { return q.of != nil && q.of.admits(by, q.user) }

// String is "carol, tinker/stewards" or "2 of carol, tinker/stewards", one line
// for the user who waits.
func (q Quorum) String() string {
	switch who := strings.Join(q.Approvers, ", "); {
	case q.of == nil:
		return "nobody"
	case q.Need == 1 && len(q.Approvers) == 1:
		return who
	default:
		return fmt.Sprintf("%d of %s", q.Need, who)
	}
}

// MarshalText is String.
func (q Quorum) MarshalText() ([]byte, error) { return []byte(q.String()), nil }

// approval is a rule's `approval`.
type approval struct {
	approvers []string
	people    map[string]bool
	need      int
	lasts     time.Duration
	wait      time.Duration
}

func (a *approval) admits(by, user string) bool { return by != user && a.people[by] }

// maxApprovals bounds how many approvals one decision looks at.
const maxApprovals = 64

// consent is one approver's, and when it ends.
type consent struct {
	by    string
	until time.Time
}

// consents appends the approvals that are in force for r at q's time, one a
// person, the longest first.
func (r *rule) consents(dst []consent, q *Request) []consent {
	for _, a := range q.Approvals[:min(len(q.Approvals), maxApprovals)] {
		until := a.Until
		if most := a.At.Add(r.approval.lasts); most.Before(until) {
			until = most
		}
		if a.Rule != r.ref.Name || q.Time.IsZero() || q.Time.Before(a.At) || !q.Time.Before(until) || !r.approval.admits(a.By, q.User) {
			continue
		}
		i := slices.IndexFunc(dst, func(c consent) bool { return c.by == a.By })
		if i < 0 {
			dst = append(dst, consent{a.By, until})
		} else if dst[i].until.Before(until) {
			dst[i].until = until
		}
	}
	slices.SortFunc(dst, func(a, b consent) int { return b.until.Compare(a.until) })
	return dst
}

// approvedUntil is when the approvals for r no longer suffice; ok is false
// where they don't now.
func (r *rule) approvedUntil(q *Request) (until time.Time, ok bool) {
	if len(q.Approvals) == 0 {
		return time.Time{}, false
	}
	var buffer [8]consent
	given := r.consents(buffer[:0], q)
	if len(given) < r.approval.need {
		return time.Time{}, false
	}
	return given[r.approval.need-1].until, true
}

// quorum is what r asks for on q's behalf.
func (r *rule) quorum(q *Request) Quorum {
	a := r.approval
	out := Quorum{Rule: r.ref, Approvers: slices.Clone(a.approvers), Need: a.need, For: a.lasts, Wait: a.wait,
		Because: r.because, user: q.User, of: a}
	for _, c := range r.consents(nil, q) {
		out.By = append(out.By, c.by)
	}
	slices.Sort(out.By)
	return out
}
