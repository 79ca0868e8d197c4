package evidence

import (
	"time"

	"entry/audit"
	"entry/session/recording"
)

// Hold keeps recordings from being removed, whatever their labs' retention says, until
// an operator releases it: a legal hold. One of Session, User and Lab is set.
type Hold struct {
	ID      string      `json:"id"` // reference, as in its events
	Session string      `json:"session,omitempty"`
	User    string      `json:"user,omitempty"`
	Lab     string      `json:"lab,omitempty"`
	Reason  string      `json:"reason"` // theirs
	By      audit.Actor `json:"by"`
	At      time.Time   `json:"at"`
}

// Holds tells whether it keeps that recording, one that comes later included.
func (h Hold) Holds(i recording.Info) bool {
	return h.Session != "" && h.Session == i.ID || h.User != "" && h.User == i.User || h.Lab != "" && h.Lab == i.Lab
}

// What says what it holds, for people.
func (h Hold) What() string {
	switch {
	case h.Session != "":
		return "session " + h.Session
	case h.User != "":
		return "all of user " + h.User
	}
	return "all of lab " + h.Lab
}

// HoldOf is the hold that an event places.
func HoldOf(e audit.Event) Hold {
	h := Hold{ID: e.Ref, Session: e.Session, User: e.User, Lab: e.Lab, Reason: e.Detail, At: e.Time}
	if e.Actor != nil {
		h.By = *e.Actor
	}
	return h
}

// Event is one of type t about it, without who acts.
func (h Hold) Event(t audit.Type) audit.Event {
	return audit.Event{Type: t, Ref: h.ID, Session: h.Session, User: h.User, Lab: h.Lab, Detail: h.Reason}
}
