package evidence

import (
	"slices"

	"entry/audit"
	"entry/policy"
)

// Names are those of people, labs and targets that are and that were.
type Names struct{ Users, Labs, Targets map[string]bool }

// ReadNames reads the names in logs and those before them. It goes through all of them.
func ReadNames(logDirs ...string) (Names, error) {
	n := Names{map[string]bool{}, map[string]bool{}, map[string]bool{}}
	types := slices.DeleteFunc(audit.Types(), func(t audit.Type) bool { return t == audit.RecordingTick })
	for _, logDir := range logDirs {
		for _, dir := range append(audit.Before(logDir), logDir) {
			for e, err := range audit.Scan(dir, types...) {
				if err != nil {
					return n, err
				}
				add(n.Users, e.User)
				add(n.Labs, e.Lab)
				add(n.Targets, e.Target)
			}
		}
	}
	return n, nil
}

// Policy adds the names that a policy has.
func (n Names) Policy(p *policy.Policy) {
	for _, name := range p.Users() {
		n.Users[name] = true
	}
	for _, l := range p.Labs() {
		n.Labs[l.Name] = true
	}
	for _, t := range p.Targets() {
		n.Targets[t.FullName()] = true
	}
}

func add(names map[string]bool, name string) {
	if name != "" {
		names[name] = true
	}
}
