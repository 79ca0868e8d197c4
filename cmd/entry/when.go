package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// parseWhen parses a date, a time or an age before now; "" is the zero time.
func parseWhen(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return now.AddDate(0, 0, -int(n)), nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, fmt.Errorf("%q: want 2026-03-01, 2026-03-01T09:00:00Z, 90m, 24h or 7d", s)
}

// parseSpan parses what --since and --until say, as parseWhen does.
func parseSpan(since, until string, now time.Time) (from, to time.Time, err error) {
	if from, err = parseWhen(since, now); err != nil {
		return from, to, failf(exitUsage, "--since %w", err)
	}
	if to, err = parseWhen(until, now); err != nil {
		return from, to, failf(exitUsage, "--until %w", err)
	}
	return from, to, nil
}
