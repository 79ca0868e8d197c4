package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"entry/audit"
	"entry/audit/evidence"
	"entry/audit/refusal"
)

// Erasures keep orders to erase recordings. An implementation is shared by the servers on
// one database.
type Erasures interface {
	// OrderErasure keeps an order, and forgets those that neither wait nor last at its time.
	OrderErasure(ctx context.Context, e evidence.Erasure) error
	// ConfirmErasure has one stand that waits, and reports whether it did.
	ConfirmErasure(ctx context.Context, id string, second audit.Actor, now time.Time) (bool, error)
	// WithdrawErasure forgets an order; one that isn't there is no error.
	WithdrawErasure(ctx context.Context, id string) error
}

// Erasure is an order as operators see it.
type Erasure struct {
	evidence.Erasure
	Until    time.Time         `json:"until"`    // when it is over: waits or is carried out
	Erasable evidence.Erasable `json:"erasable"` // that it finds on this server
	Removed  int               `json:"removed"`  // by this request
	NeedsTwo bool              `json:"needs_two,omitempty"`
}

func (a *Server) erasureHandlers(handle func(string, func(*http.Request) (any, error))) {
	handle("GET /v1/erasures", func(r *http.Request) (any, error) { return a.erasures(r.Context()) })
	handle("POST /v1/erasures/preview", func(r *http.Request) (any, error) {
		e, err := a.erasure(r)
		if err != nil {
			return nil, err
		}
		return a.found(r.Context(), e)
	})
	handle("POST /v1/erasures", a.orderErasure)
	handle("POST /v1/erasures/{id}", a.confirmErasure)
	handle("DELETE /v1/erasures/{id}", a.withdrawErasure)
}

// erasure is the order that a request asks for, which is noted nowhere yet.
func (a *Server) erasure(r *http.Request) (e evidence.Erasure, err error) {
	if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
		return e, &Error{http.StatusBadRequest, "the request doesn't say what is to be erased"}
	}
	e = evidence.Erasure{Order: evidence.Order{ID: refusal.NewRef(), Session: e.Session, User: e.User, Lab: e.Lab, Reason: e.Reason, At: time.Now().UTC().Truncate(time.Microsecond)}}
	if e.Session, err = about("an erasure", e.Session, e.User, e.Lab); err != nil {
		return e, err
	}
	e.Reason, err = oneLine("reason", e.Reason, maxNote)
	if err == nil && e.Reason == "" {
		err = &Error{http.StatusBadRequest, "recordings are erased with a reason"}
	}
	if who := audit.ActorOf(r.Context()); who != nil {
		e.By = *who
	}
	return e, err
}

// found is an order with what it finds here.
func (a *Server) found(ctx context.Context, e evidence.Erasure) (out Erasure, err error) {
	out = Erasure{Erasure: e, Until: e.At.Add(evidence.ErasureWaits), NeedsTwo: a.Retention.NeedsTwo}
	if !e.Stands.IsZero() {
		out.Until = e.Stands.Add(evidence.ErasureLasts)
	}
	out.Erasable, err = a.Retention.Erasable(ctx, time.Now(), e)
	return out, err
}

func (a *Server) erasures(ctx context.Context) ([]Erasure, error) {
	all, err := a.standing(ctx)
	if err != nil {
		return nil, err
	}
	out := []Erasure{}
	for _, e := range all {
		f, err := a.found(ctx, e)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

// standing are the orders that wait or are carried out.
func (a *Server) standing(ctx context.Context) ([]evidence.Erasure, error) {
	_, all, err := a.Retention.Ordered(ctx)
	now := time.Now()
	return slices.DeleteFunc(all, func(e evidence.Erasure) bool { return !e.Waits(now) && !e.Lasts(now) }), err
}

// orderErasure notes an order, in the log first, and carries it out where one operator may.
func (a *Server) orderErasure(r *http.Request) (any, error) {
	e, err := a.erasure(r)
	if err != nil {
		return nil, err
	}
	if a.Retention.NeedsTwo && !e.By.KnownLogin() {
		return nil, errEraseNeedsTwo
	}
	all, err := a.standing(r.Context())
	if err != nil {
		return nil, err
	}
	same := func(o evidence.Erasure) bool {
		return o.Session == e.Session && o.User == e.User && o.Lab == e.Lab && (e.Session != "" || o.Stands.IsZero())
	}
	if i := slices.IndexFunc(all, same); i >= 0 {
		text := fmt.Sprintf("that is ordered already, by erasure %s of %s", all[i].ID, all[i].By.Person())
		if all[i].Unheard {
			text += ", which may have been withdrawn in records of the audit log that aren't here; entry sessions erase --confirm " + all[i].ID + " has it carried out"
		} else if all[i].Elsewhere {
			text += ", at another server; entry sessions erase --confirm " + all[i].ID + " has it carried out here as well"
		}
		return nil, &Error{http.StatusConflict, text}
	}
	if !a.Retention.NeedsTwo {
		e.Stands = e.At
	}
	if err := a.note(r.Context(), a.ordering(e), func(ctx context.Context) error { return a.Erasures.OrderErasure(ctx, e) }); err != nil {
		return nil, err
	}
	return a.erase(r.Context(), e)
}

// ordering is the event by which this server's log has an order.
func (a *Server) ordering(e evidence.Erasure) audit.Event {
	x := e.Event(audit.ErasureOrdered)
	if a.Retention.NeedsTwo {
		x.Reason = audit.ReasonWaits
	}
	if e.Elsewhere {
		x.Until = &e.At
	}
	return x
}

// adopt has an order carried out here that was given at another server on the database, or may
// have been withdrawn: it
// is as if it was given here, with what it is about. Nothing vouches for what the database
// says of who gave it there.
func (a *Server) adopt(r *http.Request, e evidence.Erasure) (any, error) {
	who := audit.ActorOf(r.Context())
	if who != nil {
		e.By = *who
	}
	if a.Retention.NeedsTwo && !e.By.KnownLogin() {
		return nil, errEraseNeedsTwo
	}
	if !a.Retention.NeedsTwo {
		e.Stands = time.Now()
	}
	if err := a.note(r.Context(), a.ordering(e), func(context.Context) error { return nil }); err != nil {
		return nil, err
	}
	return a.erase(r.Context(), e)
}

var errEraseNeedsTwo = &Error{http.StatusForbidden, "erasing needs two operators here, each with an account and a login of their own (sudo from their own SSH session, not a shared one)"}

// confirmErasure has an order stand that another operator gave, and carries it out.
func (a *Server) confirmErasure(r *http.Request) (any, error) {
	e, err := a.erasureOf(r)
	if err != nil {
		return nil, err
	}
	now, who := time.Now().UTC().Truncate(time.Microsecond), audit.ActorOf(r.Context())
	switch {
	case e.Elsewhere:
		return a.adopt(r, e)
	case !e.Waits(now):
		return nil, &Error{http.StatusConflict, "the erasure stands already; what is left of it is removed once it may be"}
	case who != nil && who.LoginUID == e.By.LoginUID && who.KnownLogin():
		return nil, &Error{http.StatusForbidden, "you ordered it yourself: a second operator, with an account and a login of their own, confirms it"}
	case who == nil || !who.Another(e.By):
		return nil, errEraseNeedsTwo
	}
	// One that was given at another server stands in the database by what was said there.
	if err := a.note(r.Context(), e.Event(audit.ErasureConfirmed), func(ctx context.Context) error {
		_, err := a.Erasures.ConfirmErasure(ctx, e.ID, *who, now)
		return err
	}); err != nil {
		return nil, err
	}
	if _, err := a.erasureOf(r); err != nil {
		return nil, err // it was withdrawn meanwhile
	}
	e.Second, e.Stands = who, now
	return a.erase(r.Context(), e)
}

// erase carries out all orders that stand, e among them or waiting for its second operator.
func (a *Server) erase(ctx context.Context, e evidence.Erasure) (any, error) {
	out, err := a.found(ctx, e)
	if err != nil || e.Stands.IsZero() {
		return out, err
	}
	removed, err := a.Retention.Erase(ctx, time.Now())
	if out.Removed = removed[e.ID]; err != nil {
		return nil, err
	}
	return a.again(ctx, out)
}

// again is an order with what is left of it here.
func (a *Server) again(ctx context.Context, was Erasure) (Erasure, error) {
	now, err := a.found(ctx, was.Erasure)
	now.Removed = was.Removed
	return now, err
}

// withdrawErasure forgets an order, which is in the log first. What it removed is gone.
func (a *Server) withdrawErasure(r *http.Request) (any, error) {
	e, err := a.erasureOf(r)
	if err != nil {
		return nil, err
	}
	return e, a.note(r.Context(), e.Event(audit.ErasureWithdrawn), func(ctx context.Context) error { return a.Erasures.WithdrawErasure(ctx, e.ID) })
}

// erasureOf is the order whose ID a request has.
func (a *Server) erasureOf(r *http.Request) (evidence.Erasure, error) {
	all, err := a.standing(r.Context())
	if err != nil {
		return evidence.Erasure{}, err
	}
	i := slices.IndexFunc(all, func(e evidence.Erasure) bool { return e.ID == r.PathValue("id") })
	if i < 0 {
		return evidence.Erasure{}, &Error{http.StatusNotFound, "no erasure has this ID, or it is over; entry sessions erasures lists them"}
	}
	return all[i], nil
}
