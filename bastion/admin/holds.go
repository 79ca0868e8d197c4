package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"entry/audit"
	"entry/audit/evidence"
	"entry/audit/refusal"
	"entry/policy"
)

// Holds keep legal holds. An implementation is shared by the servers on one database.
type Holds interface {
	// PlaceHold keeps a hold; one that is there stays as it is.
	PlaceHold(ctx context.Context, h evidence.Hold) error
	// ReleaseHold forgets a hold; one that isn't there is no error.
	ReleaseHold(ctx context.Context, id string) error
}

func (a *Server) holdHandlers(handle func(string, func(*http.Request) (any, error))) {
	handle("GET /v1/holds", func(r *http.Request) (any, error) {
		all, _, err := a.Retention.Ordered(r.Context())
		return append([]evidence.Hold{}, all...), err
	})
	handle("POST /v1/holds", a.placeHold)
	handle("DELETE /v1/holds/{id}", a.releaseHold)
}

// placeHold places a hold, which is in the log first: that says that it stands, whatever the
// database lacks.
func (a *Server) placeHold(r *http.Request) (any, error) {
	var in evidence.Hold
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		return nil, &Error{http.StatusBadRequest, "the request doesn't say what is held"}
	}
	h := evidence.Hold{Order: evidence.Order{ID: refusal.NewRef(), Session: in.Session, User: in.User, Lab: in.Lab, At: time.Now().UTC().Truncate(time.Microsecond)}}
	session, err := about("a hold", h.Session, h.User, h.Lab)
	if err != nil {
		return nil, err
	}
	h.Session = session
	reason, err := holdReason(in.Reason)
	if err != nil {
		return nil, err
	}
	h.Reason = reason
	if who := audit.ActorOf(r.Context()); who != nil {
		h.By = *who
	}
	all, _, err := a.Retention.Ordered(r.Context())
	if err != nil {
		return nil, err
	}
	same := func(o evidence.Hold) bool {
		return o.Session == h.Session && o.User == h.User && o.Lab == h.Lab && o.Reason == h.Reason
	}
	if i := slices.IndexFunc(all, same); i >= 0 {
		return nil, &Error{http.StatusConflict, fmt.Sprintf("%s is held already for that reason, by hold %s", h.What(), all[i].ID)}
	}
	return h, a.note(r.Context(), h.Event(audit.HoldPlaced), func(ctx context.Context) error { return a.Holds.PlaceHold(ctx, h) })
}

// about checks that what, an order, is on one of a session, a user and a lab, and returns
// the session as IDs are written.
func about(what, session, user, lab string) (string, error) {
	set := 0
	for _, name := range []string{session, user, lab} {
		if name != "" {
			set++
		}
	}
	if set != 1 {
		return "", &Error{http.StatusBadRequest, what + " is on a session, on a user or on a lab: name one of them"}
	}
	if session != "" {
		id, err := ulid.ParseStrict(session)
		if err != nil {
			return "", &Error{http.StatusNotFound, "no session has this ID; entry sessions ls shows them"}
		}
		session = id.String()
	}
	if user != "" && policy.ValidUser(user) != nil || lab != "" && policy.ValidUser(lab) != nil {
		return "", &Error{http.StatusBadRequest, "that is no name of a user or a lab"}
	}
	return session, nil
}

func holdReason(text string) (string, error) {
	reason, err := oneLine("reason", text, maxNote)
	if err == nil && reason == "" {
		err = &Error{http.StatusBadRequest, "a hold is placed, and released, with a reason"}
	}
	return reason, err
}

// releaseHold releases a hold, which is in the log first: one that a crash leaves in the
// database is released again.
func (a *Server) releaseHold(r *http.Request) (any, error) {
	var in struct {
		Reason string `json:"reason"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		return nil, &Error{http.StatusBadRequest, "the request gives no reason"}
	}
	reason, err := holdReason(in.Reason)
	if err != nil {
		return nil, err
	}
	all, _, err := a.Retention.Ordered(r.Context())
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(h evidence.Hold) bool { return h.ID == r.PathValue("id") })
	if i < 0 {
		return nil, &Error{http.StatusNotFound, "no hold has this ID; entry sessions holds lists them"}
	}
	h := all[i]
	e := h.Event(audit.HoldReleased)
	e.Detail = reason
	return h, a.note(r.Context(), e, func(ctx context.Context) error { return a.Holds.ReleaseHold(ctx, h.ID) })
}

// note puts an order into the log, and has it kept, while nothing is removed.
func (a *Server) note(ctx context.Context, e audit.Event, keep func(context.Context) error) error {
	ctx = context.WithoutCancel(ctx)
	return a.Retention.Orders.Note(ctx, a.Events.Append, e, func() error { return keep(ctx) })
}
