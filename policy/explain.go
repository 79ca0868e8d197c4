package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Explanation is how a decision comes about, rule by rule.
type Explanation struct {
	Request Request
	Grant   Grant   // zero if Denied isn't nil
	Denied  *Denied // nil if something is granted
	Rules   []Considered
	Others  int // rules that Relevant left out
	// Verdicts are one for each capability that the target has at all.
	Verdicts []Verdict
}

// Considered is one rule of the policy and what came of it.
type Considered struct {
	Rule   RuleRef
	Deny   bool
	May    Capabilities // what it gives or takes, with what that implies
	Failed []Failure    // the clauses that the request doesn't meet; none where the rule matches
}

// Failure is a clause that a request doesn't meet. Why is for people.
type Failure struct {
	Clause Clause
	Why    string
}

// Verdict is what was decided of one capability. Rule is the one that gives it
// or takes it away, zero where none does either.
type Verdict struct {
	Capability Capability
	Allowed    bool
	Rule       RuleRef
	Because    string
	Until      time.Time // see [Grant.UntilFor]
	Approval   *Quorum   // not nil where an approval would give it
}

// Explain asks every rule in order, without Decide's index, and decides too.
func (p *Policy) Explain(r Request) Explanation {
	e := Explanation{Request: r}
	g, err := p.Decide(r)
	e.Grant = g
	errors.As(err, &e.Denied)
	if r.Target == nil || ValidUser(r.User) != nil {
		return e
	}
	t := p.targets[r.Target.FullName()]
	if t == nil {
		return e
	}
	var allow, deny, waiting []*rule
	for _, rule := range p.rules {
		c := Considered{Rule: rule.ref, Deny: rule.deny, May: rule.may, Failed: rule.failures(&r, t)}
		e.Rules = append(e.Rules, c)
		switch {
		case len(c.Failed) == 0 && rule.deny:
			deny = append(deny, rule)
		case len(c.Failed) == 0:
			allow = append(allow, rule)
		case len(c.Failed) == 1 && c.Failed[0].Clause == ClauseApproval && rule.approval.lacks(r.User, "") == "":
			waiting = append(waiting, rule)
		}
	}
	slices.SortStableFunc(deny, func(a, b *rule) int { // refusing everything comes first
		switch {
		case a.whole == b.whole:
			return 0
		case a.whole:
			return -1
		}
		return 1
	})
	for _, c := range t.Offers().List() {
		gives := func(r *rule) bool { return r.may.Has(c) }
		v := Verdict{Capability: c}
		if i := slices.IndexFunc(deny, gives); i >= 0 {
			v.Rule, v.Because = deny[i].ref, deny[i].because
		} else if i := slices.IndexFunc(allow, gives); i >= 0 {
			v.Allowed, v.Rule, v.Because, v.Until = true, allow[i].ref, allow[i].because, g.UntilFor(c)
		} else if i := slices.IndexFunc(waiting, gives); i >= 0 {
			q := waiting[i].quorum(&r)
			v.Approval = &q
		}
		e.Verdicts = append(e.Verdicts, v)
	}
	return e
}

// failures are all the clauses of r that q doesn't meet.
func (r *rule) failures(q *Request, t *Target) []Failure {
	var out []Failure
	fail := func(c Clause, format string, args ...any) {
		out = append(out, Failure{c, fmt.Sprintf(format, args...)})
	}
	if !r.everyone && !slices.ContainsFunc(r.who, func(s *subject) bool { return s.means(q, r.deny) }) {
		fail(ClauseWho, "is for %s", r.whoWords())
	}
	if !r.everywhere && !slices.Contains(r.targets, t) && !slices.Contains(r.targetLabs, t.lab) {
		fail(ClauseWhere, "is about %s", r.whereWords())
	} else if t.Kind == TCP && !r.deny && !r.opensTCP() {
		fail(ClauseWhere, "opens no target of kind tcp: that takes forward-local and record: metadata")
	}
	if !r.matchesSource(q.Source) {
		words := conditions{from: r.from}
		if q.Source.IsValid() {
			fail(ClauseFrom, "holds %s, not %s", words.words(), q.Source.Unmap().WithZone(""))
		} else {
			fail(ClauseFrom, "holds %s; the source isn't known", words.words())
		}
	}
	when, valid := r.matchesTime(q.Time)
	if !when {
		fail(ClauseWhen, "holds %s", r.when.words())
	}
	if !valid {
		fail(ClauseValid, "holds %s", r.valid.words())
	}
	if r.mfa != nil && !r.mfa.admits(q) {
		fail(ClauseMFA, "wants %s", r.mfa.words())
	}
	if r.approval != nil {
		if _, ok := r.approvedUntil(q); !ok {
			by := "nobody yet"
			quorum := r.quorum(q)
			if len(quorum.By) > 0 {
				by = strings.Join(quorum.By, ", ")
			}
			given := "given by " + by
			if lacks := r.approval.lacks(q.User, q.User); lacks != "" {
				given = "which " + lacks
			}
			fail(ClauseApproval, "needs the approval of %s; %s", quorum, given)
		}
	}
	return out
}

// means reports whether s is one of those whom a rule, which denies or not, is
// for where q asks.
func (s *subject) means(q *Request, deny bool) bool {
	if !s.realm {
		return slices.Contains(s.users, q.User)
	}
	name, _, grouped := strings.Cut(strings.TrimPrefix(s.name, "realm "), "/")
	if q.Realm == "" {
		return deny
	}
	return name == q.Realm && (!grouped || q.Groups.of(s))
}
