package plain

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestSizes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		n           int64
		size, limit string
	}{
		{0, "0 B", "0 bytes"},
		{512, "512 B", "512 bytes"},
		{1 << 10, "1024 B", "1 KiB"},
		{9_999, "9999 B", "9.765 KiB"},
		{10_000, "10 kB", "9.766 KiB"},
		{3 << 19, "1572 kB", "1.5 MiB"},
		{10_000_000, "10 MB", "9.537 MiB"},
		{20 << 30, "21474 MB", "20 GiB"},
		{3 << 40, "3298534 MB", "3 TiB"},
	}
	for _, tt := range tests {
		if size, limit := Size(tt.n), Limit(tt.n); size != tt.size || limit != tt.limit {
			t.Errorf("%d bytes are %q and %q, want %q and %q", tt.n, size, limit, tt.size, tt.limit)
		}
	}
}

func TestCount(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0 sessions", 1: "1 session", 2: "2 sessions"} {
		if got := Count(n, "session"); got != want {
			t.Errorf("%d are %q, want %q", n, got, want)
		}
	}
}

func TestSpan(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for d, want := range map[time.Duration]string{
		0: "0s", 30 * time.Second: "30s", time.Minute: "1 minute", 90 * time.Minute: "90 minutes", time.Hour: "1 hour",
		12 * time.Hour: "12 hours", day: "24 hours", 2 * day: "2 days", 49 * time.Hour: "49 hours", 90 * day: "90 days",
		90*time.Minute + time.Second: "1h30m1s",
	} {
		if got := Span(d); got != want {
			t.Errorf("Span(%s) = %q, want %q", d, got, want)
		}
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	names := []string{"ann", "ben", "cid", "dot"}
	for most, want := range map[int]string{4: "ann, ben, cid, dot", 9: "ann, ben, cid, dot", 3: "ann, ben, cid and 1 more", 1: "ann and 3 more"} {
		if got := List(names, most); got != want {
			t.Errorf("List of %d = %q, want %q", most, got, want)
		}
	}
	if got := List(nil, 3); got != "" {
		t.Errorf("List of nothing = %q", got)
	}
}

func TestLeft(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Hour: "1 minute", 0: "1 minute", time.Second: "1 minute", time.Minute: "1 minute",
		time.Minute + 1: "2 minutes", 15 * time.Minute: "15 minutes",
	} {
		if got := Left(d); got != want {
			t.Errorf("Left(%s) = %q, want %q", d, got, want)
		}
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 26, 10, 30, 5, 999, time.FixedZone("CET", 3600))
	tests := []struct {
		at                   time.Time
		time, moment, minute string
	}{
		{at, "2026-11-26T09:30:05Z", "2026-11-26 09:30 UTC", "2026-11-26 09:30"},
		{time.Time{}, "-", "never", "never"},
	}
	for _, tt := range tests {
		if a, b, c := Time(tt.at), Moment(tt.at), Minute(tt.at); a != tt.time || b != tt.moment || c != tt.minute {
			t.Errorf("%s is %q, %q and %q, want %q, %q and %q", tt.at, a, b, c, tt.time, tt.moment, tt.minute)
		}
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	w := NewTable(&b)
	w.Row("USER", "STATE")
	w.Row("zoë", "live")
	w.Row("a\tb\x1b\n", "aborted")
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	want := "USER          STATE\nzoë           live\n\"a\\tb\\x1b\\n\"  aborted\n"
	if b.String() != want {
		t.Errorf("the table is\n%swant\n%s", b.String(), want)
	}
}

type fullDisk struct{}

var errFull = errors.New("full")

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }

func TestTableTellsWriteErrors(t *testing.T) {
	t.Parallel()
	w := NewTable(fullDisk{})
	w.Row("a", "b")
	if err := w.Flush(); !errors.Is(err, errFull) {
		t.Errorf("Flush returns %v", err)
	}
}
