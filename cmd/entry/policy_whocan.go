package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"entry/audit/plain"
	"entry/policy/compare"
)

// holderLine is who-can's --json line.
type holderLine struct {
	User     string     `json:"user,omitempty"`
	Realm    string     `json:"realm,omitempty"`
	Group    string     `json:"group,omitempty"`
	Rule     string     `json:"rule"`
	Until    *time.Time `json:"until,omitempty"`
	Approval string     `json:"approval,omitempty"`
}

func policyWhoCanCmd() *cobra.Command {
	var s situation
	cmd := &cobra.Command{
		Use:   "who-can TARGET CAPABILITY",
		Short: "List who has a capability on a target, and by which rule",
		Long: `List who has a capability on a target now, or at the time that --at gives, however
they log in; those who need an approval first are listed with whose. Rules that
hold from some networks only are left out unless --from names an address there.
The exit code is 3 where nobody has it.`,
		Example: "  entry policy who-can home download\n  entry policy who-can home.tinker shell --from 192.0.2.7 --at 2026-03-02T09:00:00Z",
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
		t, err := findTarget(p, "", args[0])
		if err != nil {
			return err
		}
		at, from, err := s.place()
		if err != nil {
			return err
		}
		lines, err := jsonLines(cmd)
		if err != nil {
			return err
		}
		holders := compare.WhoCan(p, t, c, at, from)
		for _, h := range holders {
			if lines != nil {
				err = lines.Encode(holderOf(h))
			} else {
				_, err = fmt.Fprintln(cmd.OutOrStdout(), holderWords(h))
			}
			if err != nil {
				return err
			}
		}
		if len(holders) == 0 {
			return failf(exitDenied, "nobody has %s on %s then", c, t.FullName())
		}
		return nil
	}
	cmd.Flags().StringVar(&s.at, "at", "", "`TIME` instead of now; UTC unless it says otherwise")
	cmd.Flags().StringVar(&s.from, "from", "", "client `ADDRESS`")
	return cmd
}

func holderOf(h compare.Holder) holderLine {
	line := holderLine{User: h.User, Realm: h.Realm, Group: h.Group, Rule: h.Rule.String(), Until: moment(h.Until)}
	if h.Approval != nil {
		line.Approval = h.Approval.String()
	}
	return line
}

func holderWords(h compare.Holder) string {
	who := h.User
	if h.Realm != "" {
		place := "realm " + h.Realm
		if h.Group != "" {
			place += "/" + plain.Word(h.Group)
		}
		if who == "" {
			who = "everyone of " + place
		} else {
			who += " of " + place
		}
	}
	s := fmt.Sprintf("%s by %s", who, h.Rule)
	if h.Approval != nil {
		s += fmt.Sprintf(" with the approval of %s", h.Approval)
	}
	if !h.Until.IsZero() {
		s += " until " + plain.Moment(h.Until)
	}
	return s
}
