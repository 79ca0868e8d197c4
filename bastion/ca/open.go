package ca

import (
	"fmt"

	"entry/configs"
)

// Keys are entry's own keys, opened.
type Keys struct {
	HostCA *HostCA
	UserCA *UserCA
	Hosts  *HostKeys
}

// Open opens the keys that c names and refuses one with two roles; others are the
// roles of keys that aren't entry's to sign with. It may block for as long as an
// agent does, 5 s a key. The errors name the setting.
func Open(c configs.Keys, others ...Role) (*Keys, error) {
	k := &Keys{}
	var err error
	if k.HostCA, err = OpenHostCA(c.HostCA); err != nil {
		return nil, fmt.Errorf("keys.host_ca: %w", err)
	}
	user, err := openAuthority(c.UserCA)
	if err != nil {
		return nil, fmt.Errorf("keys.user_ca: %w", err)
	}
	if k.UserCA, err = NewUserCA(user); err != nil {
		return nil, err
	}
	own := []Role{{Name: "client-facing host CA", Key: k.HostCA.PublicKey()}, {Name: "upstream user CA", Key: k.UserCA.PublicKey()}}
	if err := distinctKeys(append(own, others...)...); err != nil {
		return nil, err
	}
	if k.Hosts, err = OpenHostKeys(HostKeysOptions{Dir: c.Directory, CA: k.HostCA}); err != nil {
		return nil, fmt.Errorf("keys.directory: %w", err)
	}
	return k, nil
}

// OpenHostCA opens the CA that vouches for entry's names, or knows it by its
// public key where it is kept offline.
func OpenHostCA(c configs.CA) (*HostCA, error) {
	if c.Offline() {
		key, err := LoadPublic(c.PublicKey)
		if err != nil {
			return nil, err
		}
		return offlineHostCA(key)
	}
	a, err := openAuthority(c)
	if err != nil {
		return nil, err
	}
	return NewHostCA(a)
}

func openAuthority(c configs.CA) (*Authority, error) {
	if c.Agent != "" {
		return fromAgent(c.Agent, c.PublicKey)
	}
	return loadFile(c.File)
}
