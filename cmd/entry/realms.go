package main

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
		l := c.LDAP
		o := realm.Options{Name: c.Name, Where: c.Where, URL: l.URL, StartTLS: l.StartTLS, CAFile: l.CA, ServerName: l.ServerName, BindDN: l.BindDN, Timeout: l.Timeout}
		if l.Search != nil {
			o.Search = &realm.Search{Base: l.Search.Base, Filter: l.Search.Filter, BindDN: l.Search.BindDN, PasswordFile: l.Search.PasswordFile}
		}
		if l.Groups != nil {
			o.Groups = &realm.Groups{Base: l.Groups.Base, Filter: l.Groups.Filter, Attribute: l.Groups.Attribute}
		}
		r, err := realm.New(o)
		if err != nil {
			return nil, &exitError{code: exitUsage, err: err}
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
	s, err := gateway.NewSMS(gateway.SMSOptions{Endpoint: endpoint(cfg.SMS.Endpoint), Body: cfg.SMS.Body})
	if err != nil {
		return nil, &exitError{code: exitUsage, err: err}
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
