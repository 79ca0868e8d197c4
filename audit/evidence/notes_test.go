package evidence

import (
	"encoding/hex"
	"testing"

	"entry/audit"
	"entry/session/recording"
)

// A recording without an end is known to be cut where the log says why: a crash did it
// where it ends, or writing it failed.
func TestWhyARecordingHasNoEnd(t *testing.T) {
	info := recording.Info{Header: recording.Header{ID: "a"}, State: recording.StateAborted, Segments: 3, Head: [32]byte{7}}
	aborted := func(segments uint32) audit.Event {
		return audit.Event{Type: audit.RecordingAborted, Session: "a", Recording: &audit.Recording{ID: "a", Segments: segments, Head: hex.EncodeToString(info.Head[:])}}
	}
	failed := func(id string) audit.Event { return audit.Event{Type: audit.RecordingFailed, Session: id} }
	damaged := info
	damaged.State = recording.Damaged
	for _, tc := range []struct {
		name   string
		info   recording.Info
		events []audit.Event
		want   string
	}{
		{"nothing is known", info, nil, ""},
		{"a crash", info, []audit.Event{aborted(3)}, "a crash cut it"},
		{"a crash, and less is there", info, []audit.Event{aborted(4)}, ""},
		{"it failed", info, []audit.Event{failed("a")}, "writing it failed"},
		{"another one failed", info, []audit.Event{failed("b")}, ""},
		{"it failed, then a crash, and less is there", info, []audit.Event{failed("a"), aborted(4)}, ""},
		{"it failed, and is damaged", damaged, []audit.Event{failed("a")}, ""},
	} {
		if got := NotesBy(tc.events).KnownCut(tc.info); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}
