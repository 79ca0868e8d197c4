package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// whenForms are the forms of a time, for the help of the flags that take one.
const whenForms = `2026-03-01, "2026-03-01 14:00", 14:00 (today), 90m, 24h, 7d`

// dateForms are the forms of a date, with a time of day or without, and how long what
// each names lasts.
var dateForms = []struct {
	layout string
	lasts  time.Duration
}{
	{time.RFC3339, time.Second},
	{"2006-01-02T15:04:05", time.Second}, {"2006-01-02 15:04:05", time.Second},
	{"2006-01-02T15:04Z07:00", time.Minute}, {"2006-01-02T15:04", time.Minute}, {"2006-01-02 15:04", time.Minute},
	{time.DateOnly, 24 * time.Hour},
}

// dayForms are the forms of a time of day.
var dayForms = []struct {
	layout string
	lasts  time.Duration
}{{"15:04", time.Minute}, {"15:04:05", time.Second}}

// parseDate parses a date, with a time of day or without: when what s names begins, and
// how long it lasts.
func parseDate(s string) (at time.Time, lasts time.Duration, ok bool) {
	for _, f := range dateForms {
		if at, err := time.Parse(f.layout, s); err == nil {
			return at, f.lasts, true
		}
	}
	return time.Time{}, 0, false
}

// parseDay parses a time of day of the day, in UTC, that now is in.
func parseDay(s string, now time.Time) (at time.Time, lasts time.Duration, ok bool) {
	for _, f := range dayForms {
		if t, err := time.Parse(f.layout, s); err == nil {
			now = now.UTC()
			return time.Date(now.Year(), now.Month(), now.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.UTC), f.lasts, true
		}
	}
	return time.Time{}, 0, false
}

// parseWhile parses a date, a time of day of today or an age before now, as every flag
// takes it: when what s names begins, and when it is over. Both are the same for an
// age, and zero for "".
func parseWhile(s string, now time.Time) (from, to time.Time, err error) {
	if s == "" {
		return from, to, nil
	}
	at, lasts, ok := parseDate(s)
	if !ok {
		at, lasts, ok = parseDay(s, now)
	}
	if ok {
		return at, at.Add(lasts), nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			at = now.AddDate(0, 0, -int(n))
			return at, at, nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		at = now.Add(-d)
		return at, at, nil
	}
	return from, to, fmt.Errorf("%q: want %s, with seconds or without; UTC unless it ends as in 2026-03-01T14:00:05+01:00", s, whenForms)
}

// parseWhen is when that begins what parseWhile parses.
func parseWhen(s string, now time.Time) (time.Time, error) {
	from, _, err := parseWhile(s, now)
	return from, err
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
