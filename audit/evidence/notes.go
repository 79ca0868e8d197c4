package evidence

import (
	"time"

	"entry/audit"
	"entry/session/recording"
)

// Note is what the log says of a session besides its recording.
type Note struct {
	Ended    time.Time          // zero while it runs
	Coverage recording.Coverage // the least of its channels; "" while it runs
	Review   *Review            // the newest; nil where nobody has reviewed it
	Reviews  int
}

// Review is that somebody has reviewed a session.
type Review struct {
	By   audit.Actor `json:"by"`
	At   time.Time   `json:"at"`
	Note string      `json:"note,omitempty"` // theirs
}

// Notes are what the log says of each session that has ended or was reviewed, by its
// ID.
func Notes(logDir string) (map[string]Note, error) {
	out := map[string]Note{}
	for _, dir := range append(audit.Before(logDir), logDir) {
		for e, err := range audit.Scan(dir, audit.SessionEnded, audit.SessionReviewed) {
			if err != nil {
				return nil, err
			}
			n := out[e.Session]
			switch e.Type {
			case audit.SessionEnded:
				n.Ended, n.Coverage = e.Time, recording.Coverage(e.Coverage)
			case audit.SessionReviewed:
				n.Review, n.Reviews = &Review{At: e.Time, Note: e.Detail}, n.Reviews+1
				if e.Actor != nil {
					n.Review.By = *e.Actor
				}
			}
			out[e.Session] = n
		}
	}
	return out, nil
}
