package policy

import (
	"slices"
	"strings"
	"time"

	"entry/policy/strict"
)

// Policy is a loaded, checked and tested set of files. It is immutable and safe
// for concurrent use. [Load] and [Parse] make one.
type Policy struct {
	labs       []*lab // in file order
	targets    map[string]*Target
	rules      []*rule
	defaultLab map[string]*lab
	hash       string
	warnings   strict.Problems
	tests      int

	// What index makes of them.
	users      map[string]*person
	realms     map[string]*realm
	realmDeny  []int32 // deny rules for some realm
	reach      map[*Target]*reach
	byName     map[string][]*Target // bare name → targets, sorted by full name
	sorted     []*Target
	everyone   []int32
	everywhere []int32
	asks       bool // some rule asks for approval
}

// Hash is "sha256:" and the digest over the files' names and contents in hex.
func (p *Policy) Hash() string { return p.hash }

// Warnings are what was found worth a look when the policy was loaded.
func (p *Policy) Warnings() strict.Problems { return slices.Clone(p.warnings) }

// Lapsed are warnings of the rules that are over at now: nothing is wrong with
// them, but the next reader will wonder.
func (p *Policy) Lapsed(now time.Time) strict.Problems {
	var out strict.Problems
	for _, r := range p.rules {
		if until := r.valid.until; !until.IsZero() && !now.Before(until) {
			out = append(out, r.lapsed)
		}
	}
	return out.Sorted()
}

// Tests is how many tests the files hold; all of them passed.
func (p *Policy) Tests() int { return p.tests }

// Target finds a target by its full name.
func (p *Policy) Target(full string) (*Target, bool) {
	t, ok := p.targets[full]
	return t, ok
}

// Targets are all targets, sorted by full name.
func (p *Policy) Targets() []*Target { return slices.Clone(p.sorted) }

// HostPatterns are what clients call the SSH targets, in known_hosts: each bare
// name, then "*.lab" for each lab that has one.
func (p *Policy) HostPatterns() []string {
	var names, labs []string
	for _, t := range p.sorted {
		if t.Kind == SSH {
			names, labs = append(names, t.Name), append(labs, "*."+t.Lab)
		}
	}
	slices.Sort(names)
	slices.Sort(labs)
	return slices.Concat(slices.Compact(names), slices.Compact(labs))
}

// NewHostPatterns are those that before doesn't have: a client whose known_hosts was
// written for before doesn't know the machines behind them.
func (p *Policy) NewHostPatterns(before *Policy) []string {
	known := before.HostPatterns()
	return slices.DeleteFunc(p.HostPatterns(), func(name string) bool { return slices.Contains(known, name) })
}

// Retention is how long the lab of that name wants its recordings kept from
// their end on, 0 where no file says so.
func (p *Policy) Retention(name string) time.Duration {
	for _, l := range p.labs {
		if l.name == name {
			return l.retention
		}
	}
	return 0
}

// LabsOf are the names of the labs that user belongs to, as a member or an
// admin, sorted.
func (p *Policy) LabsOf(user string) []string {
	var names []string
	if who := p.users[user]; who != nil {
		for _, l := range who.labs {
			names = append(names, l.name)
		}
	}
	return names
}

// TargetsOf are the targets of the user's labs and those that a rule opens to
// the user elsewhere, sorted by full name. Being listed is no grant. realm and
// groups are as for [Policy.Resolve].
func (p *Policy) TargetsOf(user, realm string, groups Groups) []*Target {
	a := p.asker(user, realm, groups)
	var list []*Target
	for _, l := range a.labs() {
		list = append(list, l.targets...)
	}
	list = append(list, p.granted(a)...)
	sortTargets(list)
	return slices.Compact(list)
}

func (p *Policy) asker(user, realm string, groups Groups) asker {
	return asker{who: p.users[user], realm: realm, groups: groups}
}

// granted are the targets that some allow rule opens to a, from wherever;
// sorted.
func (p *Policy) granted(a asker) []*Target {
	seen := map[*Target]bool{}
	for _, s := range p.subjects(a) {
		for _, i := range s.rules {
			r := p.rules[i]
			if r.deny {
				continue
			}
			for _, t := range r.opens() {
				seen[t] = true
			}
		}
	}
	list := make([]*Target, 0, len(seen))
	for t := range seen {
		list = append(list, t)
	}
	sortTargets(list)
	return list
}

// sees reports whether t may be named to a at all: it is in one of their labs
// or a rule opens it to them.
func (p *Policy) sees(a asker, t *Target) bool {
	if slices.ContainsFunc(a.labs(), func(l *lab) bool { return l.name == t.Lab }) {
		return true
	}
	var buffer [16]int32
	return slices.ContainsFunc(p.match(buffer[:0], a, t), func(i int32) bool { return !p.rules[i].deny })
}

func sortTargets(list []*Target) {
	slices.SortFunc(list, func(a, b *Target) int { return strings.Compare(a.FullName(), b.FullName()) })
}

// Conflict tells whether a target has the name of the server itself, which the
// files can't know; nil if none has. Clients couldn't tell the two apart.
func (p *Policy) Conflict(server string) *strict.Problem {
	server = strings.ToLower(server)
	taken := p.byName[server]
	if t := p.targets[server]; t != nil {
		taken = append(taken, t)
	}
	if len(taken) == 0 {
		return nil
	}
	t := taken[0]
	problem := t.place.Problem(codeReserved, "target %s has the server's own name, %q", t.FullName(), server)
	return &problem
}
