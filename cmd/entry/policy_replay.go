package main

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"entry/audit"
	"entry/audit/plain"
	"entry/audit/when"
	"entry/policy/compare"
)

func policyReplayCmd() *cobra.Command {
	var since, until, log, realm string
	cmd := &cobra.Command{
		Use:   "replay NEW",
		Short: "Decide the accesses in the audit log anew, under another policy",
		Long: `Decide every access in the audit log anew under NEW, a directory or a file, and
show what would have been different: sessions that would have been refused, or
would have had fewer or more capabilities, and refusals that would have been
sessions. What is alike is counted together.

Logins, codes and approvals are taken from the log as far as it has them; a
login that it hasn't counts as one with passphrase and code. The log doesn't say
realms: --realm takes all users to be of one.`,
		Example: "  entry policy replay --since 30d new\n  entry policy replay --since 2026-03-01 --log copy/audit new --json",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			from, to, err := parseSpan(since, until, time.Now())
			if err != nil {
				return err
			}
			p, err := policyOf(cmd, args)
			if err != nil {
				return err
			}
			dir := log
			if dir == "" {
				if dir, _, _, err = auditDirs(cmd); err != nil {
					return err
				}
			}
			r, err := compare.Replay(p, compare.ReplayOptions{From: from, Until: to, Realm: realm}, audit.Scan(dir, compare.ReplayTypes...))
			if errors.Is(err, fs.ErrNotExist) {
				return hinted(&exitError{code: exitNotFound, err: err}, "the log is made when entry serve first starts")
			}
			if err != nil {
				return err
			}
			if err := printReplayed(cmd, r, from); err != nil {
				return err
			}
			for _, err := range r.Absent {
				tellAbsent(cmd, err)
			}
			if r.Damaged > 0 {
				return hinted(failf(exitFailure, "%s of the log can't be read as events", plain.Count(r.Damaged, "line")), "entry audit verify says more")
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&since, "since", "30d", "from this `TIME` on: "+when.Forms)
	f.StringVar(&until, "until", "", "before this `TIME`")
	f.StringVar(&log, "log", "", "`DIR` that holds the log or a copy of it, instead of the configuration's")
	f.StringVar(&realm, "realm", "", "`REALM` of all users")
	return cmd
}

func printReplayed(cmd *cobra.Command, r compare.Replayed, from time.Time) error {
	if err := printEach(cmd, r.Differences, func(d compare.Difference) string { return fmt.Sprintf("%7d × %s", d.Count, d) }); err != nil {
		return err
	}
	return printEach(cmd, []compare.Replayed{r}, func(r compare.Replayed) string {
		return fmt.Sprintf("%d accesses since %s, %d of them different", r.Accesses, plain.Time(from), r.Different)
	})
}
