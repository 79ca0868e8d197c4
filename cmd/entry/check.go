//go:build linux

package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"entry/audit/plain"
	"entry/bastion/site"
)

func checkCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Check the configuration, the policy and its tests, and the keys",
		Long: `Check the configuration, the policy with its tests, and the keys, and change
nothing. Every problem of a file is named with its line. Warnings are on standard
error and don't change the exit code.

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
			fmt.Printf("ok: %s, policy %s\n", plain.Count(len(p.Targets()), "target"), p.Hash())
			fmt.Print("For users' known_hosts:\n", found.KnownHosts)
			return nil
		},
	}
}
