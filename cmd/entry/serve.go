package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"entry/configs"
)

func serveCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run the jump host",
		Long: `Run the jump host until SIGTERM or Ctrl-C. Then it accepts no more connections,
gives live sessions the time that "drain" in the configuration says, and seals
their recordings.

SIGHUP reads the policy files again (entry check tells beforehand whether they
are good). A bad policy leaves the last good one in force, and the log says so;
sessions that lost their grant end. One that would end more than 10 % of the live
sessions is refused too: entry policy apply names them and asks. Other changes in
entry.yaml need a restart.

A line starting "ready" on standard output says that connections are accepted;
the server's own log is on standard error, one JSON object a line.`,
		Example: "  entry serve --dir /etc/entry\n  entry serve --config /etc/entry/entry.yaml",
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			log, err := newLogger(cfg)
			if err != nil {
				return err
			}
			return serve(cmd.Context(), cfg, log, func() {
				for _, l := range cfg.Listeners {
					fmt.Println("ready", l.Address)
				}
			})
		},
	}
}

// serve runs the server that cfg describes until it is told to stop.
func serve(ctx context.Context, cfg *configs.Config, log *zap.Logger, ready func()) error {
	if ctx == nil {
		ctx = context.Background()
	}
	tuneMemory()
	s, err := newServer(self(ctx), cfg, log)
	if err != nil {
		return err
	}
	return s.run(ctx, ready)
}

// newLogger writes JSON lines to standard error.
func newLogger(cfg *configs.Config) (*zap.Logger, error) {
	level, err := zapcore.ParseLevel(cfg.Log.Level)
	if err != nil {
		return nil, failf(exitUsage, "log.level: %w", err)
	}
	c := zap.NewProductionConfig()
	c.Level = zap.NewAtomicLevelAt(level)
	c.Sampling = nil           // a log line that isn't written can't be found
	c.DisableStacktrace = true // a refused request is no defect; a panic brings its own
	c.EncoderConfig.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	return c.Build()
}
