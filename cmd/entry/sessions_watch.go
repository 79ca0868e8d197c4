package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"entry/audit/catalog"
	"entry/audit/evidence"
	"entry/audit/plain"
	"entry/session/recording"
	"entry/session/recording/play"
)

func sessionsWatchCmd() *cobra.Command {
	var user string
	var channel int64
	cmd := &cobra.Command{
		Use:   "watch [SESSION]",
		Short: "Watch a running session, as it goes on",
		Long: `Watch a running session in this terminal, a second or so behind, until it ends:
the one named, or without a name the one that began last (of --user). Shown is the
newest channel that is open, one with a terminal if there is one; if none is open,
the next one. Keys and what reaches your terminal are those of entry sessions play;
q ends. It needs an auditor's identity, and the audit log notes it as a reading.`,
		Example: `  entry sessions watch --identity auditor.key
  entry sessions watch --user alice
  entry sessions watch 01JQ8Z3M6W --channel 2`,
		Args: usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && user != "" {
				return failf(exitUsage, "SESSION names one already; --user goes without it")
			}
			ids, err := identities(cmd)
			if err != nil {
				return err
			}
			dir, info, err := runningSession(cmd, args, user)
			if err != nil {
				return err
			}
			if err := noteRead(cmd, info.ID, "watch"); err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			if channel < 0 {
				channel, err = play.AwaitOpen(ctx, dir, info.ID, ids, func() {
					_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "entry: nothing is open in the session now; waiting for what its user opens next") // it waits all the same
				})
				if ctx.Err() != nil {
					return nil // ending a watch isn't its failure
				}
				if err != nil {
					return sealedError(err)
				}
			}
			err = readChannel(dir, info.ID, ids, channel, func(r *play.Opened, c recording.Channel) error {
				return showSession(cmd, r, c, true, play.Options{Speed: 1})
			})
			if err != nil {
				return err
			}
			return sayEnd(cmd, dir, info.ID)
		},
	}
	cmd.Flags().StringVar(&user, "user", "", "the newest of this user's (`NAME`)")
	cmd.Flags().Int64Var(&channel, "channel", -1, "`NUMBER` of the channel")
	identityFlag(cmd)
	return cmd
}

// runningSession is the running session that a person means: by name, or the newest.
func runningSession(cmd *cobra.Command, args []string, user string) (dir string, info recording.Info, err error) {
	if len(args) == 1 {
		dir, info, err = findRecording(cmd, args[0])
		if err == nil && info.State != recording.Live {
			err = hinted(failf(exitNotFound, "session %s is over, since %s", info.ID, plain.Moment(info.End)), "entry sessions play shows it")
		}
		return dir, info, err
	}
	dir, list, err := recordings(cmd)
	if err != nil {
		return dir, info, err
	}
	info, err = catalog.NewestLive(list, user)
	return dir, info, err
}

// sayEnd says how a session ended that was watched, or that it goes on.
func sayEnd(cmd *cobra.Command, dir, id string) error {
	info, err := recording.Stat(dir, id)
	if err != nil {
		return err
	}
	notes, nerr := notesOf(cmd)
	if nerr != nil {
		notes = evidence.Notes{} // what the files say is told all the same
	}
	_, err = fmt.Fprintln(cmd.ErrOrStderr(), "entry: "+catalog.Ending(info, notes))
	return err
}
