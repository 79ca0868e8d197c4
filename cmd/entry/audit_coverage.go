package main

import (
	"errors"
	"iter"
	"time"

	"github.com/spf13/cobra"

	"entry/audit/evidence"
	"entry/audit/logs"
	"entry/audit/plain"
	"entry/audit/when"
)

func auditCoverageCmd() *cobra.Command {
	var about aboutFlags
	var since string
	cmd := &cobra.Command{
		Use:   "coverage",
		Short: "Sum up how much of all channels is kept, and what is missing",
		Long: `Sum up, over every channel that the log knows, how much of it is kept:

  recorded   all that was shown, and what was read as a script; answers to
             password prompts at terminals are masked, and counted below
  manifest   each file's path, size and digest, as the program at the target has
             them: where its user can write what that starts from, it may be
             any (entry audit search --type alarm.start-file)
  metadata   when, where to and how many bytes, with digests where there is a
             recording
  partial    less than its grant asked for; each is named, with what is missing
  refused    nothing was run or opened
  open       it isn't over yet

What a target said beside the files of transfers, in words and in names that no
manifest has, is summed up below (entry audit search --type alarm.beside-files: when
that was more than a user's transfers may say in a day).

A channel that a crash cut off is partial; nobody counted its bytes, and its time is
when the server last showed life. With --json each channel is an object
of its own, with bytes that aren't rounded.`,
		Example: `  entry audit coverage --since 7d
  entry audit coverage --lab tinker --since 2026-03-01 --json`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			from, _, err := parseSpan(since, "", time.Now())
			if err != nil {
				return err
			}
			all, err := auditLogs(cmd)
			if err != nil {
				return err
			}
			if err := about.check(cmd, nil); err != nil {
				return err
			}
			return printCoverage(cmd, all, from, func(c evidence.Channel) bool { return about.Fits(c.User, c.Lab, c.Target) })
		},
	}
	about.flags(cmd)
	cmd.Flags().StringVar(&since, "since", "", "only what was open since this `TIME`: "+when.Forms)
	return cmd
}

// loggedChannel is a channel, of one of several logs.
type loggedChannel struct {
	Log string `json:"log,omitempty"`
	evidence.Channel
}

func printCoverage(cmd *cobra.Command, all []logs.Log, from time.Time, want func(evidence.Channel) bool) error {
	lines, err := jsonLines(cmd)
	if err != nil {
		return err
	}
	sum := evidence.Covered{Kept: map[string]int64{}} // of a copy of a log nothing is known here
	if !cmd.Flags().Changed("log") {
		if _, list, err := recordings(cmd); err == nil {
			for _, i := range list {
				sum.Kept[i.ID] = i.Size
			}
		}
	}
	damaged := 0
	told := map[logs.Log]bool{}
	channels := func(l logs.Log) iter.Seq2[evidence.Channel, error] { return evidence.Coverage(l.Dir, from) }
	for x := range logs.Merged(all, channels, func(c evidence.Channel) time.Time { return c.Closed }) {
		if tellAbsent(cmd, x.Log.Failed(x.Err)) {
			continue
		}
		if x.Err != nil {
			if damaged++; !told[x.Log] {
				say(cmd, x.Log, plain.Line(x.Err.Error()))
			}
			told[x.Log] = true
			continue
		}
		if !want(x.What) {
			continue
		}
		if lines != nil {
			if err := lines.Encode(loggedChannel{x.Log.Name, x.What}); err != nil {
				return err
			}
		}
		sum.Add(x.Log.Name, x.What)
	}
	if damaged > 0 {
		err = hinted(failf(exitFailure, "%s of the log can't be read, so this isn't all", plain.Count(damaged, "part")), "entry audit verify names them")
	}
	if lines != nil || damaged > 0 && len(all) == 1 {
		return err
	}
	return errors.Join(err, sum.Tell(cmd.OutOrStdout()))
}
