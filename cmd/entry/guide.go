//go:build linux

package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/spf13/cobra"

	"entry/bastion/site"
)

func guideCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "guide", Short: "Write pages for people outside", Args: usageArgs(cobra.NoArgs), RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(guideSupportCmd())
	return cmd
}

func guideSupportCmd() *cobra.Command {
	var addresses []string
	cmd := &cobra.Command{
		Use:   "it-support",
		Short: "The page for the IT staff of users' organisations",
		Long: `Write the page for the IT staff of users' organisations: what a network has to let
through, a test that needs no account, what errors mean, how to go through a
proxy. It is Markdown that reads as plain text too, and holds no secret.

The addresses are those that this machine's resolver has for the name that users
dial. Where people outside see others, give them with --address.`,
		Example: "  entry guide it-support > it-support.md\n  entry guide it-support --address 192.0.2.10 --address 2001:db8::10",
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			var given []netip.Addr
			for _, a := range addresses {
				ip, err := netip.ParseAddr(a)
				if err != nil {
					return failf(exitUsage, "--address %q: want an IP address", a)
				}
				given = append(given, ip)
			}
			return site.ITSupport(cmd.OutOrStdout(), cfg, func(host string) []netip.Addr {
				if given != nil {
					return given
				}
				return lookUp(cmd.Context(), host)
			})
		},
	}
	cmd.Flags().StringSliceVar(&addresses, "address", nil, "an IP `ADDRESS` of the server as people outside see it; may be repeated")
	return cmd
}

// lookUp is what the resolver has for host: nothing where that fails, which the
// page can do without.
func lookUp(ctx context.Context, host string) []netip.Addr {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		fmt.Fprintf(os.Stderr, "entry: note: %v; the page leaves the addresses out, --address gives them\n", err)
	}
	for i := range found {
		found[i] = found[i].Unmap()
	}
	return found
}
