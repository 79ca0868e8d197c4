//go:build linux

package main

import (
	"errors"
	"time"

	"github.com/spf13/cobra"

	"entry/bastion/admin"
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

// readEnd reads an account's last moment.
func readEnd(text string, now time.Time) (time.Time, error) {
	ends, err := admin.ParseEnd(text, now)
	switch {
	case errors.Is(err, admin.ErrPast):
		return time.Time{}, hinted(failf(exitUsage, "%w", err), "entry user disable takes access away at once")
	case err != nil:
		return time.Time{}, failf(exitUsage, "%w", err)
	}
	return ends, nil
}
