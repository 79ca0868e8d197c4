//go:build linux

package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"entry/bastion/access"

	"github.com/spf13/cobra"
)

func approveCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "approve [ID]",
		Short: "Approve somebody's access, or list who waits",
		Long: `Approve a request under a rule that asks for approval. You approve under the name
of your account on this machine, which the rule has to name; nobody approves
their own request. Both names stand in the audit log. Approvers with an account
at entry can do the same from anywhere: ssh entry approve.`,
		Example: "  entry approve\n  entry approve k3f9a2xq",
		Args:    usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			o, err := runningServer(cmd)
			if err != nil {
				return err
			}
			defer func() {
				if cerr := o.Close(); err == nil {
					err = cerr
				}
			}()
			if len(args) == 1 {
				var r access.ApprovalRequest
				if err := o.call(cmd.Context(), http.MethodPost, "/v1/approvals/"+url.PathEscape(args[0]), nil, &r); err != nil {
					return err
				}
				fmt.Printf("Approved: %s on %s, %d of %d, for %s.\n", r.User, r.Target, len(r.By), r.Need, r.For)
				return nil
			}
			var all []access.ApprovalRequest
			if err := o.call(cmd.Context(), http.MethodGet, "/v1/approvals", nil, &all); err != nil {
				return err
			}
			if asJSON(cmd) {
				return eachJSON(all)
			}
			for _, r := range all {
				fmt.Printf("%s  %s on %s from %s; approved by %d of %d; approvers: %s; waits until %s\n",
					r.ID, r.User, r.Target, r.Source, len(r.By), r.Need, strings.Join(r.Approvers, ", "), r.Until.UTC().Format("15:04 UTC"))
			}
			if len(all) == 0 {
				fmt.Println("Nobody waits for approval.")
			}
			return nil
		},
	}
	cmd.Flags().Bool("json", false, "one JSON object a line")
	return cmd
}
