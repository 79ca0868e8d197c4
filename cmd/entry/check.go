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
nothing. Every problem of a file is named with its line. Where no server runs, the
audit log and the database are looked at as well: what a start would refuse of them
(a log that was rotated, changed, or put back older than the database or its
witness) is said here in the same words, with exit code 1, as is a full or read-only
disk of the database, the log, its witness or the recordings, and a folder of the log,
its witness or the database that isn't there though it was. Warnings are on standard
error and don't change the exit code: among them, recordings that the log knows and
that aren't in their folder, what a start will take away again
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
			noteUploads(cmd, p)
			warn(found.Warnings)
			unwitnessed, err := site.CheckWitnesses(cmd.Context(), cfg)
			if warn(unwitnessed); err != nil {
				return err
			}
			astray, err := site.CheckAccounts(cmd.Context(), cfg, p)
			if err != nil {
				return err
			}
			warn(astray)
			warn(site.CheckRetention(cfg, p))
			fmt.Printf("ok: %s, policy %s\n", plain.Count(len(p.Targets()), "target"), p.Hash())
			fmt.Print("For users' known_hosts:\n", found.KnownHosts)
			return nil
		},
	}
}

func warn(lines []string) {
	for _, l := range lines {
		fmt.Fprintln(os.Stderr, "warning:", l)
	}
}
