//go:build linux

package site

import (
	"fmt"

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

// maxTermsFile bounds the file of the user agreement, in bytes, well above what
// identity takes of its text.
const maxTermsFile = 64 << 10

// readTerms reads the user agreement; "" for none.
func readTerms(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	text, err := configs.ReadFile(path, maxTermsFile)
	if err != nil {
		return "", hinted(fmt.Errorf("login.terms: %w", err), "put the text of the user agreement there, or leave the setting empty")
	}
	if err := identity.CheckTerms(string(text)); err != nil {
		return "", hinted(fmt.Errorf("login.terms: %s: %w", path, err), "it is shown in the login as it stands")
	}
	return string(text), nil
}

// checkOutside is what serve would refuse of the settings for what is outside.
func checkOutside(cfg *configs.Config) error {
	if _, err := openRealms(cfg); err != nil {
		return err
	}
	if _, err := openTexter(cfg); err != nil {
		return err
	}
	if _, err := readTerms(cfg.Login.Terms); err != nil {
		return err
	}
	return checkNotices(cfg)
}
