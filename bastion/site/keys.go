//go:build linux

package site

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"entry/audit"
	"entry/bastion/ca"
	"entry/configs"
	"entry/policy"
	"entry/policy/pubkey"
	"entry/session/recording/auditors"
)

// keys are the server's keys and its auditors'.
type keys struct {
	*ca.Keys
	mu      sync.RWMutex // held while a change is put on record
	readers *readers
}

// auditorsOf are who may read a lab's recordings. Nobody who has read of a change gets
// what was before it.
func (k *keys) auditorsOf(lab string) []auditors.Auditor {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.readers.of(lab)
}

// loadKeys opens every key that cfg names and refuses one that has two roles.
func loadKeys(cfg *configs.Config, p *policy.Policy) (*keys, error) {
	own, err := loadOwn(cfg, p)
	if err != nil {
		return nil, err
	}
	all, err := loadReaders(&cfg.Recording)
	if err != nil {
		return nil, err
	}
	return &keys{Keys: own, readers: all}, nil
}

// loadOwn opens the server's own keys, none of which may be another's too, p's CAs of
// targets included.
func loadOwn(cfg *configs.Config, p *policy.Policy) (*ca.Keys, error) {
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
	keys, err := ca.Open(cfg.Keys, roles...)
	if errors.Is(err, fs.ErrNotExist) {
		err = hinted(err, withoutKey(`README, "Change keys", says how to do without`))
	}
	return keys, err
}
