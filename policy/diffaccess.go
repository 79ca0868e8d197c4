package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// always is what no conditions are called.
const always = "always"

// access compares what people may do, on each target that a rule of either
// policy opens to them. People of whom the same rules speak are looked at once,
// and so are targets.
func (d *differ) access() {
	d.classes, d.class = d.targetClasses()
	places := d.standings()
	unnamed := make([]map[string]bool, len(places))
	for i, place := range places {
		unnamed[i] = d.compare(nil, place, nil)
	}
	for _, users := range d.userClasses() {
		plain := d.compare(users, standing{realm: noRealm}, nil)
		for i, place := range places {
			// What the realm's people see change anyway isn't said of each user.
			d.compare(users, place, []map[string]bool{plain, unnamed[i]})
		}
	}
}

// standings are those of either policy.
func (d *differ) standings() []standing {
	out := append(d.a.standings(), d.b.standings()...)
	slices.SortFunc(out, func(x, y standing) int { return strings.Compare(x.realm+"/"+x.group, y.realm+"/"+y.group) })
	return slices.Compact(out)
}

// userClasses are the users of either policy, grouped by the subjects that they
// are in under both.
func (d *differ) userClasses() [][]string {
	names := map[string]bool{}
	ids := map[*subject]int{}
	for _, p := range []*Policy{d.a, d.b} {
		for user, who := range p.users {
			names[user] = true
			for _, s := range who.subjects {
				if _, known := ids[s]; !known {
					ids[s] = len(ids)
				}
			}
		}
	}
	at := map[string]int{}
	var out [][]string
	var key []byte
	for _, user := range slices.Sorted(maps.Keys(names)) {
		key = key[:0]
		for _, p := range []*Policy{d.a, d.b} {
			key = append(key, '|')
			if who := p.users[user]; who != nil {
				for _, s := range who.subjects {
					key = fmt.Appendf(key, "%d,", ids[s])
				}
			}
		}
		i, known := at[string(key)]
		if !known {
			i = len(out)
			at[string(key)] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], user)
	}
	return out
}

// targetClasses are the targets of either policy, grouped by the rules that
// speak of them under both, and the class of each by its full name.
func (d *differ) targetClasses() (classes [][]string, class map[string]int) {
	class = map[string]int{}
	at := map[string]int{}
	names := map[string]bool{}
	for _, p := range []*Policy{d.a, d.b} {
		for name := range p.targets {
			names[name] = true
		}
	}
	var key []byte
	for _, name := range slices.Sorted(maps.Keys(names)) {
		key = key[:0]
		for _, p := range []*Policy{d.a, d.b} {
			key = append(key, '|')
			if t := p.targets[name]; t != nil {
				r := p.reach[t]
				key = fmt.Appendf(key, "%d %p %v", t.Kind, r.lab, *r.own)
			}
		}
		i, known := at[string(key)]
		if !known {
			i = len(classes)
			at[string(key)] = i
			classes = append(classes, nil)
		}
		classes[i] = append(classes[i], name)
		class[name] = i
	}
	return classes, class
}

// compare adds what changes for users, nil for those whom no file names, in a
// place. Changes in skip are left out; all are returned.
func (d *differ) compare(users []string, place standing, skip []map[string]bool) map[string]bool {
	one := ""
	if users != nil {
		one = users[0]
	}
	label := users
	if place.realm != noRealm {
		label = []string{"realm " + strings.TrimSuffix(place.realm+"/"+place.group, "/")}
		if users != nil {
			inRealm := make([]string, len(users))
			for i, user := range users {
				inRealm[i] = user + " of " + label[0]
			}
			label = inRealm
		}
	}
	classes := map[int]bool{}
	var askers [2]asker
	for i, p := range []*Policy{d.a, d.b} {
		askers[i] = asker{who: p.users[one], realm: place.realm, groups: place.groups()}
		for _, t := range p.granted(askers[i]) {
			classes[d.class[t.FullName()]] = true
		}
	}
	seen := map[string]bool{}
	for _, i := range slices.Sorted(maps.Keys(classes)) {
		name := d.classes[i][0]
		for _, c := range compareViews(d.a.view(askers[0], name), d.b.view(askers[1], name)) {
			key := fmt.Sprint(i, c)
			seen[key] = true
			if !slices.ContainsFunc(skip, func(known map[string]bool) bool { return known[key] }) {
				c.Users, c.Targets = label, slices.Clone(d.classes[i])
				d.add(c)
			}
		}
	}
	return seen
}

// view is what the rules say of one user on one target, in canonical words.
type view struct {
	access map[Capability]string  // conditions; absent where the capability is
	terms  map[Capability][]*rule // the rules behind access
	denies map[Capability]string  // conditions under which it is taken away
	lists  map[Capability]string  // commands, destinations, ports
	record string
	limits string
}

func compareViews(old, now view) []Change {
	var out []Change
	for _, c := range allCapabilities.List() {
		was, is := old.access[c], now.access[c]
		switch {
		case was == is:
		case was == "":
			out = append(out, Change{Aspect: Gains, Capability: c, New: is})
		case is == "":
			out = append(out, Change{Aspect: Loses, Capability: c, Old: was})
		default:
			out = append(out, Change{Aspect: direction(old, now, c), Capability: c, Old: was, New: is})
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
	return out
}

// direction tells whether c came to be given under fewer or more conditions.
func direction(old, now view, c Capability) Aspect {
	within := func(inner, outer view) bool {
		return (outer.denies[c] == "" || inner.denies[c] == outer.denies[c]) && !slices.ContainsFunc(inner.terms[c], func(r *rule) bool {
			return !slices.ContainsFunc(outer.terms[c], func(o *rule) bool { return o.covers(&r.conditions) || o.words() == r.words() })
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

// view gathers what p says; the zero view where it hasn't the target.
func (p *Policy) view(a asker, target string) view {
	v := view{access: map[Capability]string{}, terms: map[Capability][]*rule{}, denies: map[Capability]string{}, lists: map[Capability]string{}}
	t := p.targets[target]
	if t == nil {
		return v
	}
	var allow, deny []*rule
	for _, i := range p.match(nil, a, t) {
		if r := p.rules[i]; r.deny {
			deny = append(deny, r)
		} else {
			allow = append(allow, r)
		}
	}
	for _, c := range t.offers().List() {
		v.accessTo(c, allow, deny)
	}
	v.record = uniform(allow, func(r *rule) string {
		if r.recordInput {
			return r.record.String() + " with input"
		}
		return r.record.String()
	}, func(o, r *rule) bool { return o.record >= r.record && (o.recordInput || !r.recordInput) })
	v.limits = limitTerms(allow, deny, t.offers())
	return v
}

// limitTerms are the limits of the rules that give something. Under a deny rule
// that doesn't always hold it depends on what each rule gives.
func limitTerms(allow, deny []*rule, offers Capabilities) string {
	sometimes := false
	for _, d := range deny {
		if d.words() == "" {
			offers &^= d.may
		} else {
			sometimes = true
		}
	}
	allow = slices.DeleteFunc(slices.Clone(allow), func(r *rule) bool { return r.may&offers == 0 })
	say, same := func(r *rule) string { return r.limits.String() }, func(_, _ *rule) bool { return true }
	if sometimes && slices.ContainsFunc(allow, func(r *rule) bool { return r.limits != allow[0].limits }) {
		say = func(r *rule) string { return r.limits.String() + " for " + (r.may & offers).String() }
		same = func(o, r *rule) bool { return r.may&offers&^o.may == 0 }
	}
	return uniform(allow, say, func(o, r *rule) bool { return same(o, r) && o.limits.generous(r.limits) == o.limits })
}

// accessTo works out under which conditions there is c, and what it covers.
func (v *view) accessTo(c Capability, allow, deny []*rule) {
	gives := slices.DeleteFunc(slices.Clone(allow), func(r *rule) bool { return !r.may.Has(c) })
	takes := slices.DeleteFunc(slices.Clone(deny), func(r *rule) bool { return !r.may.Has(c) })
	gives = slices.DeleteFunc(gives, func(r *rule) bool {
		return slices.ContainsFunc(takes, func(d *rule) bool { return d.covers(&r.conditions) })
	})
	if len(gives) == 0 {
		return
	}
	nothing := func(*rule) string { return "" }
	either := func(_, _ *rule) bool { return true }
	v.terms[c] = gives
	v.denies[c] = terms(takes, nothing, either)
	all := terms(gives, nothing, either)
	v.access[c] = all
	if v.denies[c] != "" {
		v.access[c] += ", but not " + v.denies[c]
	}
	switch c {
	case Exec:
		v.lists[c] = entries(gives, all, func(r *rule) []string {
			if r.commands == nil {
				return []string{"any command"}
			}
			var out []string
			for _, command := range r.commands {
				out = append(out, fmt.Sprintf("%q", command))
			}
			return out
		})
	case ForwardLocal, ForwardRemote:
		v.lists[c] = entries(gives, all, func(r *rule) []string {
			var out []string
			for _, d := range r.destinations(c) {
				out = append(out, d.words())
			}
			return out
		})
	}
}

// terms are what rules say under their conditions: "full; manifest (from
// 192.0.2.0/24)". A rule is left out that another covers and outweighs.
func terms(rules []*rule, say func(*rule) string, outweighs func(o, r *rule) bool) string {
	var out []string
	for i, r := range rules {
		if slices.ContainsFunc(rules[:i], func(o *rule) bool { return o.covers(&r.conditions) && outweighs(o, r) }) ||
			slices.ContainsFunc(rules[i+1:], func(o *rule) bool {
				return o.covers(&r.conditions) && outweighs(o, r) && !(r.covers(&o.conditions) && outweighs(r, o))
			}) {
			continue
		}
		out = append(out, term(say(r), r.words()))
	}
	return joined(out)
}

// uniform is terms, without conditions where all rules say the same: whenever
// something is given, that holds.
func uniform(rules []*rule, say func(*rule) string, outweighs func(o, r *rule) bool) string {
	if len(rules) > 0 && !slices.ContainsFunc(rules, func(r *rule) bool { return say(r) != say(rules[0]) }) {
		return say(rules[0])
	}
	return terms(rules, say, outweighs)
}

// entries are what rules list, each with the conditions under which it does if
// those aren't the ones of all, under which there is the capability.
func entries(rules []*rule, all string, of func(*rule) []string) string {
	under := map[string][]*rule{}
	for _, r := range rules {
		for _, entry := range of(r) {
			under[entry] = append(under[entry], r)
		}
	}
	var out []string
	for entry, rules := range under {
		conditions := terms(rules, func(*rule) string { return "" }, func(_, _ *rule) bool { return true })
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
