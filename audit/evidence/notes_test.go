package evidence

import (
	"encoding/hex"
	"testing"
	"time"

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

// Of sessions whose recordings aren't here the log says whose they were, and what became of
// those: by which order, too.
func TestNotHere(t *testing.T) {
	id := func(n string) string { return "01JQ8Z3M6W000000000000000" + n }
	ended := func(n, coverage string) audit.Event {
		return audit.Event{Type: audit.SessionEnded, Time: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC), Session: id(n), User: "alice", Lab: "tinker", Target: "home.tinker", Source: "192.0.2.7:1", Coverage: coverage}
	}
	removed := func(n, reason, order string) audit.Event {
		return audit.Event{Type: audit.RecordingRemoved, Session: id(n), User: "bob", Reason: reason, Ref: order, Detail: "request 44"}
	}
	notes := NotesBy([]audit.Event{
		ended("1", "recorded"), ended("2", "recorded"), ended("3", "metadata"), ended("4", "refused"), ended("5", ""), ended("6", "partial"), ended("7", "recorded"),
		{Type: audit.ErasureOrdered, Ref: "un22b7lw", User: "alice", Actor: &audit.Actor{Name: "ada"}, Detail: "request 44"},
		removed("2", audit.ReasonErasure, "un22b7lw"), removed("3", audit.ReasonErasure, "elsewhere"), removed("7", "retention", ""), removed("8", "retention", ""),
	})
	got := ""
	for _, i := range notes.NotHere([]recording.Info{{Header: recording.Header{ID: id("1")}}}) {
		state, note := notes.Of(i)
		got += i.ID[25:] + " " + i.User + " " + i.Target + " " + string(state)
		if i.Start.IsZero() || i.Start.Year() != 2025 {
			t.Errorf("%s began at %v", i.ID, i.Start)
		}
		if r := note.Removed; r != nil && r.Order != nil {
			got += " " + r.Order.ID + " " + r.Order.By.Name + " " + r.Order.Reason
		}
		got += "\n"
	}
	want := "2 bob home.tinker erased un22b7lw ada request 44\n3 bob home.tinker erased elsewhere  request 44\n6 alice home.tinker missing\n7 bob home.tinker removed\n8 bob  removed\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
