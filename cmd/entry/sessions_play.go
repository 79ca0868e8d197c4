package main

import (
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
	"entry/audit/when"
	"entry/session/recording"
	"entry/session/recording/play"
	"entry/session/recording/screen"
)

func sessionsPlayCmd() *cobra.Command {
	var o play.Options
	var channel int64
	var at string
	var follow bool
	cmd := &cobra.Command{
		Use:   "play SESSION",
		Short: "Replay a recorded session in this terminal",
		Long: `Replay a session's screen as it changed: what its user saw, cell by cell. Only
text and colours of the recording reach your terminal: it can't set your title,
write your clipboard or type for you. A larger screen than yours is scrolled.

  space  pause, go on          left, right  10 seconds back, on
  .      one step              down, up     a minute back, on
  + -    faster, slower        0            from the start
  q      end                   h j k l f    move the view; follow the cursor

--at starts later: at a time of day in UTC, or after a time (+90s). --follow
shows a session that is running, as it goes on. Played is the first channel
with a terminal, else the first with output; --channel chooses another one of
those that entry sessions show lists. Pauses are cut to 2 seconds unless --idle
says otherwise.

Of a tmux in control mode (tmux -CC, as iTerm2 starts it) the pane in front is
shown, as far as tmux told which that is; the line below names it, with a question
mark (%3?) where neither the channel's command nor recorded input ran tmux so: what
is shown then may be another thing than the terminal showed.

What the user's terminal hid (SGR 8, or text in the colour of its background) is
shown faint and struck through.

When the output isn't a terminal it is text without colours: what scrolled off and
what stood on the screen at the end, without pauses, or, with --at, the screen as it
stood at that moment. entry sessions export --format text has what was erased, too.`,
		Example: `  entry sessions play last
  entry sessions play 01JQ8Z3M6W --at 14:00 -x 4 --idle 500ms
  entry sessions play last --channel 2 --idle 0 --at +90s
  entry sessions play last --follow
  entry sessions play last --at 14:05 > screen.txt`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.Speed <= 0 || o.Idle < 0 {
				return failf(exitUsage, "--speed must be above 0 and --idle not below it")
			}
			return withChannel(cmd, args[0], "play", channel, func(r *play.Opened, c recording.Channel) error {
				var err error
				if o.From, err = when.In(at, r.Header().Start, c.End); err != nil {
					return hinted(failf(exitUsage, "--at %v", err), `want 14:00, 14:00:05 or "2026-03-01 14:00", in UTC, or +90s after the start`)
				}
				return showSession(cmd, r, c, follow, o)
			})
		},
	}
	cmd.Flags().Float64VarP(&o.Speed, "speed", "x", 1, "`TIMES` faster")
	cmd.Flags().DurationVar(&o.Idle, "idle", 2*time.Second, "longest pause; 0 keeps them as they were (`TIME`)")
	cmd.Flags().StringVar(&at, "at", "", "`MOMENT` to start at: 14:00, 14:00:05, \"2026-03-01 14:00\" or +90s")
	cmd.Flags().BoolVar(&follow, "follow", false, "start at the end, and go on while the session does")
	cmd.Flags().Int64Var(&channel, "channel", -1, "`NUMBER` of the channel")
	identityFlag(cmd)
	return cmd
}

func showSession(cmd *cobra.Command, r *play.Opened, c recording.Channel, follow bool, o play.Options) error {
	out, note := cmd.OutOrStdout(), cmd.ErrOrStderr()
	h := r.Header()
	o.Channel, o.Start, o.Length, o.Notes = c, h.Start, c.End, note
	// Notes that can't be written don't stop the replay.
	_, _ = fmt.Fprintf(note, "entry: %s, %s on %s, %s; channel %s\n", h.ID, plain.Word(h.User), plain.Word(h.Target), plain.Time(h.Start), play.Describe(c))
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o.Again = r.Again
	if follow {
		o.From, o.More = c.End, r.Grows
	}
	if file, ok := out.(*os.File); ok && isTerminal(out) {
		keys, restore := openKeys()
		defer func() { _ = restore() }() // the terminal may be gone
		o.View = &play.View{Keys: keys, Size: func() (int, int) {
			cols, rows, err := term.GetSize(int(file.Fd()))
			if err != nil {
				return screen.DefaultCols, screen.DefaultRows
			}
			return cols, rows
		}}
	} else {
		o.AtOnce, o.Still = true, o.From > 0 && !follow
		if o.Still {
			_, _ = fmt.Fprintf(note, "entry: the screen as it stood at %s UTC, +%s\n", h.Start.Add(o.From).UTC().Format(time.DateTime), o.From.Round(time.Millisecond))
		}
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
func withChannel(cmd *cobra.Command, name, verb string, number int64, f func(*play.Opened, recording.Channel) error) (err error) {
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
	return readChannel(dir, info.ID, ids, number, f)
}

// readChannel is withChannel once that is known and noted.
func readChannel(dir, id string, ids []age.Identity, number int64, f func(*play.Opened, recording.Channel) error) (err error) {
	o, c, err := play.Open(dir, id, ids, number)
	if err != nil {
		return sealedError(err)
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	return f(o, c)
}
