package policy

import (
	"fmt"
	"slices"
	"time"

	"entry/policy/strict"
)

// builder holds what the files say until everything is known that a name may
// refer to. It is dropped, with the YAML trees, once the policy stands.
type builder struct {
	docs       []*strict.Document
	others     strict.Problems // that no document has
	labs       map[string]*lab
	labOrder   []*lab
	targets    map[string]*Target
	subjects   map[string]*subject
	rules      []ruleAt
	ruleNames  map[string]strict.Value
	defaults   map[string]strict.Value // by user
	loginUsers []loginUser
	testValues []strict.Value
	tests      []test
	places     map[string]*time.Location // time zones by name
}

type ruleAt struct {
	rule   *rule
	at     strict.Value
	fields strict.Fields
}

type loginUser struct {
	at   strict.Value
	user string
	lab  *lab
}

func newBuilder() *builder {
	return &builder{
		labs: map[string]*lab{}, targets: map[string]*Target{},
		subjects: map[string]*subject{}, ruleNames: map[string]strict.Value{}, defaults: map[string]strict.Value{},
		places: map[string]*time.Location{},
	}
}

// readFile takes in one file; what it refers to in others is resolved by finish.
func (b *builder) readFile(d *strict.Document) {
	b.docs = append(b.docs, d)
	f := d.Root().Fields("labs", "default_lab", "rules", "tests")
	b.readLabs(f.Get("labs"))
	for _, e := range f.Get("default_lab").Entries() {
		if err := ValidUser(e.Key); err != nil {
			e.At.Errorf(codeName, "%q: %v", e.Key, err)
			continue
		}
		if first, dup := b.defaults[e.Key]; dup {
			e.At.Errorf(codeTwice, "the default lab of %q is already given at %s", e.Key, first.Place())
			continue
		}
		b.defaults[e.Key] = e.Value
	}
	for _, v := range f.Get("rules").Items() {
		b.readRule(v)
	}
	b.testValues = append(b.testValues, f.Get("tests").Items()...)
}

// finish resolves every reference and hands over what was read; the policy
// isn't indexed yet and may be incomplete where there are problems.
func (b *builder) finish() *Policy {
	p := &Policy{labs: b.labOrder, targets: b.targets, users: map[string]*person{}, realms: map[string]*realm{}, defaultLab: map[string]*lab{}}
	for user, at := range b.defaults {
		l := b.findLab(at)
		if l == nil {
			continue
		}
		if !l.has(user) {
			at.Errorf(codeNotMember, "%q is neither a member nor an admin of lab %s", user, l.name)
			continue
		}
		p.defaultLab[user] = l
	}
	for _, ra := range b.rules {
		b.link(ra)
		p.rules = append(p.rules, ra.rule)
	}
	for _, v := range b.testValues {
		b.readTest(v)
	}
	return p
}

// findLab reads the name of a lab that has to exist.
func (b *builder) findLab(v strict.Value) *lab {
	name, ok := v.Want("the name of a lab")
	if !ok {
		return nil
	}
	l := b.labs[name]
	if l == nil {
		v.Errorf(codeUnknownRef, "no file defines lab %q%s", name, b.nearLab(name))
	}
	return l
}

func (b *builder) nearLab(name string) string {
	names := make([]string, 0, len(b.labOrder))
	for _, l := range b.labOrder {
		names = append(names, l.name)
	}
	return strict.DidYouMean(name, names)
}

// findTarget finds a target by its full name, or reports at v.
func (b *builder) findTarget(v strict.Value, name string) *Target {
	t := b.targets[name]
	if t != nil {
		return t
	}
	var all, same []string
	for _, l := range b.labOrder {
		for _, t := range l.targets {
			all = append(all, t.FullName())
			if t.Name == name {
				same = append(same, t.FullName())
			}
		}
	}
	hint := strict.DidYouMean(name, all)
	if len(same) > 0 {
		hint = fmt.Sprintf("; give the full name, %s", same[0])
	}
	v.Errorf(codeUnknownRef, "no file defines target %q%s", name, hint)
	return nil
}

// problems are all so far, ordered by place.
func (b *builder) problems() strict.Problems {
	all := slices.Clone(b.others)
	for _, d := range b.docs {
		all = append(all, d.Problems()...)
	}
	return all.Sorted()
}

// add takes in what a [Check] found, as if its documents' readers had.
func (b *builder) add(found strict.Problems) {
	docs := make(map[string]*strict.Document, len(b.docs))
	for _, d := range b.docs {
		docs[d.Name()] = d
	}
	for _, p := range found {
		if d := docs[p.File]; d != nil {
			d.Add(p)
		} else {
			b.others = append(b.others, p)
		}
	}
}

func (b *builder) problemCount() int {
	n := 0
	for _, d := range b.docs {
		n += d.Found()
	}
	return n
}
