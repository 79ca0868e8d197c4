package compare

import (
	"fmt"

	"entry/configs"
	"entry/policy"
)

// Load reads the policy that a configuration names, with its tests and Warnings, and holds
// it against the configuration, which the files can't know: no target is called as the
// server is, and each listener leads to one. Errors are policy.Load's, and of package
// strict's where the two don't go together.
func Load(cfg *configs.Config) (*policy.Policy, error) {
	p, err := policy.Load(cfg.Policy, Warnings)
	if err != nil {
		return nil, err
	}
	if problem := p.Conflict(cfg.Name); problem != nil {
		return nil, problem
	}
	for _, l := range cfg.Listeners {
		if l.Target == "" {
			continue
		}
		if _, ok := p.Target(l.Target); !ok {
			return nil, fmt.Errorf("%s: listener %s leads to %s, which no policy file has", cfg.Path, l.Address, l.Target)
		}
	}
	return p, nil
}
