//go:build linux

package main

import (
	"net/http"

	"github.com/spf13/cobra"

	"entry/configs"
)

func resetCmd() *cobra.Command {
	var keep bool
	cmd := &cobra.Command{
		Use:   "reset USER",
		Short: "Give a user who lost passphrase or device a new start",
		Long: `Print a new temporary passphrase for a user who lost the passphrase or the device.
The old passphrase, the authenticators and the recovery codes are removed, and
what the user has open ends. Make sure that it is the user who asks.

Where operators.reset_needs_two is set, nothing happens until a second operator,
with an account and a login of their own, runs entry user confirm USER within
24 hours; that prints the passphrase. This then ends with exit code 3.`,
		Example: "  entry user reset alice\n  entry user reset alice --keep-authenticators    still has the device",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := userPath(args[0])
			if err != nil {
				return err
			}
			return withOperator(cmd, func(_ *configs.Config, o *operator) error {
				user, err := issue(cmd, o, path+"/reset", map[string]bool{"passphrase_only": keep})
				if err == nil && !keep && !asJSON(cmd) {
					sayFirstLogin(user)
				}
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&keep, "keep-authenticators", false, "replace the passphrase alone; the next login still takes a code")
	return cmd
}

func confirmCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "confirm USER",
		Short: "Carry out a reset that another operator asked for",
		Long: `Carry out the reset that another operator asked for within the last 24 hours, and
print the temporary passphrase. The two operators need a login each, and no account
in common but root: their own sudo from their own SSH session. entry user show USER
says who asked, and when.`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := userPath(args[0])
			if err != nil {
				return err
			}
			return withOperator(cmd, func(_ *configs.Config, o *operator) error {
				_, err := issue(cmd, o, path+"/confirm", nil)
				return err
			})
		},
	}
}

// setCmd is a verb that gives an account one setting, called what.
func setCmd(use, short, long, example, suffix, what string, read func(value string) (any, error)) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Long: long, Example: example, Args: usageArgs(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := userPath(args[0])
			if err != nil {
				return err
			}
			in, err := read(args[1])
			if err != nil {
				return err
			}
			return withOperator(cmd, func(_ *configs.Config, o *operator) error {
				return saysDone(o.call(cmd.Context(), http.MethodPost, path+suffix, in, nil), args[0], what+" is now "+args[1])
			})
		}}
}
