//go:build linux

package site

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"entry/audit/plain"
	"entry/bastion/admin"
	"entry/bastion/identity"
	"entry/configs"
	"entry/policy"
)

// CheckAccounts says how accounts, policy and the disk for recordings disagree, of the
// running server that cfg describes or of what a start would find. Before the first server
// or verb there are no accounts to ask for. The error is that with which a server wouldn't
// start.
func CheckAccounts(ctx context.Context, cfg *configs.Config, p *policy.Policy) (warnings []string, err error) {
	c, warnings, err := Look(ctx, cfg)
	switch {
	case errors.Is(err, ErrUnasked):
		return []string{"the accounts were not held against the policy: " + err.Error()}, nil
	case err != nil:
		return nil, err
	case c == nil:
		return nil, nil
	}
	var users []identity.UserInfo
	var unread []string // of a running server; what a start would say is in warnings
	if err := c.Call(Self(ctx), http.MethodGet, "/v1/unread", nil, &unread); err != nil {
		unread = []string{"whether the database was held against all logs can't be asked: " + said(err)}
	}
	warnings = append(warnings, unread...)
	if err := errors.Join(c.Call(Self(ctx), http.MethodGet, "/v1/users", nil, &users), c.Close()); err != nil {
		return append(warnings, "the accounts were not held against the policy: "+said(err)), nil
	}
	if room := Room(cfg, len(users)); room != "" {
		warnings = append(warnings, room)
	}
	return append(warnings, admin.Warnings(users, p, cfg.SMS != nil)...), nil
}

// said is what an operation says of why it failed.
func said(err error) string {
	var refused *admin.Error
	if errors.As(err, &refused) {
		return refused.Text
	}
	return err.Error()
}

// CheckRetention says which labs' recordings are kept longer than the policy says.
func CheckRetention(cfg *configs.Config, p *policy.Policy) (warnings []string) {
	for _, l := range p.Labs() {
		switch keep := cfg.Audit.Keep; {
		case keep > 0 && l.Retention == 0:
			warnings = append(warnings, fmt.Sprintf("lab %s keeps recordings for ever, and so the audit log is kept, whatever audit.keep says: give the lab a retention", l.Name))
		case keep > 0 && max(l.Retention, cfg.Recording.KeepAtLeast) > keep:
			warnings = append(warnings, fmt.Sprintf("lab %s keeps recordings for %s, and the audit log is kept as long, not for audit.keep's %s", l.Name, plain.Span(max(l.Retention, cfg.Recording.KeepAtLeast)), plain.Span(keep)))
		}
		if l.Retention > 0 && l.Retention < cfg.Recording.KeepAtLeast {
			warnings = append(warnings, fmt.Sprintf("lab %s keeps recordings for %s by the policy, but entry.yaml's recording.keep_at_least for %s, which stands", l.Name, plain.Span(l.Retention), plain.Span(cfg.Recording.KeepAtLeast)))
		}
	}
	return warnings
}
