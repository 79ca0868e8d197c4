//go:build linux

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"entry/bastion/site"
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

Where several servers have one database, each counts the sessions and connections
that are open at it: a rule's limits concurrent and connections hold at each, and
so do limits: connections and channels in entry.yaml.

No user can have all files that the server may have open, and some are kept for its
log, its database and operators: near that edge it refuses new connections in words
and raises alarm.files. Give it many (LimitNOFILE): two or three a session.

A line starting "ready" on standard output says that connections are accepted;
the server's own log is on standard error, one JSON object a line.`,
		Example: "  entry serve --dir /etc/entry\n  entry serve --config /etc/entry/entry.yaml",
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			log, err := site.NewLogger(cfg)
			if err != nil {
				return err
			}
			return site.Serve(cmd.Context(), site.Options{Config: cfg, Log: log, Policy: loadPolicy}, func() {
				for _, l := range cfg.Listeners {
					fmt.Println("ready", l.Address)
				}
			})
		},
	}
}
