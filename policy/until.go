package policy

import "time"

// Until is when the last capability of g ends, as far as the policy tells
// today: by the windows and periods of rules, and by approvals. It is zero if
// one never does, and for the zero Grant. Capabilities may end earlier, each at
// its own time: see [Grant.UntilFor].
func (g Grant) Until() time.Time {
	var last time.Time
	for _, c := range g.Capabilities().List() {
		end := g.UntilFor(c)
		if end.IsZero() {
			return end
		}
		if end.After(last) {
			last = end
		}
	}
	return last
}

// maxSteps bounds how many ends UntilFor follows from rule to rule.
const maxSteps = 256

// UntilFor is the first moment at which g, decided then for the same request,
// wouldn't hold c; zero if there is none, and if g hasn't got c. Where another
// rule takes over from one that ends, c goes on. What is looked for is bounded:
// rules that take turns for months give a moment at which to ask again, so
// whoever acts on it decides anew first.
//
// A destination or command that only one of several rules lists may end before
// its capability does; [Grant.NextChange] is for those.
func (g Grant) UntilFor(c Capability) time.Time {
	if !g.Allows(c) || g.d.request.Time.IsZero() {
		return time.Time{}
	}
	var allow []*rule
	var stop time.Time // when a deny rule begins
	now := g.d.request.Time
	g.d.each(func(r *rule) {
		if !r.may.Has(c) {
			return
		}
		if !r.deny {
			allow = append(allow, r)
		} else if start, ok := r.start(now); ok && (stop.IsZero() || start.Before(stop)) {
			stop = start
		}
	})
	t := now
	for range maxSteps {
		next := t
		for _, r := range allow {
			end, ends, holds := r.holdsUntil(t, &g.d.request)
			if holds && !ends {
				return stop
			}
			if holds && end.After(next) {
				next = end
			}
		}
		if !stop.IsZero() && !stop.After(next) {
			return stop
		}
		if next.Equal(t) {
			break
		}
		t = next
	}
	return t
}

// NextChange is a moment at or before which time alone changes nothing in g:
// neither capabilities nor destinations, recording and limits. It is zero if
// time never does. A session that is decided anew then, and at each NextChange
// after it, always has what the policy gives.
func (g Grant) NextChange() time.Time {
	var first time.Time
	if g.d == nil || g.d.request.Time.IsZero() {
		return first
	}
	take := func(t time.Time) {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	g.d.each(func(r *rule) {
		take(r.boundary(g.d.request.Time))
		if r.approval != nil {
			until, _ := r.approvedUntil(&g.d.request)
			take(until)
		}
	})
	return first
}

// each calls f for the rules that match the request, or would at another time
// or with other approvals.
func (d *decision) each(f func(*rule)) {
	var buffer [16]int32
	for _, i := range d.policy.match(buffer[:0], d.asker(), d.target) {
		r := d.policy.rules[i]
		if r.matchesSource(d.request.Source) && (r.mfa == nil || r.mfa.admits(&d.request)) {
			f(r)
		}
	}
}

// holdsUntil reports whether r, which meets q but for time and approval, holds
// at t, and when that ends, if it does.
func (r *rule) holdsUntil(t time.Time, q *Request) (end time.Time, ends, holds bool) {
	if !r.when.contains(t) || !r.valid.contains(t) {
		return time.Time{}, false, false
	}
	end, ends = r.times.end(t)
	if r.approval != nil {
		until, ok := r.approvedUntil(q)
		if !ok || !t.Before(until) {
			return time.Time{}, false, false
		}
		if !ends || until.Before(end) {
			end, ends = until, true
		}
	}
	return end, ends, true
}
