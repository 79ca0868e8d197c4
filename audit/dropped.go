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
}

// String says it for people.
func (d Dropped) String() string {
	return fmt.Sprintf("records 1 to %d were dropped %s, since they were older than the log is kept, as event %d says; their tree head stays, and proofs of the others hold", d.Through, d.At.UTC().Format(time.DateOnly), d.Seq)
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
			_ = f.Close() // only read
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
