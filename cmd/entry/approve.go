//go:build linux

package main

import (
	"fmt"
	"net/http"
	"net/url"

	"entry/bastion/access"

	"github.com/spf13/cobra"
)

func approveCmd() *cobra.Command {
	var (
		given    bool
		withdraw string
	)
	cmd := &cobra.Command{
		Use:   "approve [ID]",
		Short: "Approve somebody's access, or list who waits",
		Long: `Approve a request under a rule that asks for approval. You approve under the name
of your account on this machine, which the rule has to name; nobody approves
their own request. Who became root counts as the account they logged in to; log
and listings say "as root". Both names stand in the audit log. Approvers with an
account at entry can do the same from anywhere: ssh entry approve.

--given lists what was approved and still holds, with the sessions that used it.
--withdraw takes back what was approved under an ID, whoever gave it: what was
opened by it ends within two seconds, or loses what only the approval gave. The
approvers themselves can do that with: ssh entry approve withdraw ID.`,
		Example: "  entry approve\n  entry approve k3f9a2xq\n  entry approve --given\n  entry approve --withdraw k3f9a2xq",
		Args:    usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) == 1 && given:
				return failf(exitUsage, "--given lists approvals; it takes no ID")
			case cmd.Flags().Changed("withdraw") && (len(args) == 1 || given):
				return failf(exitUsage, "--withdraw ID takes back one approval; it goes with nothing else")
			}
			return withServer(cmd, startIt, func(o *operator) error {
				switch {
				case cmd.Flags().Changed("withdraw"):
					return withdrawApproval(cmd, o, withdraw)
				case given:
					return listGiven(cmd, o)
				case len(args) == 0:
					return listWaiting(cmd, o)
				}
				var r access.ApprovalRequest
				if err := o.call(cmd.Context(), http.MethodPost, "/v1/approvals/"+url.PathEscape(args[0]), nil, &r); err != nil {
					return err
				}
				fmt.Println(r.Done())
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&given, "given", false, "list the approvals in force")
	cmd.Flags().StringVar(&withdraw, "withdraw", "", "take back the approval with this ID")
	cmd.Flags().Bool("json", false, "one JSON object a line")
	return cmd
}

// listWaiting prints who waits for approval.
func listWaiting(cmd *cobra.Command, o *operator) error {
	var all []access.ApprovalRequest
	if err := o.call(cmd.Context(), http.MethodGet, "/v1/approvals", nil, &all); err != nil {
		return err
	}
	if asJSON(cmd) {
		return printJSON(cmd, all...)
	}
	for _, r := range all {
		fmt.Println(r.Line())
	}
	if len(all) == 0 {
		fmt.Println("Nobody waits for approval.")
	}
	return nil
}

// listGiven prints the approvals in force.
func listGiven(cmd *cobra.Command, o *operator) error {
	var all []access.GivenApproval
	if err := o.call(cmd.Context(), http.MethodGet, "/v1/approvals/given", nil, &all); err != nil {
		return err
	}
	if asJSON(cmd) {
		return printJSON(cmd, all...)
	}
	for _, a := range all {
		fmt.Println(a.Line())
	}
	if len(all) == 0 {
		fmt.Println("No approval is in force.")
	}
	return nil
}

// withdrawApproval takes back what was approved under an ID.
func withdrawApproval(cmd *cobra.Command, o *operator, id string) error {
	if id == "" {
		return failf(exitUsage, "--withdraw wants an ID; entry approve --given lists them")
	}
	var all []access.GivenApproval
	if err := o.call(cmd.Context(), http.MethodDelete, "/v1/approvals/"+url.PathEscape(id), nil, &all); err != nil {
		return err
	}
	if asJSON(cmd) {
		return printJSON(cmd, all...)
	}
	for _, a := range all {
		fmt.Println(a.Withdrawn())
	}
	return nil
}
