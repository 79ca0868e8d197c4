package policy

import (
	"slices"
	"strings"
)

// person is what the files say of one user: the labs, and the subjects through
// which rules speak of the user.
type person struct {
	labs     []*lab // sorted by name
	subjects []*subject
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

// match appends the indexes of the rules that speak of both who and t, sorted
// and each once. A nil who is a user the files don't know: only rules for
// everyone match.
func (p *Policy) match(dst []int32, who *person, t *Target) []int32 {
	reach := p.reach[t]
	if reach == nil {
		return dst
	}
	targets := [...][]int32{*reach.own, *reach.lab, p.everywhere}
	for _, rules := range targets {
		dst = intersect(dst, p.everyone, rules)
		if who == nil {
			continue
		}
		for _, s := range who.subjects {
			dst = intersect(dst, s.rules, rules)
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
