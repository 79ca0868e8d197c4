package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"entry/policy/compare"
)

// changeLine is diff's --json line.
type changeLine struct {
	Aspect     string   `json:"aspect"`
	Users      []string `json:"users,omitempty"`
	Targets    []string `json:"targets"`
	Capability string   `json:"capability,omitempty"`
	Old        string   `json:"old,omitempty"`
	New        string   `json:"new,omitempty"`
}

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
			lines, err := jsonLines(cmd)
			if err != nil {
				return err
			}
			changes := compare.Diff(old, now)
			for _, c := range changes {
				if lines != nil {
					line := changeLine{Aspect: c.Aspect.String(), Users: c.Users, Targets: c.Targets, Old: c.Old, New: c.New}
					if c.Capability != 0 {
						line.Capability = c.Capability.String()
					}
					err = lines.Encode(line)
				} else {
					_, err = fmt.Fprintln(cmd.OutOrStdout(), c)
				}
				if err != nil {
					return err
				}
			}
			if len(changes) == 0 {
				return sayPolicy(cmd, "nothing changes for anybody")
			}
			return nil
		},
	}
}
