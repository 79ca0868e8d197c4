package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"entry/audit/catalog"
	"entry/audit/evidence"
	"entry/audit/plain"
	"entry/session/recording"
	"entry/session/recording/play"
)

// watchPause is how often a session is looked at that has no channel open.
const watchPause = 500 * time.Millisecond

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
				if channel, err = openChannel(ctx, cmd, dir, info.ID, ids); ctx.Err() != nil {
					return nil // ending a watch isn't its failure
				}
				if err != nil {
					return err
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
	for _, i := range list {
		if i.State == recording.Live && (user == "" || i.User == user) {
			info = i // the newest is the last
		}
	}
	switch {
	case info.ID != "":
		return dir, info, nil
	case user != "":
		err = failf(exitNotFound, "no recorded session of %s is running", plain.Word(user))
	default:
		err = failf(exitNotFound, "no recorded session is running")
	}
	return dir, info, hinted(err, "entry sessions ls lists those that are over, too")
}

// openChannel waits until a channel of a running session is open, and returns its
// number.
func openChannel(ctx context.Context, cmd *cobra.Command, dir, id string, ids []age.Identity) (int64, error) {
	for told := false; ; told = true {
		info, err := recording.Stat(dir, id)
		if err != nil {
			return 0, err
		}
		list, err := play.Channels(dir, id, ids)
		if err != nil && !errors.Is(err, recording.ErrTruncated) {
			return 0, sealedError(err)
		}
		if c, err := recording.ChooseOpen(list); err == nil {
			return int64(c.Number), nil
		}
		if info.State != recording.Live {
			return 0, hinted(failf(exitNotFound, "session %s ended", id), "entry sessions play shows it")
		}
		if !told {
			_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "entry: nothing is open in the session now; waiting for what its user opens next") // it waits all the same
		}
		select {
		case <-time.After(watchPause):
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

// sayEnd says how a session ended that was watched, or that it goes on.
func sayEnd(cmd *cobra.Command, dir, id string) error {
	info, err := recording.Stat(dir, id)
	if err != nil {
		return err
	}
	text := "session " + id + " goes on"
	if info.State != recording.Live {
		notes, nerr := notesOf(cmd)
		if nerr != nil {
			notes = evidence.Notes{} // what the files say is told all the same
		}
		state, by := info.State, catalog.EndedBy(notes, id)
		if by != "" && state == recording.Complete {
			state = evidence.Killed // its end may not be in the log yet: the order always is
		}
		text = fmt.Sprintf("session %s ended at %s (%s)%s", id, plain.Time(info.End), state, by)
	}
	_, err = fmt.Fprintln(cmd.ErrOrStderr(), "entry: "+text)
	return err
}
