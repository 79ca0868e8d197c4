package evidence

import (
	"time"

	"entry/audit"
	"entry/session/recording"
)

// Order is what operators say of recordings: of one session, of a user's or of a lab's. One of
// Session, User and Lab is set.
type Order struct {
	ID      string      `json:"id"` // reference, as in its events
	Session string      `json:"session,omitempty"`
	User    string      `json:"user,omitempty"`
	Lab     string      `json:"lab,omitempty"`
	Reason  string      `json:"reason"` // theirs
	By      audit.Actor `json:"by"`
	At      time.Time   `json:"at"`
}

// About tells whether it is about that recording.
func (o Order) About(i recording.Info) bool {
	return o.Session != "" && o.Session == i.ID || o.User != "" && o.User == i.User || o.Lab != "" && o.Lab == i.Lab
}

// What says what it is about, for people.
func (o Order) What() string {
	switch {
	case o.Session != "":
		return "session " + o.Session
	case o.User != "":
		return "all of user " + o.User
	}
	return "all of lab " + o.Lab
}

// Event is one of type t about it, without who acts.
func (o Order) Event(t audit.Type) audit.Event {
	return audit.Event{Type: t, Ref: o.ID, Session: o.Session, User: o.User, Lab: o.Lab, Detail: o.Reason}
}

// Hold keeps recordings from being removed, whatever their labs' retention says, one that
// comes later included, until an operator releases it: a legal hold.
type Hold struct{ Order }

// HoldOf is the hold that an event places.
func HoldOf(e audit.Event) Hold { return Hold{orderOf(e)} }

// holdThat is a hold that a segment of the log carries.
func holdThat(s audit.Standing) Hold {
	o := Order{ID: s.ID, Session: s.Session, User: s.User, Lab: s.Lab, Reason: s.Reason, At: s.At}
	if s.By != nil {
		o.By = *s.By
	}
	return Hold{o}
}

// orderOf is the order that an event gives.
func orderOf(e audit.Event) Order {
	o := Order{ID: e.Ref, Session: e.Session, User: e.User, Lab: e.Lab, Reason: e.Detail, At: e.Time}
	if e.Actor != nil {
		o.By = *e.Actor
	}
	return o
}
