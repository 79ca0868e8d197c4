//go:build linux

package site

import (
	"fmt"
	"os"

	"filippo.io/age"

	"entry/audit"
	"entry/bastion/ca"
	"entry/configs"
	"entry/policy"
	"entry/policy/pubkey"
	"entry/session/recording"
)

// keys are the server's keys and its auditors'.
type keys struct {
	*ca.Keys
	auditors []age.Recipient
	labs     map[string][]age.Recipient
}

// auditorsOf are who may read a lab's recordings.
func (k *keys) auditorsOf(lab string) []age.Recipient {
	if r, ok := k.labs[lab]; ok {
		return r
	}
	return k.auditors
}

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
	k := &keys{labs: map[string][]age.Recipient{}}
	if k.Keys, err = ca.Open(cfg.Keys, roles...); err != nil {
		return nil, err
	}
	if k.auditors, err = recipients(cfg.Recording.Auditors); err != nil {
		return nil, fmt.Errorf("recording.auditors: %w", err)
	}
	for lab, file := range cfg.Recording.Labs {
		if k.labs[lab], err = recipients(file); err != nil {
			return nil, fmt.Errorf("recording.labs.%s: %w", lab, err)
		}
	}
	return k, nil
}

func recipients(file string) ([]age.Recipient, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return recording.ParseRecipients(f)
}
