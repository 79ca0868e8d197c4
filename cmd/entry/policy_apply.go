//go:build linux

package main

import (
	"fmt"
	"net/http"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"entry/audit/plain"
	"entry/bastion/admin"
)

func policyApplyCmd() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "apply",
		Short: "Put the policy files in force on the running server",
		Long: `Have the running server read and test the policy files and put them in force.

Live sessions that would end are named first, and you are asked; --yes doesn't
ask. A bad policy leaves the last good one in force. The audit log shows the
hash and who applied it. SIGHUP does the same without asking, but refuses a
policy that would end more than 10 % of the live sessions.`,
		Example: "  entry policy apply\n  entry policy apply --yes",
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withServer(cmd, startIt, func(o *operator) error { return applyPolicy(cmd, o, yes) })
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "don't ask")
	return cmd
}

// startIt is what to do where no server runs.
const startIt = "start it with entry serve; it reads the policy then"

func applyPolicy(cmd *cobra.Command, o *operator, yes bool) error {
	var v admin.PolicyPreview
	if err := o.call(cmd.Context(), http.MethodGet, "/v1/policy/preview", nil, &v); err != nil {
		return err
	}
	if asJSON(cmd) {
		if err := printJSON(cmd, v); err != nil {
			return err
		}
	} else {
		showPreview(v)
	}
	if len(v.Ends) > 0 && !yes {
		if !term.IsTerminal(int(os.Stdin.Fd())) {
			return hinted(failf(exitDenied, "nothing was applied: there is no terminal to ask on"), "--yes ends the sessions above and applies")
		}
		if ok, err := asked("End them and apply? [y/N] "); err != nil || !ok {
			return failf(exitDenied, "nothing was applied")
		}
	}
	if err := o.call(cmd.Context(), http.MethodPost, "/v1/policy/apply", map[string]string{"hash": v.Hash}, nil); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "in force: %s\n", v.Hash)
	return nil
}

// showPreview says what applying would do, in people's terms.
func showPreview(v admin.PolicyPreview) {
	for _, w := range v.Warnings {
		fmt.Fprintln(os.Stderr, w)
	}
	if len(v.NewHosts) > 0 {
		fmt.Fprintf(os.Stderr, "New to users' known_hosts: %s. entry check prints the line that has all.\n", plain.List(v.NewHosts, 10))
	}
	if v.Hash == v.InForce {
		fmt.Println("The server's policy files are in force already.")
	}
	if len(v.Ends) == 0 {
		fmt.Println("No live session would end.")
		return
	}
	fmt.Printf("%d of %d live sessions would end.\n", len(v.Ends), v.Live)
	for _, s := range v.Ends {
		fmt.Printf("  %s  %s on %s from %s, since %s\n", s.ID, s.User, s.Target, s.Source, plain.Moment(s.Started))
	}
}
