package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Seat is whose access an approval is for, and where from.
type Seat struct {
	User, Target string
	Source       netip.Addr
}

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
	// Uses is how many sessions it was given for; 0 for any number. A rule that
	// asks for approvals of few sessions takes none of more.
	Uses int
	// Gives is what it is an approval of, as Quorum.Gives had it. A rule that gives
	// anything else by now, or leads elsewhere, wants another one.
	Gives string
	// Acting is how By acted where that isn't a login of their own ("as root"), for
	// those who look at it; nothing is decided by it.
	Acting string
}

// Quorum is the approval that a rule asks for. The zero Quorum asks for none.
type Quorum struct {
	Rule      RuleRef
	Approvers []string      // as the file has them: "carol", "tinker/stewards"
	Need      int           // distinct people, never the user
	For       time.Duration // from an approval on, how long it holds
	Wait      time.Duration // how long the user may be kept waiting for it
	Uses      int           // sessions that it holds for, 0 for any number
	Because   string        // the rule's own words, may be ""
	Gives     string        // a digest of what the rule gives the user on the target
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
	uses      int
}

func (a *approval) admits(by, user string) bool { return by != user && a.people[by] }

// others is how many beside user may approve.
func (a *approval) others(user string) int {
	if a.people[user] {
		return len(a.people) - 1
	}
	return len(a.people)
}

// lacks says why nobody needs to wait for a on user's behalf, "" where enough may approve.
func (a *approval) lacks(user, name string) string {
	switch n := a.others(user); {
	case n >= a.need:
		return ""
	case n == 0 && a.people[user]:
		return "nobody but " + name + " may give"
	default:
		return fmt.Sprintf("takes %d others, of whom only %d may be asked", a.need, n)
	}
}

// covers tells whether an approval for so many sessions is one for no more than
// the rule wants.
func (a *approval) covers(uses int) bool { return a.uses == 0 || uses > 0 && uses <= a.uses }

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
	if len(q.Approvals) == 0 || q.Target == nil {
		return dst
	}
	gives := "" // when it is asked for
	for _, a := range q.Approvals[:min(len(q.Approvals), maxApprovals)] {
		until := a.Until
		if most := a.At.Add(r.approval.lasts); most.Before(until) {
			until = most
		}
		if a.Rule != r.ref.Name || q.Time.IsZero() || q.Time.Before(a.At) || !q.Time.Before(until) || !r.approval.admits(a.By, q.User) || !r.approval.covers(a.Uses) {
			continue
		}
		if gives == "" {
			gives = r.gives(q.User, q.Target)
		}
		if a.Gives != gives {
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
	out := Quorum{Rule: r.ref, Approvers: slices.Clone(a.approvers), Need: a.need, For: a.lasts, Wait: a.wait, Uses: a.uses,
		Because: r.because, user: q.User, of: a}
	if q.Target != nil {
		out.Gives = r.gives(q.User, q.Target)
	}
	for _, c := range r.consents(nil, q) {
		out.By = append(out.By, c.by)
	}
	slices.Sort(out.By)
	return out
}

// Asks reports whether some rule asks for approval: without one, nobody needs to
// look for approvals.
func (p *Policy) Asks() bool { return p.asks }

// QuorumOf is what the rule of that name asks for on r's behalf; ok is false
// where there is none that asks, or no such target any more. Only User, Target, Time
// and Approvals of r count.
func (p *Policy) QuorumOf(name string, r Request) (q Quorum, ok bool) {
	i := slices.IndexFunc(p.rules, func(r *rule) bool { return r.approval != nil && r.ref.Name == name })
	if i < 0 || r.Target == nil || p.targets[r.Target.FullName()] == nil {
		return Quorum{}, false
	}
	r.Target = p.targets[r.Target.FullName()]
	return p.rules[i].quorum(&r), true
}

// Approved are the names of the rules with approval that g rests on.
func (g Grant) Approved() []string {
	if g.d == nil {
		return nil
	}
	var out []string
	for _, r := range g.d.allow {
		if r.approval != nil {
			out = append(out, r.ref.Name)
		}
	}
	return out
}
