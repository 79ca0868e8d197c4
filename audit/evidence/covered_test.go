package evidence

import (
	"strings"
	"testing"
	"time"

	"entry/e2e/testkit"
	"entry/session/recording"
)

func TestCovered(t *testing.T) {
	t.Parallel()
	at, three := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC), uint32(3)
	s := Covered{Kept: map[string]int64{"c": 2048}}
	for _, c := range []Channel{
		{Session: "a", Coverage: recording.Recorded, Down: 1000, Up: 24, Beside: 300},
		{Session: "a", Coverage: recording.Recorded, Missing: []recording.Missing{{Stream: "input", Lines: 2, Bytes: 9, Why: "masked"}}},
		{Session: "b", User: "al\x1bice", Target: "home.tinker", Number: &three, Closed: at, Coverage: recording.Partial, Missing: []recording.Missing{{Stream: "output", Bytes: 9, Why: "bulk"}}},
		{Session: "c", User: "bob", Target: "home.tinker", Closed: at, Coverage: recording.Partial, Uncounted: true},
		{Session: "d"},
	} {
		s.Add("two.test", c)
	}
	var out strings.Builder
	testkit.Check(t, s.Tell(&out))
	for _, want := range []string{
		"recorded  2         1         1000 B  24 B", "\nopen      1         1 ",
		"\nDOWN and UP leave out what was cut off, 1 channel: nobody was left to count\n",
		"\nin 1 transfer targets said 300 B beside the files: words and names, which no manifest has\n", "\nin 1 recorded channel ", "\npartial:\n",
		"\n  b channel 3, \"al\\x1bice\" on home.tinker, 2026-03-02T09:00:00Z", "\n  c, bob on home.tinker, ",
		"; its session's recording has 2048 B, sealed, log two.test\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q isn't in\n%s", want, out.String())
		}
	}
}
