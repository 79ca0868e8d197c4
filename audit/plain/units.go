package plain

import (
	"fmt"
	"strings"
	"time"
)

// Size says how many bytes there are, in decimal units: "512 B", "36 kB",
// "1234 MB". It rounds down.
func Size(n int64) string {
	switch {
	case n < 10_000:
		return fmt.Sprintf("%d B", n)
	case n < 10_000_000:
		return fmt.Sprintf("%d kB", n/1000)
	}
	return fmt.Sprintf("%d MB", n/1_000_000)
}

// Limit says how many bytes are allowed, in the binary units in which policy
// and configuration state limits: "512 bytes", "1.5 KiB", "20 GiB". It shows
// four digits.
func Limit(n int64) string {
	for _, u := range []struct {
		size int64
		name string
	}{{1 << 40, "TiB"}, {1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= u.size {
			return fmt.Sprintf("%.4g %s", float64(n)/float64(u.size), u.name)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}

// Count says how many there are of something whose plural has an s: "1
// session", "0 sessions".
func Count(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}

// List is names one after the other, of which it spells most out: "a, b and 3
// more".
func List(names []string, most int) string {
	if more := len(names) - most; more > 0 {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(names, ", ")
}

// Span says a duration in the largest unit that states it exactly: "90 days",
// "24 hours", "90 minutes", or as Go does below a minute. Days start at two.
func Span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d >= 2*day && d%day == 0:
		return Count(int(d/day), "day")
	case d >= time.Hour && d%time.Hour == 0:
		return Count(int(d/time.Hour), "hour")
	case d >= time.Minute && d%time.Minute == 0:
		return Count(int(d/time.Minute), "minute")
	}
	return d.String()
}

// Left says how long there is still to wait, in minutes: at least one, and
// rounded up, so that whoever waits that long needn't wait again.
func Left(d time.Duration) string {
	return Count(max(1, int((d+time.Minute-1)/time.Minute)), "minute")
}

// Time is t in UTC to the second, for listings: "2026-11-26T09:30:00Z", or "-"
// for the zero time.
func Time(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

// Moment is t in UTC to the minute, for sentences: "2026-11-26 09:30 UTC", or
// "never" for the zero time.
func Moment(t time.Time) string {
	if t.IsZero() {
		return never
	}
	return t.UTC().Format("2006-01-02 15:04 UTC")
}

// Minute is Moment without its zone, for columns that say that they are in UTC.
func Minute(t time.Time) string {
	if t.IsZero() {
		return never
	}
	return t.UTC().Format("2006-01-02 15:04")
}

const never = "never"
