package evidence

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"entry/audit"
	"entry/audit/segment"
)

// absence is records of a log of which no segment is here, between two events that are.
type absence struct {
	segment.Absent
	since, until time.Time // of the events around it; zero where there is none
	what         string    // says it
	own          bool      // they are the log's, not of one before it
	accepted     bool      // what is wrong with recordings may be said there
	dropped      bool      // by the log, which says so, as older than it is kept
}

// absences are those of a log and of the logs before it.
type absences struct {
	accepted []segment.Absent // of the log
	all      []absence
	last     time.Time // of the event before
	open     bool      // the last one has no event behind it yet
}

func (a absences) clone() absences {
	a.all = slices.Clone(a.all)
	return a
}

// event takes in the next event, or what was said of records instead; false for another
// error.
func (a *absences) event(e audit.Event, err error) bool {
	var absent *segment.Absent
	switch {
	case errors.As(err, &absent):
		b := absence{Absent: *absent, since: a.last, what: err.Error(), own: err.Error() == absent.Error()}
		b.accepted = b.own && slices.ContainsFunc(a.accepted, func(r segment.Absent) bool {
			return r.From <= absent.From && absent.To <= r.To
		})
		a.all = append(a.all, b)
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

// tell has holds take the last one.
func (a *absences) tell(h *audit.Holds) {
	last := a.all[len(a.all)-1]
	h.Gone(last.Absent, last.own)
}

// drop takes in that the log says that it dropped its first so many records.
func (a *absences) drop(through uint64) {
	for i := range a.all {
		b := &a.all[i]
		b.dropped = b.dropped || b.own && b.To <= through
	}
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

// between are the absences in which the log may say something of some moment between two.
func (a *absences) between(from, to time.Time) []absence {
	return slices.DeleteFunc(a.after(from), func(b absence) bool { return !b.since.Before(to) })
}

// droppedAt tells whether what the log says of that moment is in records that it dropped, and
// in no others that aren't here.
func (a *absences) droppedAt(t time.Time) bool {
	var left absences
	for _, b := range a.all {
		if !b.dropped {
			left.all = append(left.all, b)
		}
	}
	return a.at(t) && !left.at(t)
}

// after are the absences in which the log may say anything later than that event.
func (a *absences) after(t time.Time) (later []absence) {
	for _, b := range a.all {
		if b.until.IsZero() || b.until.After(t) {
			later = append(later, b)
		}
	}
	return later
}

// excuse tells whether a mismatch may be one only because records aren't here: of a
// recording that started then, or, by k, that was removed and had started then. Where the
// log says what the recording has to be, and it isn't, or that it was removed against what
// it said before, the records that could say why excuse that only where they are accepted,
// or were dropped: else removing any segment would hide that a recording was deleted. m is
// told which they are. What began in records that were dropped is excused by nothing: the
// log keeps all that is as old as its oldest recording.
func (a *absences) excuse(m *Mismatch, k *known, started time.Time) bool {
	switch m.Kind {
	case Unknown:
		return a.at(started) && !a.droppedAt(started)
	case Missing, OtherKey, MissingKey, Unended, BadRewrap, RemovedHeld, RemovedUnordered:
		since := k.last
		if m.Kind == BadRewrap {
			if m.since.IsZero() {
				return false // nothing was left out that could say why
			}
			since = m.since
		}
		later := a.after(since)
		if m.Kind == RemovedHeld || m.Kind == RemovedUnordered {
			later = a.between(m.since, k.last)
		}
		if slices.ContainsFunc(later, func(b absence) bool { return b.accepted || b.dropped }) {
			return true
		}
		for _, b := range later {
			if b.own {
				m.Perhaps = append(m.Perhaps, b.Absent)
			}
			m.err = fmt.Errorf("%w; %s, and may say why", m.err, b.what)
		}
	case RemovedUnknown:
		return len(a.all) > 0 && a.all[0].since.Before(k.last)
	}
	return false
}
