package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

func checkCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "check",
		Short:   "Check the configuration, the policy and its tests, and the keys",
		Long:    "Check everything that entry serve would refuse to start with, and change nothing.",
		Example: "  entry check --config /etc/entry/entry.yaml",
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
			for _, w := range p.Warnings() {
				fmt.Fprintln(os.Stderr, w.Error())
			}
			if _, err := loadKeys(cfg, p); err != nil {
				return err
			}
			fmt.Printf("ok: %d targets, policy %s\n", len(p.Targets()), p.Hash())
			return nil
		},
	}
}
