package main

import (
	"context"
	"iter"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"entry/audit"
)

func auditTailCmd() *cobra.Command {
	var n int
	var follow bool
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Show the last events, and new ones as they come",
		Example: `  entry audit tail
  entry audit tail -n 100 --json
  entry audit tail -f`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if n < 0 {
				return failf(exitUsage, "-n %d: want 0 or more", n)
			}
			logs, err := auditLogs(cmd)
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return tailLogs(ctx, cmd, logs, n, follow)
		},
	}
	cmd.Flags().IntVarP(&n, "lines", "n", 20, "how many `EVENTS` to show")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with new events until interrupted")
	return cmd
}

// tailLogs shows the last n events of all logs together, and with follow those that come,
// until ctx ends.
func tailLogs(ctx context.Context, cmd *cobra.Command, logs []oneLog, n int, follow bool) error {
	out, err := newListing(cmd)
	if err != nil {
		return err
	}
	open := map[string]*audit.Tailing{}
	for _, l := range logs {
		if open[l.dir], err = audit.OpenTail(l.dir, n); err != nil {
			delete(open, l.dir)
			out.failed(l, err)
			continue
		}
		defer open[l.dir].Close()
	}
	over := func(l oneLog) bool { return open[l.dir] == nil }
	tick := time.NewTicker(audit.FollowEvery)
	defer tick.Stop()
	several := len(logs) > 1
	for first := true; ; first = false {
		var newest []of[audit.Event] // of several logs n are shown, not n of each
		logs = slices.DeleteFunc(logs, over)
		for x := range merged(logs, func(l oneLog) iter.Seq2[audit.Event, error] { return open[l.dir].Events() }, eventTime) {
			if x.err != nil && !audit.Told(x.err) {
				delete(open, x.log.dir) // it is closed in the end
			}
			if first && several && x.err == nil {
				if newest = append(newest, x); len(newest) > n {
					newest = slices.Delete(newest, 0, len(newest)-n)
				}
				continue
			}
			if err := out.show(x); err != nil {
				return err
			}
		}
		for _, x := range newest {
			if err := out.show(x); err != nil {
				return err
			}
		}
		if !follow || len(open) == 0 {
			return out.end()
		}
		select {
		case <-ctx.Done():
			return out.end()
		case <-tick.C:
		}
	}
}

func eventTime(e audit.Event) time.Time { return e.Time }
