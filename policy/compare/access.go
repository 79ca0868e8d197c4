package compare

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"entry/policy"
	"entry/policy/ldapmatch"
)

// always is what no conditions are called.
const always = "always"

// access compares what people may do, on each target that a rule of either
// policy opens to them. People of whom the same rules speak are looked at once,
// and so are targets.
func (d *differ) access() {
	d.classes, d.class = alike(d.a.TargetClasses(), d.b.TargetClasses())
	places := d.standings()
	unnamed := make([]map[string][]string, len(places))
	for i, place := range places {
		unnamed[i] = d.compare(nil, place, nil)
	}
	users, _ := alike(d.a.UserClasses(), d.b.UserClasses())
	for _, users := range users {
		alone := d.compare(users, policy.Who{Realm: noRealm}, nil)
		for i, place := range places {
			// What the realm's people see change anyway isn't said of each user.
			d.compare(users, place, []map[string][]string{alone, unnamed[i]})
		}
	}
}

// standings are those of either policy.
func (d *differ) standings() []policy.Who {
	out := append(d.a.Standings(), d.b.Standings()...)
	key := func(w policy.Who) string { return w.Realm + "/" + ldapmatch.Strict(w.Group) }
	slices.SortStableFunc(out, func(x, y policy.Who) int { return strings.Compare(key(x), key(y)) })
	return slices.CompactFunc(out, func(x, y policy.Who) bool { return key(x) == key(y) })
}

// alike groups the names of two numberings by their number in both, and gives
// the group of each name.
func alike(a, b map[string]int) (groups [][]string, group map[string]int) {
	names := maps.Clone(a)
	maps.Copy(names, b)
	group = make(map[string]int, len(names))
	at := map[[2]int]int{}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		pair := [2]int{-1, -1} // in neither
		for i, numbers := range []map[string]int{a, b} {
			if n, ok := numbers[name]; ok {
				pair[i] = n
			}
		}
		i, known := at[pair]
		if !known {
			i = len(groups)
			at[pair] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], name)
		group[name] = i
	}
	return groups, group
}

// compare adds what changes for users, nil for those whom no file names, in a
// place. Changes that were said already, of the people in said, aren't repeated.
// It returns all of them, each with the people of whom it is said.
func (d *differ) compare(users []string, place policy.Who, said []map[string][]string) map[string][]string {
	who := place
	if users != nil {
		who.User = users[0]
	}
	label := users
	if place.Realm != noRealm {
		label = []string{"realm " + strings.TrimSuffix(place.Realm+"/"+place.Group, "/")}
		if users != nil {
			inRealm := make([]string, len(users))
			for i, user := range users {
				inRealm[i] = user + " of " + label[0]
			}
			label = inRealm
		}
	}
	classes := map[int]bool{}
	for _, p := range []*policy.Policy{d.a, d.b} {
		for _, t := range p.Opened(who) {
			classes[d.class[t.FullName()]] = true
		}
	}
	all := map[string][]string{}
	for _, i := range slices.Sorted(maps.Keys(classes)) {
		name := d.classes[i][0]
		for _, c := range compareViews(viewOf(d.a, who, name), viewOf(d.b, who, name)) {
			unenforced := c.Unenforced
			c.Unenforced = false // a note about the change, not another one
			key := fmt.Sprint(i, c)
			people, known := label, false
			for _, before := range said {
				if by, ok := before[key]; ok && !known {
					people, known = by, true
				}
			}
			all[key] = people
			if !known || unenforced {
				c.Unenforced, c.Users, c.Targets = unenforced, people, slices.Clone(d.classes[i])
				d.add(c)
			}
		}
	}
	return all
}

// view is what the rules say of one user on one target, in canonical words.
type view struct {
	access map[policy.Capability]string        // conditions; absent where the capability is
	terms  map[policy.Capability][]policy.Rule // the rules behind access
	denies map[policy.Capability]string        // conditions under which it is taken away
	lists  map[policy.Capability]string        // commands, destinations, ports
	record string
	limits string
	env    string
}

func compareViews(old, now view) []Change {
	var out []Change
	for _, c := range policy.AllCapabilities.List() {
		was, is := old.access[c], now.access[c]
		switch {
		case was == is:
		case was == "":
			out = append(out, Change{Aspect: Gains, Capability: c, New: is})
		case is == "":
			out = append(out, Change{Aspect: Loses, Capability: c, Old: was, Unenforced: now.movesAnyway(c)})
		default:
			aspect := direction(old, now, c)
			out = append(out, Change{Aspect: aspect, Capability: c, Old: was, New: is, Unenforced: aspect != Widens && old.denies[c] != now.denies[c] && now.movesAnyway(c)})
		}
		if was != "" && is != "" && old.lists[c] != now.lists[c] {
			out = append(out, Change{Aspect: Lists, Capability: c, Old: old.lists[c], New: now.lists[c]})
		}
	}
	if len(old.access) == 0 || len(now.access) == 0 {
		return out
	}
	if old.record != now.record {
		out = append(out, Change{Aspect: Recording, Old: old.record, New: now.record})
	}
	if old.limits != now.limits {
		out = append(out, Change{Aspect: Limiting, Old: old.limits, New: now.limits})
	}
	if old.env != now.env {
		out = append(out, Change{Aspect: Setting, Old: old.env, New: now.env})
	}
	return out
}

// movesAnyway reports whether c moves files, and somebody who lacks it moves data
// all the same, by a shell or by running anything.
func (v view) movesAnyway(c policy.Capability) bool {
	return (c == policy.Upload || c == policy.Download) && (v.access[policy.Shell] != "" || slices.ContainsFunc(v.terms[policy.Exec], func(r policy.Rule) bool { return r.Commands() == nil }))
}

// direction tells whether c came to be given under fewer or more conditions.
func direction(old, now view, c policy.Capability) Aspect {
	within := func(inner, outer view) bool {
		return (outer.denies[c] == "" || inner.denies[c] == outer.denies[c]) && !slices.ContainsFunc(inner.terms[c], func(r policy.Rule) bool {
			return !slices.ContainsFunc(outer.terms[c], func(o policy.Rule) bool { return o.Covers(r) || o.Conditions() == r.Conditions() })
		})
	}
	switch {
	case within(old, now):
		return Widens
	case within(now, old):
		return Narrows
	}
	return Shifts
}

// viewOf gathers what p says; the zero view where it hasn't the target.
func viewOf(p *policy.Policy, who policy.Who, target string) view {
	v := view{access: map[policy.Capability]string{}, terms: map[policy.Capability][]policy.Rule{}, denies: map[policy.Capability]string{}, lists: map[policy.Capability]string{}}
	t, ok := p.Target(target)
	if !ok {
		return v
	}
	var allow, deny []policy.Rule
	for _, r := range p.RulesFor(who, t) {
		if r.Deny() {
			deny = append(deny, r)
		} else {
			allow = append(allow, r)
		}
	}
	for _, c := range t.Offers().List() {
		v.accessTo(c, allow, deny)
	}
	v.record = uniform(allow, func(r policy.Rule) string {
		level, input := r.Record()
		out := level.String()
		if input {
			out += " with input"
		}
		if r.RecordComplete() {
			out += ", complete"
		}
		if b := r.Bulk(); level == policy.Full && !b.Usual() {
			out += ", of output without a terminal " + b.String()
		}
		return out
	}, recordsAsMuch)
	v.limits = limitTerms(allow, deny, t.Offers())
	if t.Kind == policy.SSH {
		v.env = uniform(allow, func(r policy.Rule) string { return strings.Join(r.Env(), ", ") },
			func(o, r policy.Rule) bool { return within(r.Env(), o.Env()) })
	}
	return v
}

// limitTerms are the limits of the rules that give something. Under a deny rule
// that doesn't always hold it depends on what each rule gives.
func limitTerms(allow, deny []policy.Rule, offers policy.Capabilities) string {
	sometimes := false
	for _, d := range deny {
		if d.Conditions() == "" {
			offers &^= d.May()
		} else {
			sometimes = true
		}
	}
	allow = slices.DeleteFunc(slices.Clone(allow), func(r policy.Rule) bool { return r.May()&offers == 0 })
	say, same := func(r policy.Rule) string { return r.Limits().String() }, func(_, _ policy.Rule) bool { return true }
	if sometimes && slices.ContainsFunc(allow, func(r policy.Rule) bool { return r.Limits() != allow[0].Limits() }) {
		say = func(r policy.Rule) string { return r.Limits().String() + " for " + (r.May() & offers).String() }
		same = func(o, r policy.Rule) bool { return r.May()&offers&^o.May() == 0 }
	}
	return uniform(allow, say, func(o, r policy.Rule) bool { return same(o, r) && o.Limits().Include(r.Limits()) })
}

// accessTo works out under which conditions there is c, and what it covers.
func (v *view) accessTo(c policy.Capability, allow, deny []policy.Rule) {
	gives := slices.DeleteFunc(slices.Clone(allow), func(r policy.Rule) bool { return !r.May().Has(c) })
	takes := slices.DeleteFunc(slices.Clone(deny), func(r policy.Rule) bool { return !r.May().Has(c) })
	gives = slices.DeleteFunc(gives, func(r policy.Rule) bool {
		return slices.ContainsFunc(takes, func(d policy.Rule) bool { return d.Covers(r) })
	})
	if len(gives) == 0 {
		return
	}
	nothing := func(policy.Rule) string { return "" }
	either := func(_, _ policy.Rule) bool { return true }
	v.terms[c] = gives
	v.denies[c] = terms(takes, nothing, either)
	all := terms(gives, nothing, either)
	v.access[c] = all
	if v.denies[c] != "" {
		v.access[c] += ", but not " + v.denies[c]
	}
	switch c {
	case policy.Exec:
		v.lists[c] = entries(gives, all, func(r policy.Rule) []string {
			if r.Commands() == nil {
				return []string{"any command"}
			}
			var out []string
			for _, command := range r.Commands() {
				out = append(out, fmt.Sprintf("%q", command))
			}
			return out
		})
	case policy.ForwardLocal, policy.ForwardRemote:
		v.lists[c] = entries(gives, all, func(r policy.Rule) []string { return r.Destinations(c) })
	}
}

// terms are what rules say under their conditions: "full; manifest (from
// 192.0.2.0/24)". A rule is left out that another covers and outweighs.
func terms(rules []policy.Rule, say func(policy.Rule) string, outweighs func(o, r policy.Rule) bool) string {
	var out []string
	for i, r := range rules {
		if slices.ContainsFunc(rules[:i], func(o policy.Rule) bool { return o.Covers(r) && outweighs(o, r) }) ||
			slices.ContainsFunc(rules[i+1:], func(o policy.Rule) bool {
				return o.Covers(r) && outweighs(o, r) && !(r.Covers(o) && outweighs(r, o))
			}) {
			continue
		}
		out = append(out, term(say(r), r.Conditions()))
	}
	return joined(out)
}

// uniform is terms, without conditions where all rules say the same: whenever
// something is given, that holds.
func uniform(rules []policy.Rule, say func(policy.Rule) string, outweighs func(o, r policy.Rule) bool) string {
	if len(rules) > 0 && !slices.ContainsFunc(rules, func(r policy.Rule) bool { return say(r) != say(rules[0]) }) {
		return say(rules[0])
	}
	return terms(rules, say, outweighs)
}

// entries are what rules list, each with the conditions under which it does if
// those aren't the ones of all, under which there is the capability.
func entries(rules []policy.Rule, all string, of func(policy.Rule) []string) string {
	under := map[string][]policy.Rule{}
	for _, r := range rules {
		for _, entry := range of(r) {
			under[entry] = append(under[entry], r)
		}
	}
	var out []string
	for entry, rules := range under {
		conditions := terms(rules, func(policy.Rule) string { return "" }, func(_, _ policy.Rule) bool { return true })
		if conditions == all {
			conditions = ""
		}
		out = append(out, term(entry, conditions))
	}
	return joined(out)
}

func term(what, conditions string) string {
	switch {
	case what == "" && conditions == "":
		return always
	case what == "":
		return conditions
	case conditions == "":
		return what
	}
	return what + " (" + conditions + ")"
}

// joined sorts out and leaves repetitions out.
func joined(out []string) string {
	slices.Sort(out)
	return strings.Join(slices.Compact(out), " or ")
}
