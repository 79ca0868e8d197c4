package when

import (
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	now := time.Date(2026, 3, 8, 12, 0, 0, 0, time.UTC)
	for s, want := range map[string]string{
		"2026-03-01":                "2026-03-01T00:00:00Z",
		"2026-03-01 09:30":          "2026-03-01T09:30:00Z",
		"2026-03-01T09:30:00+01:00": "2026-03-01T08:30:00Z",
		"7d":                        "2026-03-01T12:00:00Z",
		"90m":                       "2026-03-08T10:30:00Z",
		"2026-03-01 09:30:07":       "2026-03-01T09:30:07Z",
		"2026-03-01T09:30Z":         "2026-03-01T09:30:00Z",
		"08:30":                     "2026-03-08T08:30:00Z",
		"08:30:05":                  "2026-03-08T08:30:05Z",
	} {
		if got, err := Parse(s, now); err != nil || got.UTC().Format(time.RFC3339) != want {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"-1h", "d", "7", "2026-13-01", "99999999d", "25:00", "8", "2026-03-01 9"} {
		if got, err := Parse(s, now); err == nil {
			t.Errorf("%s: %v", s, got)
		}
	}
}

func TestIn(t *testing.T) {
	start := time.Date(2026, 1, 2, 13, 59, 30, 0, time.UTC)
	for s, want := range map[string]time.Duration{
		"": 0, "+0s": 0, "+90s": 90 * time.Second, "13:59": 0, "13:59:30": 0, "14:00": 30 * time.Second, "14:00:05": 35 * time.Second, "00:10": 10*time.Hour + 10*time.Minute + 30*time.Second,
		"2026-01-02 14:00": 30 * time.Second, "2026-01-02 13:59": 0, "2026-01-02 14:00:01": 31 * time.Second, "2026-01-02": 0, "2026-01-02T14:00:00Z": 30 * time.Second, "2026-01-02T15:00:00+01:00": 30 * time.Second,
		"+13h": -1, "13:58": -1, "2026-01-02T13:00:00Z": -1, "+x": -1, "-5s": -1, "+-5s": -1, "25:00": -1, "noon": -1,
	} {
		got, err := In(s, start, 12*time.Hour)
		if want < 0 && err == nil || want >= 0 && (err != nil || got != want) {
			t.Errorf("%q: %v, %v, want %v", s, got, err, want)
		}
	}
}
