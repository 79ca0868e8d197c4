//go:build linux

package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"entry/audit/evidence"
	"entry/audit/plain"
	"entry/configs"
)

func sessionsHoldCmd() *cobra.Command {
	var reason string
	var about aboutFlags
	cmd := &cobra.Command{
		Use:   "hold SESSION|--user NAME|--lab NAME --reason TEXT",
		Short: "Keep recordings from being removed: a legal hold",
		Long: `Keep a recorded session, or all those of a user or a lab, present and to come, from
being removed after the lab's retention, until the hold is released. Several holds on
one recording stand side by side: it is kept while one of them does.

The audit log has who placed it, as the kernel tells it, and the reason; entry sessions
show tells of it. All servers on the database keep to it. After a restore of an older
database the log places it again.

A hold keeps entry from removing a recording. It keeps nobody from deleting files.`,
		Example: `  entry sessions hold 01JQ8Z3M6W --reason "case 2026-17"
  entry sessions hold --user alice --reason "case 2026-17"`,
		Args: usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if strings.TrimSpace(reason) == "" {
				return failf(exitUsage, "say why with --reason TEXT")
			}
			h := evidence.Hold{Order: evidence.Order{User: about.User, Lab: about.Lab, Reason: reason}}
			switch {
			case len(args) == 0 && (h.User == "") == (h.Lab == ""), len(args) == 1 && h.User+h.Lab != "":
				return failf(exitUsage, "name one of a SESSION, --user NAME and --lab NAME")
			case len(args) == 1:
				_, info, err := findRecording(cmd, args[0])
				if err != nil {
					return err
				}
				h.Session = info.ID
			default:
				if err := about.check(cmd, nil); err != nil {
					return err
				}
			}
			if err := withOperator(cmd, func(_ *configs.Config, o *operator) error {
				return o.call(cmd.Context(), http.MethodPost, "/v1/holds", h, &h)
			}); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "Held: %s, by hold %s.\n", h.What(), h.ID)
			return err
		},
	}
	cmd.Flags().StringVar(&about.User, "user", "", "all recordings of this user (`NAME`)")
	cmd.Flags().StringVar(&about.Lab, "lab", "", "all recordings of this lab (`NAME`)")
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the log: one line (`TEXT`)")
	return cmd
}

func sessionsReleaseCmd() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "release HOLD --reason TEXT",
		Short: "Release a hold",
		Long: `Release a hold, by its ID (entry sessions holds): what it kept is removed once its
lab's retention is over, unless another hold keeps it. The audit log has who did it, and
the reason.`,
		Example: `  entry sessions release k7q2mxab --reason "case 2026-17 is closed"`,
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if strings.TrimSpace(reason) == "" {
				return failf(exitUsage, "say why with --reason TEXT")
			}
			var h evidence.Hold
			if err := withOperator(cmd, func(_ *configs.Config, o *operator) error {
				return o.call(cmd.Context(), http.MethodDelete, "/v1/holds/"+url.PathEscape(strings.ToLower(args[0])), map[string]string{"reason": reason}, &h)
			}); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "Released: hold %s on %s.\n", h.ID, h.What())
			return err
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the log: one line (`TEXT`)")
	return cmd
}

func sessionsHoldsCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "holds",
		Short: "List the holds that stand",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			var all []evidence.Hold
			if err := withAnswers(cmd, func(_ *configs.Config, o *operator) error {
				return o.call(cmd.Context(), http.MethodGet, "/v1/holds", nil, &all)
			}); err != nil {
				return err
			}
			if asJSON(cmd) {
				return printJSON(cmd, all...)
			}
			w := plain.NewTable(cmd.OutOrStdout())
			w.Row("HOLD", "SINCE", "BY", "ON", "REASON")
			for _, h := range all {
				w.Row(h.ID, plain.Time(h.At), plain.Word(h.By.Person()), h.What(), plain.Said(h.Reason))
			}
			return w.Flush()
		},
	}
	cmd.Flags().Bool("json", false, "one JSON object a line")
	return cmd
}
