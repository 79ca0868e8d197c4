package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"entry/audit"
	"entry/audit/evidence"
	"entry/audit/plain"
	"entry/audit/segment"
	"entry/audit/witness"
)

// tellVerdict says what was found of a log that is sound.
func tellVerdict(w io.Writer, rep audit.Report, vouched *vouchers) {
	for _, g := range rep.Gaps {
		fmt.Fprintln(w, g)
	}
	fmt.Fprintln(w, rep)
	for _, a := range rep.Absent {
		fmt.Fprintf(w, "%v; which they were is proven, what they say isn't known\n", &a)
	}
	vouched.tell(w)
	tellUnsigned(w, rep)
}

// maxAsides is of how many starts verify tells what they set aside.
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

// verdict is verify's --json line.
type verdict struct {
	Log         string     `json:"log,omitempty"` // which, of several
	Consistent  bool       `json:"consistent"`
	Events      uint64     `json:"events,omitempty"`
	Since       uint64     `json:"since,omitempty"` // the first so many weren't read again
	Last        *time.Time `json:"last,omitempty"`
	Witnessed   uint64     `json:"witnessed,omitempty"`
	WitnessedAt *time.Time `json:"witnessed_at,omitempty"`
	Where       string     `json:"witness_lies,omitempty"` // on which file system
	NoWitness   string     `json:"no_witness,omitempty"`   // why it is none
	WitnessCut  bool       `json:"witness_cut,omitempty"`  // its last checkpoint isn't whole
	Recordings  int        `json:"recordings,omitempty"`   // consistent with the log
	Rewrapped   int        `json:"rewrapped,omitempty"`    // of them, sealed to other auditors since
	Pending     int        `json:"rewrap_pending,omitempty"`
	Unproven    int        `json:"rewrap_unproven,omitempty"` // by whom, as their headers are an older version's

	Absent    []segment.Absent `json:"absent,omitempty"`    // records whose segments aren't here
	Unjudged  int              `json:"unjudged,omitempty"`  // recordings that only they could be held against
	Uncovered *audit.Uncovered `json:"uncovered,omitempty"` // beyond the checkpoint
	Aside     []audit.Aside    `json:"aside,omitempty"`
	Witnesses []witness.Reach  `json:"witnesses,omitempty"` // up to where each vouches for the log
	Unmet     string           `json:"unmet,omitempty"`     // what is said where too few of them do

	Gaps []audit.GapReport `json:"gaps,omitempty"`

	File    string `json:"file,omitempty"`
	Line    uint64 `json:"line,omitempty"`
	Through uint64 `json:"through,omitempty"`
	Seq     uint64 `json:"seq,omitempty"`
	Why     string `json:"why,omitempty"`
}

func writeVerdict(w io.Writer, log oneLog, rep audit.Report, vouched *vouchers, kept evidence.Report, err error) error {
	v := verdict{Log: log.name, Witnesses: vouched.reach, Recordings: kept.Recordings, Rewrapped: kept.Rewrapped, Pending: kept.Pending, Unproven: kept.Unproven, Consistent: err == nil, Events: rep.Events, Witnessed: rep.Witnessed, Where: rep.Where, NoWitness: rep.NoWitness, WitnessCut: rep.WitnessCut, Aside: rep.Aside, Gaps: rep.Gaps, Absent: rep.Absent, Unjudged: kept.Unjudged, Since: rep.Since}
	if rep.Uncovered.Bytes > 0 {
		v.Uncovered = &rep.Uncovered
	}
	if !rep.Last.IsZero() {
		v.Last = &rep.Last
	}
	if !rep.WitnessedAt.IsZero() {
		v.WitnessedAt = &rep.WitnessedAt
	}
	if vouched.short != nil {
		v.Unmet = vouched.short.Error()
	}
	var bad *audit.BadRecord
	if errors.As(err, &bad) {
		v.File, v.Seq, v.Why = bad.File, bad.Seq, bad.Why
		v.Line, v.Through = bad.InFile()
	} else if err != nil {
		v.Why = err.Error()
	}
	return json.NewEncoder(w).Encode(v)
}
