package evidence

import (
	"fmt"
	"math"

	"entry/audit/plain"
	"entry/audit/segment"
)

// Unheard is that nothing is removed, since records of the log aren't here of which no later
// segment carries the legal holds that stood: a hold may have been placed in them. Those of
// a log before that can't be proven go up to math.MaxInt64.
type Unheard struct {
	Recordings int // that stay for that; 0 where it is the log's beginning that stays
	Records    []segment.Absent
}

func (u *Unheard) Error() string {
	what := "the audit log's beginning stays"
	if u.Recordings == 1 {
		what = "1 recording stays"
	} else if u.Recordings > 1 {
		what = plain.Count(u.Recordings, "recording") + " stay"
	}
	if u.Records[0].To == math.MaxInt64 {
		return what + ": the audit log before isn't what was signed, and a legal hold may have been placed in it: put its files back from a backup, or, if they are lost for good, place its holds anew and move the folder before out of the log's; then start entry serve again"
	}
	return fmt.Sprintf("%s: records %d to %d of the audit log aren't here, in which a legal hold may have been placed: put their segments back and start entry serve again; then each new segment carries the holds that stand, and they may go", what, u.Records[0].From, u.Records[0].To)
}
