package access

import (
	"context"
	"errors"
	"time"

	"entry/audit"
	"entry/audit/refusal"
)

// Killed is the code of a session that an operator ended.
const Killed refusal.Code = "killed"

const (
	// OrderLasts is how long an order to end a session stands: IDs of sessions are
	// never given again, so an old one does no harm, but it is of no use either.
	OrderLasts = time.Minute

	// orderWait is how long the other servers on the database have to take an
	// order. They hear of it within half a second.
	orderWait = 5 * time.Second

	// orderLook is the time between two looks at whether one has.
	orderLook = 100 * time.Millisecond
)

// Order is an operator's order to end one session.
type Order struct {
	Session string // its ULID
	Reason  string // one line for its user and for the log
	By      audit.Actor
}

// Orders are those that servers on one database give each other.
type Orders interface {
	// Order gives an order and wakes Accounts.Changed at all servers, unless there
	// is one for the session already. It returns the one that stands. Those older
	// than OrderLasts go.
	Order(ctx context.Context, o Order, now time.Time) (stands Order, err error)
	// Ordered are the orders that nobody has taken yet.
	Ordered(ctx context.Context, now time.Time) ([]Order, error)
	// TakeOrder removes the order for a session; of all callers, one is told true.
	TakeOrder(ctx context.Context, session string) (bool, error)
}

// ErrNoSession is EndSession's answer for an ID that no live session has.
var ErrNoSession = errors.New("no such live session")

// AlreadyEnded is EndSession's answer for a session that ends by another order.
type AlreadyEnded struct{ Order }

func (a *AlreadyEnded) Error() string {
	return "session " + a.Session + " was ended already, by " + a.By.String() + ": " + a.Reason
}

// EndSession ends the live session of that ID and tells its user why, once it is
// on record: even if that failed, because then nothing may go on. A session that
// isn't here ends at whichever server on the database has it, and elsewhere is
// true; its user is told, and its end noted, there. It waits a few seconds for
// that and returns ErrNoSession if none does. Of several orders for one session the
// first counts; the others are told so by an *AlreadyEnded.
func (g *Gate) EndSession(ctx context.Context, o Order) (elsewhere bool, err error) {
	for _, h := range g.registry.sessions() {
		if h.session == o.Session {
			return false, g.kill(h, o)
		}
	}
	stands, err := g.o.Orders.Order(ctx, o, g.now())
	if err != nil {
		return false, err
	}
	if stands != o {
		return false, &AlreadyEnded{stands}
	}
	for range orderWait / orderLook {
		pause(ctx, orderLook)
		open, err := g.ordered(ctx, o.Session)
		if err != nil {
			return false, err
		}
		if !open {
			return true, nil
		}
	}
	untaken, err := g.o.Orders.TakeOrder(ctx, o.Session)
	if untaken {
		return false, ErrNoSession
	}
	return err == nil, err
}

// ordered reports whether an order for the session waits to be taken.
func (g *Gate) ordered(ctx context.Context, session string) (bool, error) {
	all, err := g.o.Orders.Ordered(ctx, g.now())
	for _, o := range all {
		if o.Session == session {
			return true, err
		}
	}
	return false, err
}

// obey carries out the orders of other servers for sessions here. unsure says that
// nobody could tell whether there are any.
func (g *Gate) obey() (unsure bool) {
	ctx := g.own.Context()
	orders, err := g.o.Orders.Ordered(ctx, g.now())
	for _, o := range orders {
		for _, h := range g.registry.sessions() {
			if h.session != o.Session || h.killed.Load() != nil { // who gave it isn't told that it was theirs
				continue
			}
			mine, terr := g.o.Orders.TakeOrder(ctx, o.Session)
			err = errors.Join(err, terr)
			if !mine {
				continue
			}
			if kerr := g.kill(h, o); kerr != nil {
				g.o.Trouble("append events", kerr)
			}
		}
	}
	if err != nil && ctx.Err() == nil {
		g.o.Trouble("read orders to end sessions", err)
		return true
	}
	return false
}

// kill puts on record by whom and why h is ended, and ends it, unless it ends by
// another order.
func (g *Gate) kill(h *Hold, o Order) error {
	if !h.killed.CompareAndSwap(nil, &o) {
		return &AlreadyEnded{*h.killed.Load()}
	}
	e := h.event(audit.SessionKilled)
	e.Actor, e.Detail = &o.By, o.Reason
	err := g.o.Events.Append(context.Background(), e)
	h.End(&refusal.Error{Text: "an administrator ended this session: " + o.Reason, Code: Killed})
	return err
}
