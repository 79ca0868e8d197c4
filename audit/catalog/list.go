package catalog

import (
	"cmp"
	"io"
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
	Beside   []string           `json:"beside_files,omitempty"` // what targets said too much of beside files: "words", "names"
}

// LineOf is what a recording and the log say of a session.
func LineOf(i recording.Info, notes evidence.Notes) Line {
	state, n := notes.Of(i)
	return Line{Coverage: n.Coverage, Killed: n.Killed, Reviews: n.Reviews, Review: n.Review, Starts: n.Starts, Beside: n.Beside,
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
		w.Row(i.ID, plain.Word(i.User), plain.Word(i.Target), plain.Time(i.Start), plain.Time(i.End), string(state), cmp.Or(string(n.Coverage), "-"), by, plain.Size(i.Size))
	}
	return w.Flush()
}
