//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"entry/audit/plain"
	"entry/bastion/admin"
	"entry/bastion/identity"
	"entry/bastion/site"
	"entry/configs"
	"entry/policy"
	"entry/policy/strict"
)

func checkCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Check the configuration, the policy and its tests, and the keys",
		Long: `Check the configuration, the policy with its tests, and the keys, and change
nothing. Every problem of a file is named with its line. Where no server runs, the
audit log and the database are looked at as well: what a start would refuse of them
(a log that was rotated, changed, or put back older than the database or its
witness) is said here in the same words, with exit code 1, as is a full or read-only
disk of the database, the log, its witness or the recordings. Warnings are on standard
error and don't change the exit code: among them, what a start will take away again
because the database is older than the log, members of a lab without an account, accounts in no lab, with the names that are likely misspelt, public keys that
several accounts have, a disk of recordings with less than a day's share for each
account, other servers' logs that a database which was put back hasn't been held
against, and witnesses that can't be reached, don't know the log or run on this
machine.

The last line is for users' known_hosts: with it they see no host-key warning.`,
		Example: "  entry check --dir /etc/entry\n  entry check --dir /etc/entry && systemctl reload entry",
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			p, err := loadPolicy(cfg)
			if err != nil {
				return err
			}
			found, err := site.Check(cfg, p)
			if err != nil {
				return err
			}
			for _, w := range p.Warnings() {
				fmt.Fprintln(os.Stderr, w.Error())
			}
			for _, w := range found.Warnings {
				fmt.Fprintln(os.Stderr, "warning:", w)
			}
			unwitnessed, err := site.CheckWitnesses(cmd.Context(), cfg)
			for _, w := range unwitnessed {
				fmt.Fprintln(os.Stderr, "warning:", w)
			}
			if err != nil {
				return err
			}
			astray, err := strays(cmd.Context(), cfg, p)
			if err != nil {
				return err
			}
			for _, w := range astray {
				fmt.Fprintln(os.Stderr, "warning:", w)
			}
			for _, l := range p.Labs() {
				if l.Retention > 0 && l.Retention < cfg.Recording.KeepAtLeast {
					fmt.Fprintf(os.Stderr, "warning: lab %s keeps recordings for %s by the policy, but entry.yaml's recording.keep_at_least for %s, which stands\n", l.Name, plain.Span(l.Retention), plain.Span(cfg.Recording.KeepAtLeast))
				}
			}
			fmt.Printf("ok: %s, policy %s\n", plain.Count(len(p.Targets()), "target"), p.Hash())
			fmt.Print("For users' known_hosts:\n", found.KnownHosts)
			return nil
		},
	}
}

// mostStrays bounds how many names a warning has.
const mostStrays = 20

// strays says how accounts and policy disagree. Before the first server or verb
// there are no accounts to ask for. The error is that with which a server wouldn't
// start.
func strays(ctx context.Context, cfg *configs.Config, p *policy.Policy) (warnings []string, err error) {
	c, warnings, err := site.Look(ctx, cfg)
	switch {
	case errors.Is(err, site.ErrUnasked):
		return []string{"the accounts were not held against the policy: " + err.Error()}, nil
	case err != nil:
		return nil, err
	case c == nil:
		return nil, nil
	}
	o := &operator{c}
	var users []identity.UserInfo
	err = errors.Join(o.call(ctx, http.MethodGet, "/v1/users", nil, &users), o.Close())
	if err != nil {
		return append(warnings, "the accounts were not held against the policy: "+err.Error()), nil
	}
	if room := site.Room(cfg, len(users)); room != "" {
		warnings = append(warnings, room)
	}
	s := admin.Compare(users, p)
	var missing []string
	for _, name := range s.Missing {
		if near := strict.DidYouMean(name, s.Nowhere); near != "" {
			warnings = append(warnings, fmt.Sprintf("the policy names %s, who has no account%s That account is in no lab", name, near))
			continue
		}
		missing = append(missing, name)
	}
	if len(missing) > 0 {
		warnings = append(warnings, "named by the policy and without an account: "+plain.List(missing, mostStrays))
	}
	if len(s.Nowhere) > 0 {
		warnings = append(warnings, "accounts in no lab, so a login leads nowhere: "+plain.List(s.Nowhere, mostStrays))
	}
	var stranded []string
	for _, u := range users {
		if cfg.SMS == nil && u.CodeBySMS {
			stranded = append(stranded, u.Name)
		}
	}
	if len(stranded) > 0 {
		warnings = append(warnings, "codes go by SMS, for which entry.yaml has no gateway (sms), so these can't log in: "+plain.List(stranded, mostStrays))
	}
	return append(warnings, sharedKeys(users)...), nil
}

// sharedKeys names the public keys that several accounts have: who logs in with one
// isn't known by it alone. A reason is said for those whom an operator gave it for, and
// for the one who had the key before.
func sharedKeys(users []identity.UserInfo) (warnings []string) {
	holders := map[string]*keyHolders{}
	for _, u := range users {
		for _, k := range u.Keys {
			h := holders[k.Fingerprint]
			if h == nil {
				h = &keyHolders{by: map[string][]string{}}
				holders[k.Fingerprint] = h
			}
			h.n++
			switch {
			case k.Shared != "":
				h.by[plain.Text(k.Shared)] = append(h.by[plain.Text(k.Shared)], u.Name)
			case !k.Proven.IsZero():
				h.owner = append(h.owner, u.Name)
			default:
				h.claims = append(h.claims, u.Name)
			}
		}
	}
	for _, print := range slices.Sorted(maps.Keys(holders)) {
		if h := holders[print]; h.n > 1 {
			warnings = append(warnings, fmt.Sprintf("the key %s is shared by %s", print, h))
		}
	}
	return warnings
}

// keyHolders are the accounts that have one key.
type keyHolders struct {
	n             int
	by            map[string][]string // that share it, by why
	owner, claims []string            // that have shown it first, and that have not
}

func (h *keyHolders) String() string {
	const nobody = "nobody has said why; whoever logs in with it first keeps it"
	reasons := slices.Sorted(maps.Keys(h.by))
	var parts []string
	switch {
	case len(reasons) == 1:
		names := slices.Concat(h.owner, h.by[reasons[0]])
		slices.Sort(names)
		parts = append(parts, plain.List(names, mostStrays)+": "+reasons[0])
	default:
		if len(h.owner) > 0 {
			parts = append(parts, plain.List(h.owner, mostStrays)+", whose it is")
		}
		for _, why := range reasons {
			parts = append(parts, plain.List(h.by[why], mostStrays)+": "+why)
		}
	}
	if len(h.claims) > 0 {
		parts = append(parts, plain.List(h.claims, mostStrays)+": "+nobody)
	}
	return strings.Join(parts, "; ")
}
