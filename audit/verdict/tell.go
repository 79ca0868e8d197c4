package verdict

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"entry/audit"
	"entry/audit/plain"
	"entry/audit/segment"
	"entry/audit/witness"
)

// Tell says what was found, unless the log itself isn't sound: then Err says all. What
// can't be written is lost.
func (v Verdict) Tell(w io.Writer) {
	if !v.sound {
		return
	}
	rep := v.Report
	for _, g := range rep.Gaps {
		fmt.Fprintln(w, g)
	}
	fmt.Fprintln(w, rep)
	for _, k := range rep.Keys {
		fmt.Fprintln(w, k)
	}
	if rep.Dropped.Through > 0 {
		fmt.Fprintln(w, rep.Dropped)
		gone := uint64(0)
		for _, a := range rep.Absent {
			gone += max(min(a.To, rep.Dropped.Through), a.From-1) - (a.From - 1)
		}
		if here := rep.Dropped.Through - gone; here > 0 && rep.Since == 0 {
			fmt.Fprintf(w, "of the records that were dropped %d are here again, and are those that were signed\n", here)
		}
	}
	for _, a := range rep.Absent {
		if rep.Dropped.Has(a.From, a.To) {
			continue
		}
		fmt.Fprintf(w, "%v; which they were is proven, what they say isn't known\n", &a)
	}
	for _, r := range v.Reach {
		fmt.Fprintln(w, r)
	}
	tellUnsigned(w, rep)
	if v.c.Recordings != "" && (v.err == nil || v.Recordings.Recordings > 0) {
		fmt.Fprintln(w, v.Recordings)
	}
	if v.c.Recordings == "" && v.c.Options.Since == nil {
		fmt.Fprintln(w, "no recordings were held against it")
	}
}

// maxAsides is of how many starts it is told what they set aside.
const maxAsides = 10

// tellUnsigned says what was found of lines that nobody signed.
func tellUnsigned(w io.Writer, rep audit.Report) {
	list := rep.Aside
	if n := len(list) - maxAsides; n > 0 {
		list = list[n:]
		fmt.Fprintf(w, "set aside at %s before those that follow: entry audit search --type log.recovered shows them\n", plain.Count(n, "start"))
	}
	for _, a := range list {
		fmt.Fprintln(w, a)
	}
	if u := rep.Uncovered; u.Bytes > 0 {
		fmt.Fprintf(w, "behind them, covered by no checkpoint: %s; never acknowledged, and no part of the log; the next start sets them aside\n", u)
	}
}

// asJSON is a verdict as JSON.
type asJSON struct {
	Consistent  bool       `json:"consistent"`
	Events      uint64     `json:"events,omitempty"`
	Since       uint64     `json:"since,omitempty"` // the first so many weren't read again
	Last        *time.Time `json:"last,omitempty"`
	Witnessed   uint64     `json:"witnessed,omitempty"`
	WitnessedAt *time.Time `json:"witnessed_at,omitempty"`
	Where       string     `json:"witness_lies,omitempty"`    // on which file system
	NoWitness   string     `json:"no_witness,omitempty"`      // why it is none
	WitnessCut  bool       `json:"witness_cut,omitempty"`     // its last checkpoint isn't whole
	Recordings  int        `json:"recordings,omitempty"`      // consistent with the log
	Removed     int        `json:"removed,omitempty"`         // after their lab's retention
	Erased      int        `json:"erased,omitempty"`          // by operators' order
	Unheard     int        `json:"removed_unheard,omitempty"` // of both, while records of the log weren't here
	Rewrapped   int        `json:"rewrapped,omitempty"`       // of them, sealed to other auditors since
	Pending     int        `json:"rewrap_pending,omitempty"`
	Unproven    int        `json:"rewrap_unproven,omitempty"` // by whom, as their headers are an older version's
	Unheld      int        `json:"keys_unheld,omitempty"`     // may have been sealed anew in records that aren't here

	Dropped   *audit.Dropped   `json:"dropped,omitempty"`   // older than the log is kept
	Absent    []segment.Absent `json:"absent,omitempty"`    // records whose segments aren't here
	Unjudged  int              `json:"unjudged,omitempty"`  // recordings that only they could be held against
	Uncovered *audit.Uncovered `json:"uncovered,omitempty"` // beyond the checkpoint
	Aside     []audit.Aside    `json:"aside,omitempty"`
	Witnesses []witness.Reach  `json:"witnesses,omitempty"` // up to where each vouches for the log
	Unmet     string           `json:"unmet,omitempty"`     // what is said where too few of them do

	Gaps []audit.GapReport `json:"gaps,omitempty"`
	Keys []audit.KeyReport `json:"key_changes,omitempty"`

	File    string `json:"file,omitempty"`
	Line    uint64 `json:"line,omitempty"`
	Through uint64 `json:"through,omitempty"`
	Seq     uint64 `json:"seq,omitempty"`
	Why     string `json:"why,omitempty"`
}

// MarshalJSON returns it as one object, whether the log is sound or not.
func (v Verdict) MarshalJSON() ([]byte, error) {
	rep, kept := v.Report, v.Recordings
	j := asJSON{Witnesses: v.Reach, Recordings: kept.Recordings, Removed: kept.Removed, Erased: kept.Erased, Unheard: kept.Unheard, Rewrapped: kept.Rewrapped, Pending: kept.Pending, Unproven: kept.Unproven, Unheld: kept.Unheld, Consistent: v.err == nil, Events: rep.Events, Witnessed: rep.Witnessed, Where: rep.Where, NoWitness: rep.NoWitness, WitnessCut: rep.WitnessCut, Aside: rep.Aside, Gaps: rep.Gaps, Keys: rep.Keys, Absent: rep.Absent, Unjudged: kept.Unjudged, Since: rep.Since}
	if rep.Uncovered.Bytes > 0 {
		j.Uncovered = &rep.Uncovered
	}
	if rep.Dropped.Through > 0 {
		j.Dropped = &rep.Dropped
	}
	if !rep.Last.IsZero() {
		j.Last = &rep.Last
	}
	if !rep.WitnessedAt.IsZero() {
		j.WitnessedAt = &rep.WitnessedAt
	}
	if v.short != nil {
		j.Unmet = v.short.Error()
	}
	var bad *audit.BadRecord
	if errors.As(v.err, &bad) {
		j.File, j.Seq, j.Why = bad.File, bad.Seq, bad.Why
		j.Line, j.Through = bad.InFile()
	} else if v.err != nil {
		j.Why = v.err.Error()
	}
	return json.Marshal(j)
}
