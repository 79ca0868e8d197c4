package evidence

import (
	"errors"
	"time"

	"entry/audit"
	"entry/audit/segment"
)

// absence is records of a log of which no segment is here, between two events that are.
type absence struct {
	segment.Absent
	since, until time.Time // of the events around it; zero where there is none
}

// absences are those of a log and of the logs before it.
type absences struct {
	all  []absence
	last time.Time // of the event before
	open bool      // the last one has no event behind it yet
}

// event takes in the next event, or what was said of records instead; false for another
// error.
func (a *absences) event(e audit.Event, err error) bool {
	var absent *segment.Absent
	switch {
	case errors.As(err, &absent):
		a.all = append(a.all, absence{Absent: *absent, since: a.last})
		a.open = true
	case err != nil:
		return false
	default:
		if a.open {
			a.all[len(a.all)-1].until, a.open = e.Time, false
		}
		a.last = e.Time
	}
	return true
}

// slack is how far the clocks of a recording's header and of the log's event about it may
// be apart: they are one machine's, within what the log takes for a step back.
const slack = 2 * time.Minute

// at tells whether what the log says of that moment may be in records that aren't here.
func (a *absences) at(t time.Time) bool {
	for _, b := range a.all {
		if !t.Before(b.since.Add(-slack)) && (b.until.IsZero() || !t.After(b.until.Add(slack))) {
			return true
		}
	}
	return false
}

// after tells whether what the log says of anything later than that event may be.
func (a *absences) after(t time.Time) bool {
	for _, b := range a.all {
		if b.until.IsZero() || b.until.After(t) {
			return true
		}
	}
	return false
}

// excuse tells whether a mismatch may be one only because records aren't here: of a
// recording that started then, or, by k, about which the log says the last thing then.
func (a *absences) excuse(m *Mismatch, k *known, started time.Time) bool {
	switch m.Kind {
	case Unknown:
		return a.at(started)
	case Missing, OtherKey, MissingKey, Unended:
		return a.after(k.last)
	case RemovedUnknown:
		return len(a.all) > 0 && a.all[0].since.Before(k.last)
	}
	return false
}
