package policy

import "time"

// window is a stretch of the week on the clock of one place. It is told by what
// that clock shows: an hour that the clock skips in spring isn't there, one
// that it shows twice in autumn is there twice.
type window struct {
	days     uint8 // bit d is time.Weekday d, on which the window begins
	from, to int   // minutes since midnight; to is above a day's where it ends on the next
	place    *time.Location
}

const (
	everyDay  = 1<<7 - 1
	dayLength = 24 * 60 // minutes on the clock
)

func (w window) on(d time.Weekday) bool { return w.days>>d&1 != 0 }

// always reports whether w leaves nothing out.
func (w window) always() bool { return w.days == everyDay && w.to-w.from == dayLength }

func (w window) contains(t time.Time) bool {
	t = t.In(w.place)
	hour, minute, _ := t.Clock()
	at, day := hour*60+minute, t.Weekday()
	return w.on(day) && w.from <= at && at < w.to ||
		w.on((day+6)%7) && at < w.to-dayLength
}

// boundary is the first moment after t at which the clock reads a time where
// w may begin or end, or is put forward or back.
func (w window) boundary(t time.Time) time.Time {
	local := t.In(w.place)
	hour, minute, second := local.Clock()
	now := time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute +
		time.Duration(second)*time.Second + time.Duration(local.Nanosecond())
	next := 24 * time.Hour
	for _, at := range [...]int{w.from, w.to % dayLength} {
		if d := time.Duration(at) * time.Minute; d > now && d < next {
			next = d
		}
	}
	then := t.Add(next - now)
	if _, change := local.ZoneBounds(); !change.IsZero() && change.After(t) && change.Before(then) {
		return change
	}
	return then
}

// schedule is several windows, of which one suffices. The nil schedule is
// always.
type schedule []window

func (s schedule) contains(t time.Time) bool {
	if s == nil {
		return true
	}
	for _, w := range s {
		if w.contains(t) {
			return true
		}
	}
	return false
}

// Windows recur every week, so that what isn't found soon isn't there: a week
// of nothing but windows goes on, and only an hour that the clock skips once a
// year stays away for longer.
const (
	endWithin   = 15 * 24 * time.Hour
	startWithin = 800 * 24 * time.Hour
)

// end is the first moment after t, which s contains, that s doesn't. Windows
// that follow each other without a gap for more than two weeks are cut there;
// ok is false where there is no end at all.
func (s schedule) end(t time.Time) (end time.Time, ok bool) {
	if s == nil {
		return time.Time{}, false
	}
	end = t
	for limit := t.Add(endWithin); end.Before(limit); {
		end = s.boundary(end)
		if !s.contains(end) {
			break
		}
	}
	return end, true
}

// start is the first moment from t on that s contains.
func (s schedule) start(t time.Time) (time.Time, bool) {
	for limit := t.Add(startWithin); t.Before(limit); t = s.boundary(t) {
		if s.contains(t) {
			return t, true
		}
	}
	return time.Time{}, false
}

// boundary is the first one of any window after t.
func (s schedule) boundary(t time.Time) time.Time {
	var first time.Time
	for _, w := range s {
		if b := w.boundary(t); first.IsZero() || b.Before(first) {
			first = b
		}
	}
	return first
}

// period is a stretch of time; a zero end is open.
type period struct{ from, until time.Time }

func (p period) open() bool { return p.from.IsZero() && p.until.IsZero() }

func (p period) contains(t time.Time) bool {
	return (p.from.IsZero() || !t.Before(p.from)) && (p.until.IsZero() || t.Before(p.until))
}

// times are when a rule holds: within the period and in one of the windows. The
// zero times are always.
type times struct {
	when  schedule
	valid period
}

func (x times) always() bool { return x.when == nil && x.valid.open() }

// start is the first moment from t on that x contains.
func (x times) start(t time.Time) (time.Time, bool) {
	if t.Before(x.valid.from) {
		t = x.valid.from
	}
	ok := true
	if x.when != nil {
		t, ok = x.when.start(t)
	}
	return t, ok && x.valid.contains(t)
}

// end is the first moment after t, which x contains, that x doesn't; ok is
// false where there is none.
func (x times) end(t time.Time) (end time.Time, ok bool) {
	end, ok = x.when.end(t)
	if until := x.valid.until; !until.IsZero() && (!ok || until.Before(end)) {
		return until, true
	}
	return end, ok
}

// boundary is a moment after t, the zero Time if there is none, before which x
// stays as it is at t.
func (x times) boundary(t time.Time) time.Time {
	var first time.Time
	take := func(b time.Time) {
		if b.After(t) && (first.IsZero() || b.Before(first)) {
			first = b
		}
	}
	take(x.valid.from)
	take(x.valid.until)
	if x.when != nil && (x.valid.until.IsZero() || t.Before(x.valid.until)) {
		take(x.when.boundary(t))
	}
	return first
}
