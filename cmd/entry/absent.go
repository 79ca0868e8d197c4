package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"entry/audit/evidence"
	"entry/audit/plain"
	"entry/audit/segment"
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
		from, to, ok := strings.Cut(r, "-")
		a := segment.Absent{}
		var ferr, terr error
		a.From, ferr = strconv.ParseUint(from, 10, 63)
		a.To, terr = strconv.ParseUint(to, 10, 63)
		if !ok || ferr != nil || terr != nil || a.From < 1 || a.To < a.From {
			return nil, failf(exitUsage, "--absent %q: want the numbers of the first and the last record, such as 4711-9000", r)
		}
		all = append(all, a)
	}
	return all, nil
}

// absentFlags are what parseAbsent reads.
func absentFlags(all []segment.Absent) string {
	var flags []string
	for _, a := range all {
		flags = append(flags, fmt.Sprintf("--absent %d-%d", a.From, a.To))
	}
	return strings.Join(flags, " ")
}
