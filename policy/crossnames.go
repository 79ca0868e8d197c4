package policy

import (
	"maps"
	"slices"
	"strings"

	"entry/audit/plain"
)

// mostNamed is how many people a warning names.
const mostNamed = 3

// checkNames finds bare names that rules open more than once to somebody, who is then
// asked for the full one: a new machine in one lab breaks what calls the other's by its
// name. Who has a default lab with such a machine, and names that nobody may open
// twice, are left out.
func (b *builder) checkNames(p *Policy) {
	twice := func(list []*Target) (names map[string]bool) {
		count := map[string]int{}
		for _, t := range list {
			if count[t.Name]++; count[t.Name] == 2 {
				if names == nil {
					names = map[string]bool{}
				}
				names[t.Name] = true
			}
		}
		return names
	}
	var order []string
	clashes := map[string]*clash{}
	find := func(who asker, label string, names map[string]bool) {
		for _, name := range slices.Sorted(maps.Keys(names)) {
			found := p.named(who, name)
			if len(found) < 2 {
				continue
			}
			full := strings.Join(ambiguous(name, found).Full, ", ")
			c := clashes[full]
			if c == nil {
				c = &clash{name: name, full: full, rule: p.opening(who, found[len(found)-1])}
				clashes[full], order = c, append(order, full)
			}
			c.who = append(c.who, label)
		}
	}
	classes, names := p.UserClasses(), map[int]map[string]bool{}
	for _, user := range p.Users() {
		who := p.asker(user, "", Groups{})
		class := classes[user]
		if _, known := names[class]; !known {
			names[class] = twice(p.granted(who))
		}
		mine := names[class]
		if l := p.defaultLab[user]; l != nil && len(mine) > 0 {
			mine = maps.Clone(mine)
			maps.DeleteFunc(mine, func(name string, _ bool) bool { return p.targets[name+"."+l.name] != nil })
		}
		find(who, user, mine)
	}
	for _, w := range p.Standings() {
		label := "realm " + w.Realm
		if w.Group != "" {
			label += "/" + w.Group
		}
		who := p.askerOf(w)
		find(who, label, twice(p.granted(who)))
	}
	for _, full := range order {
		c := clashes[full]
		if c.rule < 0 {
			continue
		}
		b.rules[c.rule].at.Warnf(codeAmbiguous, "%s may open %s, by this rule or with others: for them %q alone is refused as ambiguous, in scripts and configurations too; give them a default_lab, or have them ask for the full names",
			plain.List(c.who, mostNamed), c.full, c.name)
	}
}

// clash is a bare name that the same targets have for somebody.
type clash struct {
	name, full string
	who        []string
	rule       int // that opens the last of them to the first; -1 for none
}

// opening is the index of the first rule that opens t to who, -1 if none does.
func (p *Policy) opening(who asker, t *Target) int {
	for _, i := range p.match(nil, who, t) {
		if !p.rules[i].deny {
			return int(i)
		}
	}
	return -1
}

// checkApprovers finds people whom a rule is for and who can never get its approval,
// since nobody approves what they ask for themselves and there are too few others.
func (b *builder) checkApprovers(p *Policy) {
	for i, r := range p.rules {
		if r.approval == nil {
			continue
		}
		var alone []string
		for _, s := range r.who {
			for _, user := range s.users {
				if r.approval.people[user] && len(r.approval.people)-1 < r.approval.need && !slices.Contains(alone, user) {
					alone = append(alone, user)
				}
			}
		}
		if len(alone) > 0 {
			slices.Sort(alone)
			b.rules[i].fields.Get("approval").Warnf(codeOwnApproval, "rule %s opens nothing to %s: nobody approves what they ask for themselves, and there are too few other approvers; name more of them",
				r.ref.Name, plain.List(alone, mostNamed))
		}
	}
}
