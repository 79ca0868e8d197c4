package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"entry/audit"
	"entry/audit/logs"
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
			all, err := auditLogs(cmd)
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return tailLogs(ctx, cmd, all, n, follow)
		},
	}
	cmd.Flags().IntVarP(&n, "lines", "n", 20, "how many `EVENTS` to show")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with new events until interrupted")
	return cmd
}

// tailLogs shows the last n events of all logs together, and with follow those that come,
// until ctx ends.
func tailLogs(ctx context.Context, cmd *cobra.Command, all []logs.Log, n int, follow bool) error {
	out, err := newListing(cmd)
	if err != nil {
		return err
	}
	tail := logs.OpenTail(all, n, out.failed)
	defer tail.Close()
	tick := time.NewTicker(audit.FollowEvery)
	defer tick.Stop()
	for {
		for x := range tail.More() {
			if err := out.show(x); err != nil {
				return err
			}
		}
		if !follow || tail.Over() {
			return out.end()
		}
		select {
		case <-ctx.Done():
			return out.end()
		case <-tick.C:
		}
	}
}
