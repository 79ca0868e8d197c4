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
	next, err := OpenNext(c.UserCA)
	if err != nil {
		return nil, fmt.Errorf("the CA that is to follow on keys.user_ca (entry keys rotate user-ca --abort gives it up): %w", err)
	}
	if next != nil {
		if err := k.UserCA.Follow(next); err != nil {
			return nil, err
		}
		others = append(others, Role{Name: "next upstream user CA", Key: next.PublicKey()})
	}
	if next := k.HostCA.Next(); next != nil {
		others = append(others, Role{Name: "next client-facing host CA", Key: next})
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
	h, err := openHostCA(c)
	if err != nil {
		return nil, err
	}
	if err := h.Reopen(c); err != nil {
		return nil, fmt.Errorf("the CA that is to follow (entry keys rotate host-ca --abort gives it up): %w", err)
	}
	return h, nil
}

func openHostCA(c configs.CA) (*HostCA, error) {
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
