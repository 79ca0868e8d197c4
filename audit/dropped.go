package audit

import (
	"encoding/hex"
	"fmt"
	"time"
)

// Dropped is that a log removed its first records.
type Dropped struct {
	Through uint64    `json:"through"` // the last of them
	Seq     uint64    `json:"seq"`     // of the event that says so
	At      time.Time `json:"time"`
	Head    string    `json:"head"` // the tree head over them
	// Before is what they are all older than, by that event.
	Before time.Time `json:"before,omitzero"`
}

// LeastKeep is how long each record is kept at least.
const LeastKeep = 90 * 24 * time.Hour

// contradicted is in what the event contradicts itself, as the predicate of a sentence; "" for
// nothing. next is when the first record was written that is left, zero where that isn't known.
func (d Dropped) contradicted(next time.Time) string {
	switch {
	case d.Before.IsZero():
		return "says that records were dropped, and not how old they were"
	case d.At.Sub(d.Before) < LeastKeep-maxStepBack:
		return fmt.Sprintf("says that the first %d records were dropped, since they were older than %s: a log keeps each for %d days at least", d.Through, d.Before.UTC().Format(time.RFC3339), LeastKeep/(24*time.Hour))
	case !next.IsZero() && !next.Before(d.Before):
		return fmt.Sprintf("says that the first %d records were dropped, since they were older than %s, but the next one is of %s, and what is of one time goes with what follows it: they weren't", d.Through, d.Before.UTC().Format(time.RFC3339), next.UTC().Format(time.RFC3339))
	}
	return ""
}

// String says it for people.
func (d Dropped) String() string {
	return fmt.Sprintf("records 1 to %d were dropped %s, since they were older than the log is kept, as event %d says (older than %s); their tree head stays, and proofs of the others hold", d.Through, d.At.UTC().Format(time.DateOnly), d.Seq, d.Before.UTC().Format(time.DateOnly))
}

// Has tells whether records are among those that were dropped.
func (d Dropped) Has(from, to uint64) bool { return from <= to && to <= d.Through }

// lastDropped is the furthest of what events say was dropped. Each has to have the tree head
// that the log has over it.
func (w *verification) lastDropped() (last Dropped, err error) {
	for _, d := range w.dropped {
		f, ok, err := openHashes(w.dir)
		if err != nil {
			return last, err
		}
		if ok {
			head, proven := storedHashes{f}.rootAt(d.Through, w.signed)
			_ = f.Close()                           // only read
			next, _, err := w.proven(d.Through + 1) // zero where it isn't here
			if err != nil {
				return last, err
			}
			if why := d.contradicted(next.Time); why != "" {
				return last, badLine(d.Seq, d.Seq, "%s", why)
			}
			if proven && hex.EncodeToString(head[:]) != d.Head {
				return last, badLine(d.Seq, d.Seq, "says that the first %d records were dropped, with another tree head than theirs", d.Through)
			}
		}
		if d.Through >= last.Through {
			last = d
		}
	}
	return last, nil
}
