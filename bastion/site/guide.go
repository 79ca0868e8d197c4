//go:build linux

package site

import (
	"fmt"
	"net"
	"strings"
	"time"

	"entry/audit/refusal"
	"entry/bastion/access"
	"entry/bastion/ca"
	"entry/bastion/guide"
	"entry/bastion/identity"
	"entry/bastion/portal"
	"entry/configs"
	"entry/policy"
)

// Guide makes a user's personal access guide from the files that the server
// reads.
func Guide(cfg *configs.Config, user identity.UserInfo) (*Pages, error) {
	of, err := Guides(cfg)
	if err != nil {
		return nil, err
	}
	return of(user)
}

// Guides is Guide for many users, which reads the files once.
func Guides(cfg *configs.Config) (func(user identity.UserInfo) (*Pages, error), error) {
	p, err := policy.Load(cfg.Policy)
	if err != nil {
		return nil, wrong(err)
	}
	server, err := serverFacts(cfg)
	if err != nil {
		return nil, err
	}
	return func(user identity.UserInfo) (*Pages, error) { return newPages(personal(server, p, user)) }, nil
}

// personal adds what is known of the user to the facts of the server. Nobody knows
// yet from where the user will come, nor a directory's groups.
func personal(f guide.Facts, p *policy.Policy, user identity.UserInfo) guide.Facts {
	now := time.Now()
	f.User, f.Targets = user.Name, portal.Targets(access.Places(p, access.Expected(user, now), now), refusal.Contact(f.Contact))
	return f
}

// serverFacts are those of no user.
func serverFacts(cfg *configs.Config) (guide.Facts, error) {
	host, err := ca.OpenHostCA(cfg.Keys.HostCA)
	if err != nil {
		return guide.Facts{}, fmt.Errorf("keys.host_ca: %w", err)
	}
	next := ""
	if key := host.Next(); key != nil {
		next = authorized(key)
	}
	f := guide.Facts{
		Name: cfg.Name, HostCA: authorized(host.PublicKey()), NextHostCA: next, LoginTime: cfg.Login.Grace,
		Remembered: cfg.Login.Remembered.Lifetime, Invited: cfg.Login.TemporaryPassphrase, Contact: cfg.Guides.Contact,
	}
	name, _, err := net.SplitHostPort(cfg.Dialled())
	if err != nil {
		name = cfg.Dialled()
	}
	if name == "" && strings.Contains(cfg.Name, ".") {
		name = cfg.Name // which is what users dial then
	}
	f.Unreachable = nobodyDials(name)
	return f, f.At(cfg.Dialled())
}
