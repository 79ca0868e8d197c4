package policy

import (
	"slices"

	"entry/policy/strict"
)

func (b *builder) linkForwards(r *rule, f strict.Fields) {
	local, remote := f.Get("forward_local"), f.Get("forward_remote")
	r.local = b.readDestinations(r, local, ForwardLocal, readDestination)
	r.remote = b.readDestinations(r, remote, ForwardRemote, readListen)
	// TCP targets are destinations themselves; rules for them alone list none.
	if !slices.ContainsFunc(r.opens(), func(t *Target) bool { return t.Kind == SSH }) {
		return
	}
	if r.may.Has(ForwardLocal) && !local.Present() {
		if r.record == Full {
			f.Get("may").Errorf(strict.CodeMissing, "forward-local under record: full needs forward_local, the destinations; only listed ones can be admitted")
		}
		r.local = anywhere
	}
	if r.may.Has(ForwardRemote) && !remote.Present() {
		f.Get("may").Errorf(strict.CodeMissing, "forward-remote needs forward_remote, the ports on the target (0 is one that the target chooses)")
	}
}

func (b *builder) readDestinations(r *rule, v strict.Value, c Capability, read func(strict.Value) (destination, bool)) []destination {
	if v.Present() && !r.may.Has(c) {
		v.Errorf(codeMisplaced, "this has no effect without %s under may", c)
	}
	var out []destination
	for _, item := range v.SomeItems() {
		if _, ok := item.Scalar("a destination or a port"); !ok {
			continue
		}
		d, ok := read(item)
		switch {
		case !ok:
		case slices.Contains(out, d):
			item.Errorf(codeTwice, "%s stands in this list twice", item.Raw())
		case d.wildcard() && r.record == Full:
			item.Errorf(codeWildcardFull, "a wildcard under record: full: what isn't listed can't be admitted where everything is recorded; list it, or choose record: manifest or metadata")
		default:
			if c == ForwardLocal && d.port == 22 && r.record == Full {
				item.Warnf(codeNestedSSH, "SSH inside a forward is refused under record: full; make the machine a target instead")
			}
			out = append(out, d)
		}
	}
	return out
}

// listed reports whether a rule may limit c to what it lists.
func listed(c Capability) bool { return c == Exec || c == ForwardLocal || c == ForwardRemote }
