// Package when reads moments as people type them: a date, a time of day, an age, a moment
// of a recording. Every flag and form that takes one takes the same.
//
// # Guarantees
//
// What is no such text is an error that says which there are; nothing is guessed. Times
// are UTC unless they say otherwise. Nothing here asks the clock: now is the caller's.
//
// When not to use it: for times that programs write (RFC 3339, package time), and for
// showing one (audit/plain).
package when

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"entry/audit/plain"
)

// Forms are the forms of a time, for the help of the flags that take one.
const Forms = `2026-03-01, "2026-03-01 14:00", 14:00 (today), 90m, 24h, 7d`

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

// Span parses a date, a time of day of today or an age before now: when what s names
// begins, and when it is over. Both are the same for an
// age, and zero for "".
func Span(s string, now time.Time) (from, to time.Time, err error) {
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
	return from, to, fmt.Errorf("%q: want %s, with seconds or without; UTC unless it ends as in 2026-03-01T14:00:05+01:00", s, Forms)
}

// Parse is when that begins what Span parses; zero for "".
func Parse(s string, now time.Time) (time.Time, error) {
	from, _, err := Span(s, now)
	return from, err
}

// In is a moment of a recording, as a time since its start: after "+" how long after it,
// else a time of day, at or after the start, or a date with one. "" is the start. It is an
// error where the recording, which ended so long after its start, doesn't have it.
func In(s string, start time.Time, end time.Duration) (time.Duration, error) {
	var at time.Duration
	if after, ok := strings.CutPrefix(s, "+"); ok {
		d, err := time.ParseDuration(after)
		if err != nil || d < 0 {
			return 0, fmt.Errorf("%q isn't a time", s)
		}
		at = d
	} else if s != "" {
		moment, err := moment(s, start)
		if err != nil {
			return 0, err
		}
		at = moment.Sub(start)
	}
	if at < 0 || at > end {
		return 0, fmt.Errorf("%s isn't in the recording, which is from %s to %s", s, plain.Time(start), plain.Time(start.Add(end)))
	}
	return at, nil
}

// moment is the first time of day s at or after a start, or the time s.
func moment(s string, start time.Time) (time.Time, error) {
	t, lasts, ok := parseDay(s, start)
	if ok && !start.Before(t.Add(lasts)) {
		t = t.AddDate(0, 0, 1)
	} else if !ok {
		t, lasts, ok = parseDate(s)
	}
	switch {
	case !ok:
		return time.Time{}, fmt.Errorf("%q isn't a time", s)
	case t.Before(start) && start.Before(t.Add(lasts)):
		return start, nil // it started in the middle of that day, minute or second
	}
	return t, nil
}
