package evidence

import (
	"slices"

	"entry/audit"
)

// Names are those that a log has, of people, labs and targets that are and that were.
type Names struct{ Users, Labs, Targets map[string]bool }

// ReadNames reads the names in the log in logDir and those before it. It goes through
// all of them.
func ReadNames(logDir string) (Names, error) {
	n := Names{map[string]bool{}, map[string]bool{}, map[string]bool{}}
	types := slices.DeleteFunc(audit.Types(), func(t audit.Type) bool { return t == audit.RecordingTick })
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
	return n, nil
}

func add(names map[string]bool, name string) {
	if name != "" {
		names[name] = true
	}
}
