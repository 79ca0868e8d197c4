package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/oklog/ulid/v2"

	"entry/audit"
	"entry/audit/plain"
	"entry/bastion/access"
)

const (
	// maxReason bounds why a session is ended, and maxNote what is noted of one: both
	// fit into what an event keeps (audit.MaxDetail), the former with the words
	// around it into the line that its user reads.
	maxReason = 300 // bytes
	maxNote   = 500 // bytes
)

func (a *Server) sessionHandlers(handle func(string, func(*http.Request) (any, error))) {
	handle("GET /v1/sessions", func(*http.Request) (any, error) {
		if a.Gate == nil {
			return []access.SessionInfo{}, nil
		}
		return a.Gate.Sessions(), nil
	})
	handle("DELETE /v1/sessions/{id}", a.endSession)
	handle("POST /v1/recordings/read", a.recordingsRead)
	handle("POST "+RewrapPath, a.rewrap)
	handle("POST /v1/recordings/{id}/review", a.reviewed)
}

// Ended says where a session was ended.
type Ended struct {
	Elsewhere bool `json:"elsewhere"` // at another server on the same database
}

// endSession ends one session, wherever it is, and tells its user why. Where it is
// elsewhere its end stands in the log there, and who asked for it in this one, too.
func (a *Server) endSession(r *http.Request) (any, error) {
	var in struct {
		Reason string `json:"reason"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		return nil, &Error{http.StatusBadRequest, "the request gives no reason"}
	}
	reason, err := oneLine("reason", in.Reason, maxReason)
	if err != nil {
		return nil, err
	}
	if reason == "" {
		return nil, &Error{http.StatusBadRequest, "a session is ended with a reason, which its user reads"}
	}
	if a.Gate == nil {
		return nil, &Error{http.StatusConflict, "no server is running here, so no session is; one at another server on the same database is ended from a machine where one runs"}
	}
	id, err := sessionID(r)
	if err != nil {
		return nil, err
	}
	o := access.Order{Session: id, Reason: reason}
	if who := audit.ActorOf(r.Context()); who != nil {
		o.By = *who
	}
	elsewhere, err := a.Gate.EndSession(r.Context(), o)
	var already *access.AlreadyEnded
	switch {
	case errors.As(err, &already):
		return nil, &Error{http.StatusNotFound, fmt.Sprintf("session %s was ended already, by %s: %s", id, plain.Line(already.By.String()), plain.Said(already.Reason))}
	case errors.Is(err, access.ErrNoSession):
		return nil, &Error{http.StatusNotFound, "no live session has this ID, here or at another server on the database; entry sessions ls shows them"}
	case err != nil:
		return nil, err
	case elsewhere:
		err = a.Events.Append(r.Context(), audit.ByActor(r.Context(), audit.Event{Type: audit.SessionKilled, Session: id, Detail: reason, Reason: "elsewhere"}))
	}
	return Ended{elsewhere}, err
}

// Reading is that somebody reads recordings.
type Reading struct {
	Verb     string   `json:"verb"`
	Sessions []string `json:"sessions"` // at least one, at most audit.MaxSessions
	// Pattern is what is searched for in them, "" if nothing is. The log has a keyed
	// digest of it: it may be a secret that leaked, or tell of a person.
	Pattern string `json:"pattern,omitempty"`
}

// recordingsRead notes that somebody reads recordings, before they do: one event,
// however many they are.
func (a *Server) recordingsRead(r *http.Request) (any, error) {
	var in Reading
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Verb == "" {
		return nil, &Error{http.StatusBadRequest, "the request doesn't say what is done"}
	}
	e := audit.Event{Type: audit.RecordingRead, Detail: plain.Clip(in.Verb, maxPeer)}
	switch n := len(in.Sessions); {
	case n == 0 || n > audit.MaxSessions:
		return nil, &Error{http.StatusBadRequest, fmt.Sprintf("the request names %d sessions; at least one and at most %d are noted at once", n, audit.MaxSessions)}
	case n == 1:
		e.Session = plain.Clip(in.Sessions[0], maxPeer)
	default:
		e.Sessions, e.Count = in.Sessions, n
	}
	if in.Pattern != "" {
		e.Digest = a.Auth.FileDigest("pattern", []byte(in.Pattern))
	}
	return struct{}{}, a.Events.Append(r.Context(), audit.ByActor(r.Context(), e))
}

// reviewed notes that somebody has reviewed a session. The event is all there is of
// that; listings read it.
func (a *Server) reviewed(r *http.Request) (any, error) {
	var in struct {
		Note string `json:"note"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		return nil, &Error{http.StatusBadRequest, "the request doesn't say what is noted"}
	}
	note, err := oneLine("note", in.Note, maxNote)
	if err != nil {
		return nil, err
	}
	id, err := sessionID(r)
	if err != nil {
		return nil, err
	}
	return struct{}{}, a.Events.Append(r.Context(), audit.ByActor(r.Context(), audit.Event{Type: audit.SessionReviewed, Session: id, Detail: note}))
}

// sessionID is the ID of a session that a request names, as the log has it.
func sessionID(r *http.Request) (string, error) {
	id, err := ulid.ParseStrict(r.PathValue("id"))
	if err != nil {
		return "", &Error{http.StatusNotFound, "no session has this ID; entry sessions ls shows them"}
	}
	return id.String(), nil
}

// oneLine is a text of an operator's for people, if it is one line of at most most
// bytes that hides nothing.
func oneLine(what, text string, most int) (string, error) {
	text = strings.TrimSpace(text)
	switch {
	case len(text) > most:
		return "", &Error{http.StatusBadRequest, fmt.Sprintf("the %s has %d bytes; at most %d are kept", what, len(text), most)}
	case !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !plain.Visible(r) }):
		return "", &Error{http.StatusBadRequest, "the " + what + " has to be one line without control characters"}
	}
	return text, nil
}
