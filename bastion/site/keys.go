//go:build linux

package site

import (
	"fmt"
	"sync/atomic"

	"filippo.io/age"

	"entry/audit"
	"entry/bastion/ca"
	"entry/configs"
	"entry/policy"
	"entry/policy/pubkey"
)

// keys are the server's keys and its auditors'.
type keys struct {
	*ca.Keys
	readers atomic.Pointer[readers]
}

// auditorsOf are who may read a lab's recordings.
func (k *keys) auditorsOf(lab string) []age.Recipient { return k.readers.Load().of(lab) }

// loadKeys opens every key that cfg names and refuses one that has two roles.
func loadKeys(cfg *configs.Config, p *policy.Policy) (*keys, error) {
	verifier, err := audit.ReadKey(cfg.Audit.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("audit.public_key: %w", err)
	}
	logKey, err := ca.NoteKey(verifier)
	if err != nil {
		return nil, fmt.Errorf("audit.public_key: %w", err)
	}
	roles := []ca.Role{{Name: "audit log", Key: logKey}}
	for _, t := range p.Targets() {
		for _, line := range t.HostCAs {
			key, err := pubkey.ParseHost(line)
			if err != nil {
				return nil, fmt.Errorf("host CA of %s: %w", t.FullName(), err)
			}
			roles = append(roles, ca.Role{Name: "host CA of targets", Key: key})
		}
	}
	k := &keys{}
	if k.Keys, err = ca.Open(cfg.Keys, roles...); err != nil {
		return nil, err
	}
	all, err := loadReaders(&cfg.Recording)
	if err != nil {
		return nil, err
	}
	k.readers.Store(all)
	return k, nil
}
