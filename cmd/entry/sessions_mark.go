//go:build linux

package main

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"entry/audit/plain"
	"entry/configs"
	"entry/session/recording"
)

// reviewedWord is what a session can be marked as.
const reviewedWord = "reviewed"

func sessionsMarkCmd() *cobra.Command {
	var note string
	cmd := &cobra.Command{
		Use:   "mark SESSION reviewed [--note TEXT]",
		Short: "Put on record that you have reviewed a session",
		Long: `Put on record that you have reviewed a session that is over: an event in the audit
log, with who you are as the kernel tells it, and your note. entry sessions ls and
show read it there. A session may be reviewed again, by you or by others; nothing
takes a mark back: with "last", read in the answer which one that was.`,
		Example: `  entry sessions mark 01JQ8Z3M6W reviewed
  entry sessions mark last reviewed --note "copied results.csv, as announced"
  entry sessions ls --reviewed=false --since 7d`,
		Args: usageArgs(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if args[1] != reviewedWord {
				return failf(exitUsage, "%q: a session can be marked as %s", args[1], reviewedWord)
			}
			_, info, err := findRecording(cmd, args[0])
			if err != nil {
				return err
			}
			if info.State == recording.Live {
				return hinted(failf(exitFailure, "session %s is still running", info.ID), "mark it once it is over; entry sessions watch shows it now")
			}
			if err := withOperator(cmd, func(_ *configs.Config, o *operator) error {
				return o.call(cmd.Context(), http.MethodPost, "/v1/recordings/"+url.PathEscape(info.ID)+"/review", map[string]string{"note": note}, nil)
			}); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "Marked: session %s as reviewed, of %s on %s from %s.\n", info.ID, plain.Word(info.User), plain.Word(info.Target), plain.Time(info.Start))
			return err
		},
	}
	cmd.Flags().StringVar(&note, "note", "", "what you found: one line (`TEXT`)")
	return cmd
}
