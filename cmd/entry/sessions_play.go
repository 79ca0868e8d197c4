package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"filippo.io/age"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"entry/audit/plain"
	"entry/session/recording"
	"entry/session/recording/play"
)

func sessionsPlayCmd() *cobra.Command {
	var o play.Options
	var channel int64
	cmd := &cobra.Command{
		Use:   "play SESSION",
		Short: "Replay a recorded session in this terminal",
		Long: `Replay a session's output as it came. Only printable text, colours, cursor
movement and erasing reach your terminal: a recording can't set its title, write
your clipboard or type for you. Resizes, gaps and what wasn't kept are told in
brackets. Programs that use the whole screen look best exported as asciicast.

Played is the first channel with a terminal, else the first with output;
--channel chooses another one of those that entry sessions show lists. Pauses
are cut to 2 seconds unless --idle says otherwise. Ctrl-C ends. When the output
isn't a terminal there are no pauses at all.`,
		Example: `  entry sessions play last
  entry sessions play 01JQ8Z3M6W -x 4 --idle 500ms
  entry sessions play last --channel 2 --idle 0`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.Speed <= 0 || o.Idle < 0 {
				return failf(exitUsage, "--speed must be above 0 and --idle not below it")
			}
			return withChannel(cmd, args[0], "play", channel, func(r *recording.Reader, c recording.Channel) error {
				return showSession(cmd, r, c, o)
			})
		},
	}
	cmd.Flags().Float64VarP(&o.Speed, "speed", "x", 1, "`TIMES` faster")
	cmd.Flags().DurationVar(&o.Idle, "idle", 2*time.Second, "longest pause; 0 keeps them as they were (`TIME`)")
	cmd.Flags().Int64Var(&channel, "channel", -1, "`NUMBER` of the channel")
	identityFlag(cmd)
	return cmd
}

func showSession(cmd *cobra.Command, r *recording.Reader, c recording.Channel, o play.Options) error {
	out, note := cmd.OutOrStdout(), cmd.ErrOrStderr()
	o.Channel, o.Notes = c.Number, note
	h := r.Header()
	// Notes that can't be written don't stop the replay.
	_, _ = fmt.Fprintf(note, "entry: %s, %s on %s, %s; channel %s\n", h.ID, plain.Word(h.User), plain.Word(h.Target), plain.Time(h.Start), describeChannel(c))
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	terminal := isTerminal(out)
	if terminal {
		// Whatever the recording left switched on ends with it.
		defer func() { _, _ = io.WriteString(out, "\x1b[0m\r\n") }() // the terminal may be gone
	} else {
		o.Sleep = func(ctx context.Context, _ time.Duration) error { return context.Cause(ctx) }
	}
	err := play.Replay(ctx, r.Next, out, o)
	if ctx.Err() != nil && cmd.Context().Err() == nil {
		return nil // ending a replay isn't its failure
	}
	return cutNote(note, err)
}

// cutNote turns the end of a cut recording into a note: everything there is was
// shown.
func cutNote(w io.Writer, err error) error {
	if !errors.Is(err, recording.ErrTruncated) {
		return err
	}
	_, _ = fmt.Fprintf(w, "\r\nentry: note: %v: it is still running, or something ended it; entry sessions show says which\n", err) // as above
	return nil
}

// isTerminal reports whether w is a terminal.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// withChannel opens a recording for f with the channel that number says, or
// that a person most likely means if it is below 0. The audit log hears of it
// first.
func withChannel(cmd *cobra.Command, name, verb string, number int64, f func(*recording.Reader, recording.Channel) error) (err error) {
	ids, err := identities(cmd)
	if err != nil {
		return err
	}
	dir, info, err := findRecording(cmd, name)
	if err != nil {
		return err
	}
	if err := noteRead(cmd, info.ID, verb); err != nil {
		return err
	}
	c, err := chooseChannel(dir, info.ID, ids, number)
	if err != nil {
		return sealedError(err)
	}
	r, err := recording.OpenRecording(dir, info.ID, ids...)
	if err != nil {
		return sealedError(err)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	return f(r, c)
}

// chooseChannel reads the recording once for its channels. What is damaged
// further on is told when it is reached.
func chooseChannel(dir, id string, ids []age.Identity, number int64) (recording.Channel, error) {
	list, err := channelsOf(dir, id, ids)
	var bad *recording.BadSegment
	if err != nil && !errors.Is(err, recording.ErrTruncated) && !(errors.As(err, &bad) && len(list) > 0) {
		return recording.Channel{}, err
	}
	if number < 0 {
		return recording.Choose(list)
	}
	for _, c := range list {
		if int64(c.Number) == number {
			return c, nil
		}
	}
	return recording.Channel{}, fmt.Errorf("channel %d: %w", number, recording.ErrNoChannel)
}
