package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"entry/audit/plain"
	"entry/audit/when"
)

func asJSON(cmd *cobra.Command) bool {
	on, err := cmd.Flags().GetBool("json")
	return err == nil && on
}

// jsonLines returns an encoder for --json, nil without it.
func jsonLines(cmd *cobra.Command) (*json.Encoder, error) {
	on, err := cmd.Flags().GetBool("json")
	if err != nil || !on {
		return nil, err
	}
	return plain.JSON(cmd.OutOrStdout()), nil
}

// printEach prints every item on a line of its own: as text says, or with --json
// as an object.
func printEach[T any](cmd *cobra.Command, items []T, text func(T) string) error {
	lines, err := jsonLines(cmd)
	for i := 0; i < len(items) && err == nil; i++ {
		if lines != nil {
			err = lines.Encode(items[i])
		} else {
			_, err = fmt.Fprintln(cmd.OutOrStdout(), text(items[i]))
		}
	}
	return err
}

// printJSON prints values as JSON, one a line.
func printJSON[T any](cmd *cobra.Command, all ...T) error {
	lines := plain.JSON(cmd.OutOrStdout())
	for _, v := range all {
		if err := lines.Encode(v); err != nil {
			return err
		}
	}
	return nil
}

// parseSpan parses what --since and --until say.
func parseSpan(since, until string, now time.Time) (from, to time.Time, err error) {
	if from, err = when.Parse(since, now); err != nil {
		return from, to, failf(exitUsage, "--since %w", err)
	}
	if to, err = when.Parse(until, now); err != nil {
		return from, to, failf(exitUsage, "--until %w", err)
	}
	if !from.IsZero() && !to.IsZero() && !from.Before(to) {
		return from, to, failf(exitUsage, "--until %s isn't later than --since %s, so nothing lies between them", plain.Quote(until), plain.Quote(since))
	}
	return from, to, nil
}
