package policy

import (
	"slices"

	"entry/policy/strict"
)

func (b *builder) linkWhere(r *rule, where strict.Value) {
	r.everywhere = r.deny && !where.Present()
	f := where.Fields("targets", "labs")
	for _, item := range f.Get("targets").Items() {
		s, ok := item.Want(`a target such as "home.tinker"`)
		if !ok {
			continue
		}
		t := b.findTarget(item, s)
		if t == nil {
			continue
		}
		if slices.Contains(r.targets, t) {
			item.Errorf(codeTwice, "%q stands in this list twice", s)
			continue
		}
		r.targets = append(r.targets, t)
		if t.Kind == TCP && !r.deny {
			if !r.may.Has(ForwardLocal) {
				item.Errorf(codeMisplaced, "%s is a target of kind tcp, which needs forward-local under may", s)
			}
			if r.record != Metadata {
				item.Errorf(codeTCPRecord, "%s is a target of kind tcp, of which only metadata can be recorded; give it a rule of its own with record: metadata", s)
			}
		}
	}
	for _, item := range f.Get("labs").Items() {
		l := b.findLab(item)
		switch {
		case l == nil:
		case slices.Contains(r.targetLabs, l):
			item.Errorf(codeTwice, "%q stands in this list twice", l.name)
		default:
			r.targetLabs = append(r.targetLabs, l)
		}
	}
	if f.Empty() {
		where.Errorf(strict.CodeMissing, "say what the rule opens: targets or labs")
	}
}

// opens are the targets that r speaks of: those it names, and of the labs it
// names all but the ones of kind tcp that an allow rule can't open.
func (r *rule) opens() []*Target {
	out := slices.Clone(r.targets)
	for _, l := range r.targetLabs {
		for _, t := range l.targets {
			if t.Kind == SSH || r.deny || r.opensTCP() {
				out = append(out, t)
			}
		}
	}
	return out
}
