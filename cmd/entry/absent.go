package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"entry/audit/evidence"
	"entry/audit/plain"
	"entry/audit/segment"
	"entry/audit/verdict"
	"entry/session/recording"
)

// tellAbsent says on standard error which records what is shown lacks, where err is about
// that, and tells whether it is.
func tellAbsent(cmd *cobra.Command, err error) bool {
	var absent *segment.Absent
	if !errors.As(err, &absent) {
		return false
	}
	_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "entry: note: "+plain.Line(err.Error())+", so this lacks what they say") // what is shown is the result
	return true
}

// tellLacks does so of what notes lack of recordings.
func tellLacks(cmd *cobra.Command, notes evidence.Notes, list ...recording.Info) {
	for _, a := range notes.Lacks(list) {
		tellAbsent(cmd, a)
	}
}

// parseAbsent reads what --absent says.
func parseAbsent(ranges []string) (all []segment.Absent, err error) {
	for _, r := range ranges {
		a, err := verdict.ParseAbsent(r)
		if err != nil {
			return nil, failf(exitUsage, "--absent %w", err)
		}
		all = append(all, a)
	}
	return all, nil
}
