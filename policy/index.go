package policy

import (
	"maps"
	"slices"
	"strings"
)

// person is what the files say of one user: the labs, and the subjects through
// which rules speak of the user.
type person struct {
	labs     []*lab // sorted by name
	subjects []*subject
}

// realm is what rules say of those whom one realm vouches for.
type realm struct {
	all *subject // nil if no rule speaks of all of them
	// By the keys of package ldapmatch: subjects of rules that allow, and of
	// those that deny.
	allowed, denied map[string]*subject
}

// reach holds the lists of rules that open or close one target, by its name and
// by its lab and kind.
type reach struct{ own, lab *[]int32 }

// index makes the lists that match walks. A list holds indexes into p.rules in
// increasing order. Deciding costs what the user's and the target's rules have
// in common, not how many there are.
func (p *Policy) index() {
	p.reach = make(map[*Target]*reach, len(p.targets))
	p.byName = make(map[string][]*Target, len(p.targets))
	ssh, tcp := map[*lab]*[]int32{}, map[*lab]*[]int32{}
	for _, l := range p.labs {
		ssh[l], tcp[l] = new([]int32), new([]int32)
		for _, t := range l.targets {
			lists := map[Kind]*[]int32{SSH: ssh[l], TCP: tcp[l]}
			p.reach[t] = &reach{own: new([]int32), lab: lists[t.Kind]}
			p.sorted = append(p.sorted, t)
		}
		for user := range l.people {
			who := p.person(user)
			who.labs = append(who.labs, l)
		}
	}
	sortTargets(p.sorted)
	for _, t := range p.sorted {
		p.byName[t.Name] = append(p.byName[t.Name], t)
	}
	for _, who := range p.users {
		slices.SortFunc(who.labs, func(a, b *lab) int { return strings.Compare(a.name, b.name) })
	}
	p.indexWho()
	for i, r := range p.rules {
		id := int32(i)
		for _, t := range r.targets {
			own := p.reach[t].own
			*own = append(*own, id)
		}
		for _, l := range r.targetLabs {
			*ssh[l] = appendOnce(*ssh[l], id)
			// What can't be recorded is opened only by rules that say so.
			if r.deny || r.opensTCP() {
				*tcp[l] = appendOnce(*tcp[l], id)
			}
		}
		p.asks = p.asks || r.approval != nil
		if r.everywhere {
			p.everywhere = append(p.everywhere, id)
		}
	}
}

func (p *Policy) indexWho() {
	for i, r := range p.rules {
		id := int32(i)
		if r.everyone {
			p.everyone = append(p.everyone, id)
		}
		for _, s := range r.who {
			if s.realm {
				p.addRealm(s)
				if r.deny {
					p.realmDeny = appendOnce(p.realmDeny, id)
				}
			}
			if len(s.rules) == 0 {
				for _, user := range s.users {
					who := p.person(user)
					who.subjects = append(who.subjects, s)
				}
			}
			s.rules = appendOnce(s.rules, id)
		}
	}
}

func (p *Policy) addRealm(s *subject) {
	name, _, grouped := strings.Cut(strings.TrimPrefix(s.name, "realm "), "/")
	r := p.realms[name]
	if r == nil {
		r = &realm{allowed: map[string]*subject{}, denied: map[string]*subject{}}
		p.realms[name] = r
	}
	switch {
	case !grouped:
		r.all = s
	case s.denied:
		r.denied[s.group] = s
	default:
		r.allowed[s.group] = s
	}
}

// groups appends the subjects that g are of; see Groups for those that nobody asked for.
func (r *realm) groups(dst []*subject, g Groups) []*subject {
	if !g.asked {
		return slices.AppendSeq(dst, maps.Values(r.denied))
	}
	dst = find(dst, r.allowed, g.strict)
	if len(g.unsure) > 0 {
		for _, s := range r.denied {
			if g.of(s) {
				dst = append(dst, s)
			}
		}
		return dst
	}
	return find(dst, r.denied, g.loose)
}

func find(dst []*subject, by map[string]*subject, keys []string) []*subject {
	if len(by) == 0 {
		return dst
	}
	for _, key := range keys {
		if s := by[key]; s != nil {
			dst = append(dst, s)
		}
	}
	return dst
}

func (p *Policy) person(user string) *person {
	who := p.users[user]
	if who == nil {
		who = &person{}
		p.users[user] = who
	}
	return who
}

// appendOnce appends an id to a list in increasing order unless it is its last.
func appendOnce(list []int32, id int32) []int32 {
	if n := len(list); n > 0 && list[n-1] == id {
		return list
	}
	return append(list, id)
}

// asker is whom rules may speak of, as far as a request tells. Without a realm
// it may be any: deny rules for realms are then for this user too.
type asker struct {
	who    *person // nil for a user the files don't know
	realm  string
	groups Groups
}

// labs are those that the files put a in, sorted by name.
func (a asker) labs() []*lab {
	if a.who == nil {
		return nil
	}
	return a.who.labs
}

// subjects are those through which rules speak of a, but for deny rules that
// hold because a's realm isn't known.
func (p *Policy) subjects(a asker) []*subject {
	var out []*subject
	if a.who != nil {
		out = append(out, a.who.subjects...)
	}
	if r := p.realms[a.realm]; r != nil {
		if r.all != nil {
			out = append(out, r.all)
		}
		out = r.groups(out, a.groups)
	}
	return out
}

// match appends the indexes of the rules that speak of both a and t, sorted and
// each once.
func (p *Policy) match(dst []int32, a asker, t *Target) []int32 {
	reach := p.reach[t]
	if reach == nil {
		return dst
	}
	vouched := p.realms[a.realm]
	for _, rules := range [...][]int32{*reach.own, *reach.lab, p.everywhere} {
		dst = intersect(dst, p.everyone, rules)
		if a.who != nil {
			for _, s := range a.who.subjects {
				dst = intersect(dst, s.rules, rules)
			}
		}
		switch {
		case a.realm == "":
			dst = intersect(dst, p.realmDeny, rules)
		case vouched != nil:
			if vouched.all != nil {
				dst = intersect(dst, vouched.all.rules, rules)
			}
			for _, s := range vouched.groups(nil, a.groups) {
				dst = intersect(dst, s.rules, rules)
			}
		}
	}
	slices.Sort(dst)
	return slices.Compact(dst)
}

// intersect appends what two increasing lists have in common.
func intersect(dst, a, b []int32) []int32 {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(a) == 0 {
		return dst
	}
	if len(b) > 8*len(a) {
		for _, id := range a {
			at, found := slices.BinarySearch(b, id)
			if found {
				dst = append(dst, id)
			}
			b = b[at:]
		}
		return dst
	}
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case a[i] < b[j]:
			i++
		case a[i] > b[j]:
			j++
		default:
			dst = append(dst, a[i])
			i, j = i+1, j+1
		}
	}
	return dst
}
