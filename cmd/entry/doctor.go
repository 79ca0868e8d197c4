//go:build linux

package main

import (
	"net/http"
	"net/url"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"entry/bastion/admin"
	"entry/configs"
)

func doctorCmd() *cobra.Command {
	var from string
	cmd := &cobra.Command{
		Use:   "doctor USER",
		Short: "Show what stands in a user's way",
		Long: `Show in one screen how a user's account stands, what went wrong for them lately,
what they may reach now and why not, and whether those machines answer with the
host key on record. The same failure is one line, with how often it came and from
how many addresses.

Rules about networks are judged for the address that --from names; without it
they may show as refusals. A directory's groups are those that it told a running
server lately, or tells now; where nobody can tell, that is said. Targets are tried
only while a server runs, from where it runs; no login is made. Exit status 1 says
that something stands in the way: of logins, of which locks elsewhere are no part
once --from says where, or at a target that policy opens. 3 says that only the
policy does: no target opens, as far as groups are known.`,
		Example: "  entry doctor alice\n  entry doctor alice --from 192.0.2.7",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := userPath(args[0])
			if err != nil {
				return err
			}
			if from != "" {
				from = "?from=" + url.QueryEscape(from)
			}
			return withAnswers(cmd, func(_ *configs.Config, o *operator) error {
				var d admin.Diagnosis
				if err := o.call(cmd.Context(), http.MethodGet, path+"/doctor"+from, nil, &d); err != nil {
					return err
				}
				if asJSON(cmd) {
					return printJSON(cmd, d)
				}
				if d.Tell(os.Stdout, time.Now()) {
					return failf(exitFailure, "something stands in %s's way", d.User.Name)
				}
				if !slices.ContainsFunc(d.Places, func(p admin.Place) bool { return p.Denied == "" }) {
					return failf(exitDenied, "no target opens for %s%s%s", d.User.Name, map[bool]string{true: " from " + d.From}[d.From != ""],
						map[bool]string{true: ", as far as their groups are known"}[d.Ungrouped != ""])
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "the `ADDRESS` that the user comes from")
	cmd.Flags().Bool("json", false, "one JSON object")
	return cmd
}
