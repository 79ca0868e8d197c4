package main

import (
	"github.com/spf13/cobra"

	"entry/audit/when"
	"entry/policy"
	"entry/policy/compare"
)

func policyWhoCanCmd() *cobra.Command {
	var s situation
	cmd := &cobra.Command{
		Use:   "who-can TARGET CAPABILITY",
		Short: "List who has a capability on a target, and by which rule",
		Long: `List who has a capability on a target now, or at the time that --at gives, however
they log in; those who need an approval first are listed with whose. Rules that
hold from some networks only are left out unless --from names an address there.
The names are the policy's: which of them have an account, entry check says.
The exit code is 3 where nobody has it.`,
		Example: "  entry policy who-can home download\n  entry policy who-can home.tinker shell --from 192.0.2.7 --at 09:00",
		Args:    usageArgs(cobra.ExactArgs(2)),
	}
	dir := policyFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		p, err := policyOf(cmd, flagPaths(*dir))
		if err != nil {
			return err
		}
		c, err := capabilityOf(args[1])
		if err != nil {
			return err
		}
		t, err := findTarget(p, "", args[0], "", policy.Groups{})
		if err != nil {
			return err
		}
		at, from, err := s.place()
		if err != nil {
			return err
		}
		holders := compare.WhoCan(p, t, c, at, from)
		if len(holders) == 0 {
			return failf(exitDenied, "nobody has %s on %s then", c, t.FullName())
		}
		return printEach(cmd, holders, compare.Holder.String)
	}
	cmd.Flags().StringVar(&s.at, "at", "", "`TIME` instead of now: "+when.Forms)
	cmd.Flags().StringVar(&s.from, "from", "", "client `ADDRESS`")
	return cmd
}
