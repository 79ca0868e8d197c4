package main

import (
	"fmt"
	"iter"
	"time"

	"github.com/spf13/cobra"

	"entry/audit/evidence"
	"entry/audit/plain"
	"entry/session/recording"
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
  manifest   each file's path, size and digest
  metadata   when, where to and how many bytes, with digests where there is a
             recording
  partial    less than its grant asked for; each is named, with what is missing
  refused    nothing was run or opened
  open       it isn't over yet

A channel that a crash cut off is partial; nobody counted its bytes, and its time is
when the server last showed life. With --json each channel is an object
of its own.`,
		Example: `  entry audit coverage --since 7d
  entry audit coverage --lab tinker --since 2026-03-01 --json`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			from, _, err := parseSpan(since, "", time.Now())
			if err != nil {
				return err
			}
			logs, err := auditLogs(cmd)
			if err != nil {
				return err
			}
			if err := about.check(cmd, nil); err != nil {
				return err
			}
			return printCoverage(cmd, logs, from, func(c evidence.Channel) bool { return about.about(c.User, c.Lab, c.Target) })
		},
	}
	about.flags(cmd)
	cmd.Flags().StringVar(&since, "since", "", "only what was open since this `TIME`: "+whenForms)
	return cmd
}

// covered sums up channels of one coverage.
type covered struct {
	channels int
	lost     int // of them, those of which nobody counted the bytes
	sessions map[string]bool
	down, up int64
}

// loggedChannel is a channel, of one of several logs.
type loggedChannel struct {
	Log string `json:"log,omitempty"`
	evidence.Channel
}

func printCoverage(cmd *cobra.Command, logs []oneLog, from time.Time, want func(evidence.Channel) bool) error {
	lines, err := jsonLines(cmd)
	if err != nil {
		return err
	}
	kept := map[string]int64{} // sealed bytes of sessions; of a copy of a log nothing is known here
	if !cmd.Flags().Changed("log") {
		if _, list, err := recordings(cmd); err == nil {
			for _, i := range list {
				kept[i.ID] = i.Size
			}
		}
	}
	sums := map[recording.Coverage]*covered{}
	var partial []string
	var masked recording.Missing
	masking, damaged, lost := 0, 0, 0
	told := map[oneLog]bool{}
	channels := func(l oneLog) iter.Seq2[evidence.Channel, error] { return evidence.Coverage(l.dir, from) }
	for x := range merged(logs, channels, func(c evidence.Channel) time.Time { return c.Closed }) {
		if tellAbsent(cmd, x.log.failed(x.err)) {
			continue
		}
		if x.err != nil {
			if damaged++; !told[x.log] {
				x.log.say(cmd.ErrOrStderr(), "%s", plain.Line(x.err.Error()))
			}
			told[x.log] = true
			continue
		}
		c := x.what
		if !want(c) {
			continue
		}
		if lines != nil {
			if err := lines.Encode(loggedChannel{x.log.name, c}); err != nil {
				return err
			}
		}
		sum := sums[c.Coverage]
		if sum == nil {
			sum = &covered{sessions: map[string]bool{}}
			sums[c.Coverage] = sum
		}
		sum.channels++
		if c.Uncounted {
			sum.lost++
		}
		sum.sessions[c.Session] = true
		sum.down, sum.up = sum.down+c.Down, sum.up+c.Up
		if c.Coverage == recording.Partial {
			line := partialLine(c, kept[c.Session])
			if x.log.name != "" {
				line += ", log " + plain.Word(x.log.name)
			}
			partial = append(partial, line)
		} else if len(c.Missing) > 0 {
			masking++
			for _, m := range c.Missing {
				masked = recording.Missing{Why: m.Why, Stream: m.Stream, Bytes: masked.Bytes + m.Bytes, Lines: masked.Lines + m.Lines}
			}
		}
	}
	if damaged > 0 {
		err = hinted(failf(exitFailure, "%s of the log can't be read, so this isn't all", plain.Count(damaged, "part")), "entry audit verify names them")
	}
	if lines != nil || damaged > 0 && len(logs) == 1 {
		return err
	}
	w := plain.NewTable(cmd.OutOrStdout())
	w.Row("COVERAGE", "CHANNELS", "SESSIONS", "DOWN", "UP")
	for _, c := range append(recording.Coverages(), "") {
		name := string(c)
		if name == "" {
			name = "open"
		}
		sum := sums[c]
		if sum == nil {
			sum = &covered{}
		}
		down, up := plain.Size(sum.down), plain.Size(sum.up)
		if sum.lost > 0 && sum.lost == sum.channels {
			down, up = "-", "-"
		}
		w.Row(name, fmt.Sprint(sum.channels), fmt.Sprint(len(sum.sessions)), down, up)
		lost += sum.lost
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if lost > 0 {
		if _, err := fmt.Fprintf(cmd.OutOrStdout(), "DOWN and UP leave out what was cut off, %s: nobody was left to count\n", plain.Count(lost, "channel")); err != nil {
			return err
		}
	}
	if masking > 0 {
		if _, err := fmt.Fprintf(cmd.OutOrStdout(), "in %s %s\n", plain.Count(masking, "recorded channel"), masked); err != nil {
			return err
		}
	}
	for i, line := range partial {
		if i == 0 {
			line = "partial:\n" + line
		}
		if _, err := fmt.Fprintln(cmd.OutOrStdout(), line); err != nil {
			return err
		}
	}
	return err
}

// partialLine names a channel of which something is missing. The recording of its
// session has so many bytes, 0 where that isn't known.
func partialLine(c evidence.Channel, kept int64) string {
	number := ""
	if c.Number != nil {
		number = fmt.Sprintf(" channel %d", *c.Number)
	}
	words := recording.Describe("", c.Missing)
	if c.Uncounted && kept > 0 {
		words += "; its session's recording has " + plain.Size(kept) + ", sealed"
	}
	return fmt.Sprintf("  %s%s, %s on %s, %s%s", c.Session, number, plain.Word(c.User), plain.Word(c.Target), plain.Time(c.Closed), plain.Line(words))
}
