package main

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/bastion"
	"entry/bastion/guide"
	"entry/configs"
	"entry/policy"
)

// makeGuides makes a user's personal access guide, as a page and as text, from
// the files that the server reads.
func makeGuides(cfg *configs.Config, user string) ([]*page, error) {
	p, err := policy.Load(cfg.Policy)
	if err != nil {
		return nil, &exitError{code: exitUsage, err: err}
	}
	facts, err := guideFacts(cfg, p, user)
	if err != nil {
		return nil, err
	}
	html, text := &page{suffix: ".html"}, &page{suffix: ".txt"}
	if err := guide.HTML(&html.body, facts); err != nil {
		return nil, err
	}
	return []*page{html, text}, guide.Text(&text.body, facts)
}

// guideFacts are what is known of this server and the user. Nobody knows yet
// from where the user will come.
func guideFacts(cfg *configs.Config, p *policy.Policy, user string) (guide.Facts, error) {
	host, err := hostCA(cfg.Keys.HostCA)
	if err != nil {
		return guide.Facts{}, fmt.Errorf("keys.host_ca: %w", err)
	}
	f := guide.Facts{
		Name: cfg.Name, Server: cfg.Name, User: user,
		HostCA:  strings.TrimSpace(string(ssh.MarshalAuthorizedKey(host.PublicKey()))),
		Targets: bastion.GuideTargets(p, user, netip.Addr{}, time.Now()), LoginTime: cfg.Login.Grace,
		Remembered: cfg.Login.Remembered.Lifetime, Invited: cfg.Login.TemporaryPassphrase, Contact: cfg.Guides.Contact,
	}
	if address := dialled(cfg); address != "" {
		f.Server = address
		if h, port, err := net.SplitHostPort(address); err == nil {
			n, err := strconv.ParseUint(port, 10, 16)
			if err != nil {
				return guide.Facts{}, fmt.Errorf("address %q: %w", address, err)
			}
			f.Server, f.Port = h, int(n)
		}
	}
	return f, nil
}
