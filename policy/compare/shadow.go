package compare

import (
	"slices"

	"entry/policy"
	"entry/policy/strict"
)

// Warnings are about rules that another one leaves without effect, and about
// targets that no rule opens to anybody. It is a [policy.Check].
func Warnings(p *policy.Policy) strict.Problems {
	var out strict.Problems
	opened := map[*policy.Target]bool{}
	for _, r := range p.Rules() {
		by := shadow(p, r)
		switch {
		case !by.Valid():
		case by.Deny() && !r.Deny():
			out = append(out, r.Place().Warning(policy.CodeShadowed, "rule %s never gives anything: rule %s denies all of it", r.Ref().Name, by.Ref()))
		case r.Deny():
			out = append(out, r.Place().Warning(policy.CodeShadowed, "rule %s takes nothing away: rule %s denies all of it already", r.Ref().Name, by.Ref()))
		default:
			out = append(out, r.Place().Warning(policy.CodeShadowed, "rule %s adds nothing: rule %s gives all of it", r.Ref().Name, by.Ref()))
		}
		if r.Deny() || !r.ForSomebody() || by.Valid() && by.Deny() {
			continue
		}
		for _, t := range r.Opens() {
			opened[t] = true
		}
	}
	for _, t := range p.Targets() {
		if !opened[t] {
			hint := ""
			if t.Kind == policy.TCP {
				hint = " (a target of kind tcp needs forward-local and record: metadata)"
			}
			out = append(out, t.Place().Warning(policy.CodeUnreachable, "no rule opens %s to anybody%s", t.FullName(), hint))
		}
	}
	return out
}

// shadow is a rule beside which r, one of p's, has no effect, the zero Rule if
// none was found: a deny rule that takes all that it gives or takes, or an allow
// rule that gives all of it at least as freely and records at least as much. Only
// single rules are tried, so some effectless ones are missed; none that has an
// effect is named.
func shadow(p *policy.Policy, r policy.Rule) policy.Rule {
	before := true // o comes before r
	for _, o := range p.RulesBeside(r) {
		if o == r {
			before = false
			continue
		}
		// Of two that say the same the first one counts.
		if shadows(o, r) && (before || o.Deny() != r.Deny() || !shadows(r, o)) {
			return o
		}
	}
	return policy.Rule{}
}

// shadows reports whether r is without effect beside o, for all that can be
// said of the two alone.
func shadows(o, r policy.Rule) bool {
	if r.Deny() && !o.Deny() || r.May()&^o.May() != 0 || !o.Includes(r) || !o.Covers(r) {
		return false
	}
	if o.Deny() {
		return !r.Deny() || o.Whole() || !r.Whole()
	}
	for _, c := range [...]policy.Capability{policy.ForwardLocal, policy.ForwardRemote} {
		if own := o.Destinations(c); r.May().Has(c) && !slices.Contains(own, "*") && !within(r.Destinations(c), own) {
			return false
		}
	}
	if r.May().Has(policy.Exec) && o.Commands() != nil && (r.Commands() == nil || !within(r.Commands(), o.Commands())) {
		return false
	}
	if !within(r.Env(), o.Env()) {
		return false
	}
	return recordsAsMuch(o, r) && o.Limits().Include(r.Limits())
}

// within reports whether everything in list is in other too.
func within(list, other []string) bool {
	return !slices.ContainsFunc(list, func(s string) bool { return !slices.Contains(other, s) })
}

// recordsAsMuch reports whether under o nothing less is recorded than under r.
func recordsAsMuch(o, r policy.Rule) bool {
	level, input := o.Record()
	least, typed := r.Record()
	return level >= least && (input || !typed) && (o.RecordComplete() || !r.RecordComplete()) && o.Bulk().Includes(r.Bulk())
}
