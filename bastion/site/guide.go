//go:build linux

package site

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

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
	p, err := policy.Load(cfg.Policy)
	if err != nil {
		return nil, wrong(err)
	}
	facts, err := guideFacts(cfg, p, user)
	if err != nil {
		return nil, err
	}
	return newPages(facts)
}

// guideFacts are what is known of this server and the user. Nobody knows yet
// from where the user will come, nor a directory's groups.
func guideFacts(cfg *configs.Config, p *policy.Policy, user identity.UserInfo) (guide.Facts, error) {
	f, err := serverFacts(cfg)
	now := time.Now()
	f.User, f.Targets = user.Name, portal.Targets(access.Places(p, access.Expected(user, now), now))
	return f, err
}

// serverFacts are those of no user.
func serverFacts(cfg *configs.Config) (guide.Facts, error) {
	host, err := ca.OpenHostCA(cfg.Keys.HostCA)
	if err != nil {
		return guide.Facts{}, fmt.Errorf("keys.host_ca: %w", err)
	}
	f := guide.Facts{
		Name: cfg.Name, HostCA: strings.TrimSpace(string(ssh.MarshalAuthorizedKey(host.PublicKey()))), LoginTime: cfg.Login.Grace,
		Remembered: cfg.Login.Remembered.Lifetime, Invited: cfg.Login.TemporaryPassphrase, Contact: cfg.Guides.Contact,
	}
	return f, f.At(cfg.Dialled())
}
