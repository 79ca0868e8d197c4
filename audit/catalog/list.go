package catalog

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"entry/audit/evidence"
	"entry/audit/plain"
	"entry/session/recording"
)

// Line is a session as a list has it, in JSON.
type Line struct {
	ID       string          `json:"id"`
	User     string          `json:"user"`
	Lab      string          `json:"lab,omitempty"`
	Target   string          `json:"target"`
	Login    string          `json:"login,omitempty"`
	Source   string          `json:"source,omitempty"`
	Rule     string          `json:"rule,omitempty"`
	Policy   string          `json:"policy,omitempty"`
	Start    time.Time       `json:"start,omitzero"`
	End      time.Time       `json:"end,omitzero"`
	State    recording.State `json:"state"`
	Segments uint32          `json:"segments"`
	Bytes    int64           `json:"bytes"`
	Input    bool            `json:"input"`
	// Coverage is the least of the channels; absent while it runs, or where the log
	// isn't here.
	Coverage recording.Coverage `json:"coverage,omitempty"`
	Killed   *evidence.Kill     `json:"killed,omitempty"`
	Reviews  int                `json:"reviews,omitempty"` // how often it was marked as reviewed
	Review   *evidence.Review   `json:"reviewed,omitempty"`
	Starts   []string           `json:"start_files,omitempty"`  // what its transfers wrote of what shells, sshd and git start from
	Removed  *evidence.Removal  `json:"removed,omitempty"`      // of one whose recording was
	Beside   []string           `json:"beside_files,omitempty"` // what targets said too much of beside files: "words", "names"
}

// LineOf is what a recording and the log say of a session.
func LineOf(i recording.Info, notes evidence.Notes) Line {
	state, n := notes.Of(i)
	return Line{Coverage: n.Coverage, Killed: n.Killed, Reviews: n.Reviews, Review: n.Review, Starts: n.Starts, Beside: n.Beside, Removed: n.Removed,
		ID: i.ID, User: i.User, Lab: i.Lab, Target: i.Target, Login: i.Login, Source: i.Source, Rule: i.Rule, Policy: i.Policy,
		Start: i.Start, End: i.End, State: state, Segments: i.Segments, Bytes: i.Size, Input: i.Input,
	}
}

// Table writes a list of sessions for people.
func Table(out io.Writer, list []recording.Info, notes evidence.Notes) error {
	w := plain.NewTable(out)
	w.Row("ID", "USER", "TARGET", "START", "END", "STATE", "COVERAGE", "REVIEWED", "SIZE")
	for _, i := range list {
		state, n := notes.Of(i)
		by := "-"
		if n.Review != nil {
			by = plain.Word(n.Review.By.Person())
		}
		w.Row(i.ID, plain.Word(i.User), plain.Word(i.Target), plain.Time(i.Start), plain.Time(i.End), stateOf(state, n), cmp.Or(string(n.Coverage), "-"), by, sizeOf(i))
	}
	return w.Flush()
}

// sizeOf is how large a recording is that is here.
func sizeOf(i recording.Info) string {
	if isGone(i) {
		return "-"
	}
	return plain.Size(i.Size)
}

// isGone reports whether all that there is of a session is what the log has.
func isGone(i recording.Info) bool {
	switch i.State {
	case evidence.StateErased, evidence.StateExpired, evidence.StateMissing:
		return true
	}
	return false
}

// stateOf is a session's state, and by which order it came to that.
func stateOf(state recording.State, n evidence.Note) string {
	if state == evidence.StateErased && n.Removed != nil && n.Removed.Order != nil {
		return "erased by " + plain.Word(n.Removed.Order.ID)
	}
	return string(state)
}

// NotListed says what of the sessions that are wanted isn't in a list, since its recording
// isn't here: how many of which state; "" for none.
func NotListed(gone []recording.Info, notes evidence.Notes) string {
	var parts []string
	for _, s := range []struct {
		state recording.State
		what  string
	}{{evidence.StateErased, "erased"}, {evidence.StateExpired, "removed after retention"}, {evidence.StateMissing, "missing"}} {
		n, orders := 0, map[string]bool{}
		for _, i := range gone {
			if i.State != s.state {
				continue
			}
			n++
			if _, note := notes.Of(i); note.Removed != nil && note.Removed.Order != nil {
				orders[note.Removed.Order.ID] = true
			}
		}
		if n == 0 {
			continue
		}
		part := fmt.Sprintf("%d %s", n, s.what)
		if len(orders) > 0 {
			part += " by " + plain.List(slices.Sorted(maps.Keys(orders)), 5)
		}
		parts = append(parts, part)
	}
	if len(parts) == 0 {
		return ""
	}
	return "beside these there were sessions whose recordings aren't here: " + strings.Join(parts, ", ")
}
