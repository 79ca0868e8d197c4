package main

import (
	"github.com/spf13/cobra"

	"entry/policy/compare"
)

func policyDiffCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Say who gains and who loses what from one policy to another",
		Long: `Compare two policies, each a directory or a file, by what they mean: who gains
and loses which capability on which target, under which conditions, and what
changes in recording, limits, accounts and targets. How the files say it makes
no difference. --json names everybody; lines for people shorten long lists.`,
		Example: "  entry policy diff /etc/entry/policy.d new",
		Args:    usageArgs(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			old, err := policyOf(cmd, args[:1])
			if err != nil {
				return err
			}
			now, err := policyOf(cmd, args[1:])
			if err != nil {
				return err
			}
			changes := compare.Diff(old, now)
			if len(changes) == 0 {
				return sayPolicy(cmd, "nothing changes for anybody")
			}
			return printEach(cmd, changes, compare.Change.String)
		},
	}
}
