//go:build linux

package main

import (
	"time"

	"github.com/spf13/cobra"
)

func endCmd() *cobra.Command {
	return setCmd("end USER DATE|never", "Give an account a last day, or none",
		`Give an account a last day: from the next day on (UTC) nobody logs in with it, and
logins of the 14 days before say so. Nothing is deleted. "never" takes the end
away.`,
		"  entry user end alice 2027-06-30\n  entry user end alice 2027-06-30T12:00:00Z\n  entry user end alice never",
		"/end", "the last day", func(text string) (any, error) {
			ends, err := readEnd(text, time.Now())
			return map[string]time.Time{"ends": ends}, err
		})
}

// readEnd reads an account's last moment: a day, which counts whole, a moment,
// or never, the zero time.
func readEnd(text string, now time.Time) (time.Time, error) {
	if text == "never" {
		return time.Time{}, nil
	}
	ends, err := time.Parse(time.DateOnly, text)
	if err == nil {
		ends = ends.AddDate(0, 0, 1).Add(-time.Second)
	} else if ends, err = time.Parse(time.RFC3339, text); err != nil {
		return time.Time{}, failf(exitUsage, "%q is no date: write it as 2027-06-30, as 2027-06-30T12:00:00Z, or never", text)
	}
	if !ends.After(now) {
		return time.Time{}, hinted(failf(exitUsage, "%s is in the past", text), "entry user disable takes access away at once")
	}
	return ends, nil
}
