//go:build linux

package evidence

import (
	"fmt"
	"testing"
	"time"

	"entry/audit"
	"entry/e2e/testkit"
	"entry/session/recording"
)

// Every channel of the log has a coverage, whatever ended it: itself, its session,
// a crash, a version that noted none.
func TestCoverage(t *testing.T) {
	dir := t.TempDir()
	signer, _, err := audit.GenerateKey("entry.test")
	testkit.Check(t, err)
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	log := testkit.Must(audit.Open(dir, audit.Options{Key: signer, Now: func() time.Time { return now }}))(t)
	add := func(kind audit.Type, session string, channel int, more audit.Event) {
		more.Type, more.Session, more.User, more.Lab, more.Target = kind, session, "alice", "tinker", "home.tinker"
		if channel >= 0 {
			n := uint32(channel)
			more.Channel = &n
		}
		testkit.Check(t, log.Append(t.Context(), more))
		now = now.Add(time.Minute)
	}
	none := audit.Event{}
	add(audit.ServerStarted, "", -1, none)
	add(audit.ChannelOpened, "a", 0, none)
	add(audit.ChannelClosed, "a", 0, audit.Event{Coverage: "recorded", BytesDown: 7, BytesBeside: 3, Missing: []audit.Missing{{Stream: "input", Bytes: 9, Lines: 2, Why: "masked"}}})
	later := now
	add(audit.ChannelOpened, "a", 1, none)
	add(audit.ForwardOpened, "a", 2, none)
	add(audit.ForwardOpened, "t", -1, none) // a target that isn't SSH
	add(audit.ChannelRefused, "a", -1, none)
	add(audit.ChannelRefused, "a", 1, none) // X11 on a channel that runs
	add(audit.ForwardRefused, "a", -1, audit.Event{Count: 3})
	add(audit.ChannelClosed, "a", 1, audit.Event{Coverage: "partial", Missing: []audit.Missing{{Stream: "output", Bytes: 9, Why: "bulk"}}})
	add(audit.ForwardClosed, "t", -1, audit.Event{BytesDown: 1, BytesUp: 2})
	add(audit.SessionEnded, "a", -1, none)
	add(audit.ChannelOpened, "b", 0, none)
	add(audit.ChannelOpened, "o", 0, none)
	add(audit.ChannelClosed, "o", 0, none) // by an older version
	crash := now.Add(-time.Minute)
	add(audit.LogRecovered, "", -1, none) // by the restart, which comes later
	add(audit.RecordingAborted, "b", -1, none)
	add(audit.ServerStarted, "", -1, none) // b's ended with a crash
	add(audit.ChannelOpened, "c", 0, none) // c's runs

	got := func(since time.Time) (out []string) {
		for c, err := range Coverage(dir, since) {
			testkit.Check(t, err)
			number := "-"
			if c.Number != nil {
				number = fmt.Sprint(*c.Number)
			}
			if c.Session == "b" && (!c.Closed.Equal(crash) || !c.Uncounted) {
				t.Errorf("the channel that a crash cut ended at %v, uncounted %v; want %v", c.Closed, c.Uncounted, crash)
			}
			if c.Session == "a" && number == "0" && c.Beside != 3 {
				t.Errorf("%d bytes beside files", c.Beside)
			}
			out = append(out, fmt.Sprintf("%s %s %s", c.Session, number, recording.Describe(c.Coverage, c.Missing)))
		}
		return out
	}
	want := []string{
		"a - refused", "a - refused", "a - refused", "a - refused",
		"a 1 partial: 9 B of output missing (more than policy keeps of bulk)",
		"t - metadata",
		"a 2 partial: its session ended before it did",
		"o 0 partial: it ended under an older version, which noted no coverage",
		"b 0 partial: the server ended before it did",
		"c 0 ",
	}
	if all := got(time.Time{}); fmt.Sprint(all) != fmt.Sprint(append([]string{"a 0 recorded: 2 lines of input, 9 B, missing (masked as answers to password prompts)"}, want...)) {
		t.Errorf("%q", all)
	}
	testkit.Check(t, log.Close())
	want[len(want)-1] = "c 0 partial: the server ended before it did"
	if since := got(later); fmt.Sprint(since) != fmt.Sprint(want) {
		t.Errorf("since: %q", since)
	}
}
