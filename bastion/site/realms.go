//go:build linux

package site

import (
	"entry/bastion/gateway"
	"entry/bastion/identity"
	"entry/bastion/realm"
	"entry/configs"
)

// openRealms makes the directories that judge passphrases. It connects to none.
func openRealms(cfg *configs.Config) (map[string]identity.FirstFactor, error) {
	all := map[string]identity.FirstFactor{}
	for _, c := range cfg.Realms {
		r, err := realm.New(realm.Options{Realm: c})
		if err != nil {
			return nil, wrong(err)
		}
		all[c.Name] = r
	}
	return all, nil
}

// openTexter makes what sends codes by SMS; nil without a gateway.
func openTexter(cfg *configs.Config) (identity.Texter, error) {
	if cfg.SMS == nil {
		return nil, nil
	}
	s, err := gateway.NewSMS(*cfg.SMS)
	if err != nil {
		return nil, wrong(err)
	}
	return s, nil
}

// checkOutside is what serve would refuse of the settings for what is outside.
func checkOutside(cfg *configs.Config) error {
	if _, err := openRealms(cfg); err != nil {
		return err
	}
	if _, err := openTexter(cfg); err != nil {
		return err
	}
	return checkNotices(cfg)
}
