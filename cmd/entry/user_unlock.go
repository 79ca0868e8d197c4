//go:build linux

package main

import (
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"entry/bastion/admin"
	"entry/configs"
)

func unlockCmd() *cobra.Command {
	var source string
	cmd := &cobra.Command{
		Use:   "unlock USER",
		Short: "Lift the locks that failed logins led to",
		Long: `Lift what failed logins led to for a user: the account's lock, what wrong codes
behind the passphrase closed, and the locks of their name from the addresses
where logins failed lately. It says what it lifted.

--source names one address instead, in any form in which entry user show and the
events have it, and opens it to everybody who comes from there (of IPv6 to its /64,
which failures are counted under). Keys that wrong codes suspended stay so: their owner enables them, by
another factor.`,
		Example: "  entry user unlock alice\n  entry user unlock alice --source 192.0.2.7",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return doAndSay(cmd, args[0], "/unlock", map[string]string{"source": source}, map[bool]string{true: "there was no lock to lift", false: "there was no lock to lift, neither the account's nor one from " + source}[source == ""])
		},
	}
	cmd.Flags().StringVar(&source, "source", "", "the `ADDRESS` that the user comes from, or its network as entry user show has it")
	return cmd
}

func enableCmd() *cobra.Command {
	return &cobra.Command{
		Use: "enable USER", Short: "Admit a disabled or expired user again; lift the account's locks", Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error { return doAndSay(cmd, args[0], "/enable", nil, "") },
	}
}

// doAndSay does an operation on a user and prints what it did, or nothing.
func doAndSay(cmd *cobra.Command, user, suffix string, in any, nothing string) error {
	path, err := userPath(user)
	if err != nil {
		return err
	}
	return withOperator(cmd, func(_ *configs.Config, o *operator) error {
		var out admin.Did
		if err := o.call(cmd.Context(), http.MethodPost, path+suffix, in, &out); err != nil {
			return err
		}
		if asJSON(cmd) {
			if out.Did == nil {
				out.Did = []string{}
			}
			return printJSON(cmd, out)
		}
		if len(out.Did) == 0 {
			out.Did = []string{nothing}
		}
		for _, did := range append(out.Did, out.Still...) {
			fmt.Printf("%s: %s\n", user, did)
		}
		return nil
	})
}
