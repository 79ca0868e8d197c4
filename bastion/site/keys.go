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
	hosts    *ca.HostKeys
	user     *ca.UserCA
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
	host, err := hostCA(cfg.Keys.HostCA)
	if err != nil {
		return nil, fmt.Errorf("keys.host_ca: %w", err)
	}
	userAuthority, err := authority(cfg.Keys.UserCA)
	if err != nil {
		return nil, fmt.Errorf("keys.user_ca: %w", err)
	}
	k := &keys{labs: map[string][]age.Recipient{}}
	if k.user, err = ca.NewUserCA(userAuthority); err != nil {
		return nil, err
	}
	roles := []ca.Role{{Name: "client-facing host CA", Key: host.PublicKey()}, {Name: "upstream user CA", Key: k.user.PublicKey()}}
	verifier, err := audit.ReadKey(cfg.Audit.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("audit.public_key: %w", err)
	}
	logKey, err := ca.NoteKey(verifier)
	if err != nil {
		return nil, fmt.Errorf("audit.public_key: %w", err)
	}
	roles = append(roles, ca.Role{Name: "audit log", Key: logKey})
	for _, t := range p.Targets() {
		for _, line := range t.HostCAs {
			key, err := pubkey.ParseHost(line)
			if err != nil {
				return nil, fmt.Errorf("host CA of %s: %w", t.FullName(), err)
			}
			roles = append(roles, ca.Role{Name: "host CA of targets", Key: key})
		}
	}
	if err := ca.DistinctKeys(roles...); err != nil {
		return nil, err
	}
	if k.hosts, err = ca.OpenHostKeys(ca.HostKeysOptions{Dir: cfg.Keys.Directory, CA: host}); err != nil {
		return nil, fmt.Errorf("keys.directory: %w", err)
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

// hostCA opens the CA that vouches for entry's names, or knows it by its
// public key when it is offline.
func hostCA(c configs.CA) (*ca.HostCA, error) {
	if c.Offline() {
		key, err := ca.LoadPublic(c.PublicKey)
		if err != nil {
			return nil, err
		}
		return ca.OfflineHostCA(key)
	}
	a, err := authority(c)
	if err != nil {
		return nil, err
	}
	return ca.NewHostCA(a)
}

func authority(c configs.CA) (*ca.Authority, error) {
	if c.Agent != "" {
		return ca.FromAgent(c.Agent, c.PublicKey)
	}
	return ca.LoadFile(c.File)
}

func recipients(file string) ([]age.Recipient, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return recording.ParseRecipients(f)
}
