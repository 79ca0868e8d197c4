package main

import (
	"fmt"

	"entry/configs"
	"entry/policy"
)

// loadPolicy reads the policy files, runs their tests, and holds them against
// the configuration, which they can't know.
func loadPolicy(cfg *configs.Config) (*policy.Policy, error) {
	p, err := policy.Load(cfg.Policy)
	if err != nil {
		return nil, &exitError{code: exitUsage, err: err}
	}
	if problem := p.Conflict(cfg.Name); problem != nil {
		return nil, &exitError{code: exitUsage, err: problem}
	}
	for _, l := range cfg.Listeners {
		if l.Target == "" {
			continue
		}
		if _, ok := p.Target(l.Target); !ok {
			return nil, &exitError{code: exitUsage, err: fmt.Errorf("%s: listener %s leads to %s, which no policy file has", cfg.Path, l.Address, l.Target)}
		}
	}
	return p, nil
}
