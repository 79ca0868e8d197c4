//go:build linux

package main

import (
	"cmp"
	"fmt"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"entry/audit/plain"
	"entry/bastion/admin"
	"entry/bastion/identity"
	"entry/configs"
	"entry/policy"
)

func listTexted(users []identity.UserInfo) error {
	w := plain.NewTable(os.Stdout)
	w.Row("USER", "NUMBER", "UNTIL", "LAST LOGIN")
	for _, u := range users {
		w.Row(u.Name, u.Phone, plain.Minute(u.SMSUntil), plain.Minute(u.LastLogin))
	}
	return w.Flush()
}

func userLsCmd() *cobra.Command {
	waiting, texted := false, false
	cmd := &cobra.Command{Use: "ls", Short: "List users", Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withAnswers(cmd, func(_ *configs.Config, o *operator) error {
				var users []identity.UserInfo
				if err := o.call(cmd.Context(), http.MethodGet, "/v1/users", nil, &users); err != nil {
					return err
				}
				if waiting {
					users = slices.DeleteFunc(users, func(u identity.UserInfo) bool { return !admin.Pending(u) })
				}
				if texted {
					users = slices.DeleteFunc(users, func(u identity.UserInfo) bool { return !admin.BySMS(u) })
				}
				if asJSON(cmd) {
					return printJSON(cmd, users...)
				}
				if texted {
					return listTexted(users)
				}
				w := plain.NewTable(os.Stdout)
				w.Row("USER", "STATE", "AUTHENTICATORS", "KEYS", "LAST LOGIN", "ENDS", "REALM")
				for _, u := range users {
					w.Row(u.Name, admin.State(u, time.Now()), admin.Devices(u), fmt.Sprint(len(u.Keys)), plain.Minute(u.LastLogin), plain.Minute(u.Ends), cmp.Or(u.Realm, "none"))
				}
				return w.Flush()
			})
		}}
	cmd.Flags().BoolVar(&waiting, "pending", false, "only those who have yet to log in for the first time")
	cmd.Flags().BoolVar(&texted, "sms", false, "only those whose codes go by SMS: to which number, and until when")
	return cmd
}

func userShowCmd() *cobra.Command {
	return &cobra.Command{Use: "show USER", Short: "Show one user, locks and failed logins, and what they wait for",
		Long: `Show one user, their locks and failed logins, and what they wait for. Failures and
locks of an address are known to the server that saw them alone: where several have
one database, ask at each (--config). What counts by account or key is the same at all.`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := userPath(args[0])
			if err != nil {
				return err
			}
			return withAnswers(cmd, func(cfg *configs.Config, o *operator) error {
				var u identity.UserInfo
				if err := o.call(cmd.Context(), http.MethodGet, path, nil, &u); err != nil {
					return err
				}
				var f admin.Failures
				if err := o.call(cmd.Context(), http.MethodGet, path+"/failures", nil, &f); err != nil {
					return err
				}
				if asJSON(cmd) {
					return printJSON(cmd, struct {
						identity.UserInfo
						admin.Failures
					}{u, f})
				}
				t := admin.Account{UserInfo: u, Failures: f}
				if p, err := policy.Load(cfg.Policy); err == nil {
					t.Labs, t.Policy = p.LabsOf(u.Name), true
				}
				t.Tell(os.Stdout, time.Now())
				return nil
			})
		}}
}
