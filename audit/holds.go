package audit

import (
	"slices"
	"time"

	"entry/audit/segment"
)

// Standing is a legal hold that stands, as the records with which a segment begins carry it:
// so the log's present segment says it, wherever the record is that placed it.
type Standing struct {
	ID      string    `json:"id"`
	Session string    `json:"session,omitempty"` // one of these three is set
	User    string    `json:"user,omitempty"`
	Lab     string    `json:"lab,omitempty"`
	Reason  string    `json:"reason,omitempty"` // operators'
	At      time.Time `json:"at"`               // when it was placed
	By      *Actor    `json:"by,omitempty"`
}

// maxHolds is how many of them one record has; what is more follows in records of its own.
const maxHolds = 10

// standingOf is the hold that an event places.
func standingOf(e Event) Standing {
	return Standing{ID: e.Ref, Session: e.Session, User: e.User, Lab: e.Lab, Reason: e.Detail, At: e.Time.UTC(), By: e.Actor}
}

// HoldTypes are the types of events that Holds takes.
var HoldTypes = []Type{LogGap, LogSegment, LogHolds, LogDropped, HoldPlaced, HoldReleased}

// Holds are the legal holds that stand, by the events of a log taken in their order, after
// those of the logs before it. What isn't here of them is taken as well (Gone). The zero
// Holds are those of a log's beginning: none.
type Holds struct {
	all     []Standing
	unheard []unheard
	log     int  // counts the logs that were taken
	own     bool // it is the last one

	carrying []Standing // what a segment's first records have carried so far
	lacks    int        // how many are to come
	carried  time.Time  // when they carried all the last time; zero for never
	wrong    uint64     // the first record that carried others than the events before it leave
}

// unheard are records that aren't here, of one of the logs.
type unheard struct {
	segment.Absent
	log int
}

// Take takes in the next event. A hold that is placed again is the one that stands.
func (h *Holds) Take(e Event) {
	switch e.Type {
	case HoldPlaced:
		if !slices.ContainsFunc(h.all, func(o Standing) bool { return o.ID == e.Ref }) {
			h.all = append(h.all, standingOf(e))
		}
	case HoldReleased:
		h.all = slices.DeleteFunc(h.all, func(o Standing) bool { return o.ID == e.Ref })
	case LogGap:
		h.log++
	case LogDropped: // while no hold stood
		h.unheard = slices.DeleteFunc(h.unheard, func(u unheard) bool { return u.log == h.log && u.To <= uint64(max(e.Count, 0)) })
	case LogSegment:
		if h.carrying = nil; e.Standing == nil {
			return // of an older version
		}
		h.carrying = append([]Standing{}, e.Holds...)
		h.lacks = *e.Standing - len(e.Holds)
		h.carry(e)
	case LogHolds:
		if h.carrying != nil {
			h.carrying = append(h.carrying, e.Holds...)
			h.lacks -= len(e.Holds)
			h.carry(e)
		}
	}
}

// carry takes what was carried, once it is all, as what stands.
func (h *Holds) carry(e Event) {
	if h.lacks != 0 {
		return
	}
	same := len(h.all) == len(h.carrying)
	for _, o := range h.all {
		same = same && slices.ContainsFunc(h.carrying, func(c Standing) bool {
			return c.ID == o.ID && c.Session == o.Session && c.User == o.User && c.Lab == o.Lab
		})
	}
	if !same && h.wrong == 0 && h.log == 0 && len(h.unheard) == 0 {
		h.wrong = e.Seq
	}
	h.all, h.carrying, h.unheard, h.carried = h.carrying, nil, nil, e.Time
}

// Gone takes in that records aren't here, of the log itself or of one before it.
func (h *Holds) Gone(a segment.Absent, own bool) {
	if own && !h.own { // its first record may be among them
		h.own = true
		h.log++
	}
	h.unheard = append(h.unheard, unheard{a, h.log})
}

// All are those that stand.
func (h *Holds) All() []Standing { return h.all }

// Unheard are the records that may say that more stand: they aren't here, and no later
// segment carries what stood after them.
func (h *Holds) Unheard() (all []segment.Absent) {
	for _, u := range h.unheard {
		all = append(all, u.Absent)
	}
	return all
}

// Carried is when a segment carried all that stood, the last time; zero for never.
func (h *Holds) Carried() time.Time { return h.carried }

// Wrong is the first record that carries others than the events before it leave; 0 for none.
func (h *Holds) Wrong() uint64 { return h.wrong }

// Clone is the caller's own copy.
func (h *Holds) Clone() Holds {
	c := *h
	c.all, c.unheard, c.carrying = slices.Clone(h.all), slices.Clone(h.unheard), slices.Clone(h.carrying)
	return c
}

func (w *body) standing(s *Standing) {
	w.b = append(w.b, `{"id":`...)
	w.b = appendString(w.b, code(s.ID))
	w.str("session", code(s.Session))
	w.str("user", code(s.User))
	w.str("lab", code(s.Lab))
	w.str("reason", s.Reason)
	w.b = append(w.b, `,"at":`...)
	w.b = appendTime(w.b, s.At)
	if s.By != nil {
		w.key("by")
		w.actor(s.By)
	}
	w.b = append(w.b, '}')
}
