package evidence

import (
	"context"
	"slices"
	"sync"
	"time"

	"entry/audit"
	"entry/session/recording"
)

// Orders put into the log what operators order of recordings, so that whoever removes some
// keeps to it from the next one on. Those who do either on one log share one. The zero Orders
// are ready.
type Orders struct {
	// run is held by one who removes recordings, from before the log is read.
	run sync.Mutex
	// step is held while one recording is judged and removed, and while an order is noted. It
	// is taken after run, and guards since.
	step  sync.Mutex
	since []audit.Event // noted since whoever holds run began
	heard hearing
}

// Note has an order put into the log by put, and then kept, while no recording is removed:
// what it keeps is there still, unless that went before it returns.
func (o *Orders) Note(ctx context.Context, put func(context.Context, ...audit.Event) error, e audit.Event, keep func() error) error {
	o.step.Lock()
	defer o.step.Unlock()
	if err := put(ctx, audit.ByActor(ctx, e)); err != nil {
		return err
	}
	o.since = append(o.since, e)
	return keep()
}

// begin returns once nobody else removes recordings; until end is called nobody does.
func (o *Orders) begin() (end func()) {
	o.run.Lock()
	o.step.Lock()
	defer o.step.Unlock()
	o.since = nil
	return o.run.Unlock
}

// ordered is what the events of a log say that operators ordered, in their order. The zero
// value is of none.
type ordered struct {
	standing audit.Holds
	erasures []Erasure // that weren't withdrawn
	unheard  []Erasure // likewise, but that may be in records that aren't here
}

func (o ordered) clone() ordered {
	return ordered{o.standing.Clone(), slices.Clone(o.erasures), slices.Clone(o.unheard)}
}

// holds are those that stand.
func (o ordered) holds() (all []Hold) {
	for _, s := range o.standing.All() {
		all = append(all, holdThat(s))
	}
	return all
}

// orderTypes are the types of events that take knows.
var orderTypes = append([]audit.Type{audit.ErasureOrdered, audit.ErasureConfirmed, audit.ErasureWithdrawn}, audit.HoldTypes...)

// take takes in the next event. One of these may come twice.
func (o *ordered) take(e audit.Event) {
	o.standing.Take(e)
	switch e.Type {
	case audit.ErasureOrdered:
		if o.erasure(e.Ref) == nil {
			o.erasures = append(o.erasures, erasureOf(e))
		}
		o.forget(e.Ref) // somebody orders it again
	case audit.ErasureConfirmed:
		if x := o.erasure(e.Ref); x != nil && e.Actor != nil && x.Second == nil {
			x.Second, x.Stands = e.Actor, e.Time
		}
	case audit.ErasureWithdrawn:
		o.erasures = slices.DeleteFunc(o.erasures, func(x Erasure) bool { return x.ID == e.Ref })
		o.forget(e.Ref)
	}
}

func (o *ordered) forget(id string) {
	o.unheard = slices.DeleteFunc(o.unheard, func(x Erasure) bool { return x.ID == id })
}

// miss takes in that records which come next aren't here: each order may have been withdrawn
// in them, and a row of the database that says otherwise may have been put back. So none of
// them stands any more by what came before.
func (o *ordered) miss() {
	for _, e := range o.erasures {
		e.Elsewhere, e.Unheard, e.Second, e.Stands = true, true, nil, time.Time{}
		o.unheard = append(o.unheard, e)
	}
	o.erasures = nil
}

// erasure is the order of an ID; nil where there is none. It is good until the next take.
func (o *ordered) erasure(id string) *Erasure {
	if i := slices.IndexFunc(o.erasures, func(x Erasure) bool { return x.ID == id }); i >= 0 {
		return &o.erasures[i]
	}
	return nil
}

// keeps is a hold that keeps a recording; false where none does.
func keeps(holds []Hold, i recording.Info) (Hold, bool) {
	if n := slices.IndexFunc(holds, func(h Hold) bool { return h.About(i) }); n >= 0 {
		return holds[n], true
	}
	return Hold{}, false
}

// erasureOf is the order that an event gives.
func erasureOf(e audit.Event) Erasure {
	x := Erasure{Order: HoldOf(e).Order}
	if e.Reason != audit.ReasonWaits {
		x.Stands = e.Time
	}
	if e.Until != nil { // of what began before it was given elsewhere
		x.At = *e.Until
	}
	return x
}
