package bastion

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"entry/configs"
)

const (
	// talkingPerSource is how many times more connections of one source may be
	// in their dialogue: a course behind one address logs in together.
	talkingPerSource = 8

	// patience is how long an earlier silent connection is left alone while
	// there is room: a key exchange over a slow line takes some round trips.
	patience = 2 * time.Second

	// hesitation is how long a dialogue is left alone where there is no room and
	// its source has more than its share.
	hesitation = 20 * time.Second

	// typing is how long a dialogue without an answer counts as one that goes
	// on: people look for their phones.
	typing = 60 * time.Second

	// holding is how long a newcomer without a place waits for one of its source's
	// before it is refused, and longHolding for one of all: most are free again in
	// seconds. Each relook it looks whether time alone has made one free.
	holding     = 5 * time.Second
	longHolding = 10 * time.Second
	relook      = 500 * time.Millisecond

	// enrolmentPool bounds the connections that have the long enrolment grace,
	// so that they can't use up the startups of everybody else; enrolmentsOfOne those
	// of one name, so that one temporary passphrase can't use up the pool.
	enrolmentPool   = 32
	enrolmentsOfOne = 3
)

// admission decides who may open a connection, before any cryptography, and who
// makes room when all places are taken: those first that show nobody there. It
// is safe for concurrent use; its lock is never held across I/O.
//
// The places are OpenSSH's MaxStartups: Full of them. From Begin silent
// connections on, one that has been silent for a while makes room for a newcomer
// with a probability that rises from Rate percent to 100 at Full. OpenSSH drops
// the newcomer instead: then whoever holds all places by silence keeps everybody
// out.
type admission struct {
	startups  configs.Startups
	perSource int // silent connections
	now       func() time.Time
	familiar  *networks

	mu      sync.Mutex
	open    map[*ticket]struct{}  // not logged in, enrolments included
	queue   map[*queuing]struct{} // newcomers that wait for a place
	changed chan struct{}         // closed and replaced when a place may be free
	sources map[netip.Prefix]*source
}

func newAdmission(st configs.Startups, perSource int, now func() time.Time) *admission {
	return &admission{startups: st, perSource: perSource, now: now, familiar: newNetworks(), open: map[*ticket]struct{}{},
		queue: map[*queuing]struct{}{}, changed: make(chan struct{}), sources: map[netip.Prefix]*source{}}
}

// enter admits a connection or returns why not, as a short closed code. It may
// wait for a place until ctx ends. drop is called when the connection has to
// make room.
func (a *admission) enter(ctx context.Context, from netip.Addr, drop func()) (*ticket, string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, now := a.source(from)
	t := &ticket{a: a, key: sourceOf(from), known: a.familiar.has(sourceOf(from), now), drop: drop, sign: now}
	// From a known network nobody is refused for what others there did: whoever
	// shares the address could keep its owner out with it.
	if s.budget.left < 1 && !t.known {
		return nil, "rate"
	}
	s.budget.left = max(0, s.budget.left-1)
	s.waiting++
	why := a.place(t, now)
	if why != "" {
		why = a.await(ctx, t, why)
	}
	if why != "" {
		a.gone(t.key)
		return nil, why
	}
	return t, ""
}

// await has t wait for a place until one is free, it gives way to others, or ctx ends.
// why is why it has none, as is what it returns. The caller holds a.mu.
func (a *admission) await(ctx context.Context, t *ticket, why string) string {
	q := a.queueUp(t, a.now())
	if q == nil {
		return why
	}
	wait := holding
	if why == "startups" {
		wait = longHolding
	}
	timer, again := time.NewTimer(wait), time.NewTicker(relook)
	defer timer.Stop()
	defer again.Stop()
	for end := false; why != "" && !end; {
		changed := a.changed
		a.mu.Unlock()
		select {
		case <-changed:
		case <-again.C:
		case <-timer.C:
			end = true
		case <-q.out:
			end = true
		case <-ctx.Done():
			end = true
		}
		a.mu.Lock()
		why = a.place(t, a.now())
	}
	delete(a.queue, q)
	return why
}

// place gives t one of the places if it can, or says why it can't. The caller
// holds a.mu.
func (a *admission) place(t *ticket, now time.Time) (why string) {
	h := a.look(t.key, now)
	silent, least := a.perSource, patience
	if t.known {
		silent, least = a.perSource*talkingPerSource, 0
	}
	ours := func(o *ticket) bool { return o.key == t.key }
	switch {
	case h.silent >= silent:
		// Who is silent there makes room for who comes next: it may be its owner.
		if !a.end(now, func(o *ticket) bool { return ours(o) && o.silent(now) && now.Sub(o.sign) >= least }) {
			return "per-source"
		}
	case h.talking >= a.perSource*talkingPerSource:
		if !a.end(now, func(o *ticket) bool { return ours(o) && o.hesitates(now) && o.answers == 0 }) {
			return "per-source"
		}
	case h.all >= a.places(t, now):
		// Whose key exchange has just begun goes last: it may be a newcomer.
		if !a.makeRoom(t, now, patience, true) && !a.share(t, now) && !a.takeTurns(t, now) && !a.makeRoom(t, now, a.respite(t, now), true) {
			return "startups"
		}
	case h.mute >= a.startups.Begin && rand.IntN(100) < a.pressure(h.mute):
		a.makeRoom(t, now, patience, false)
	}
	t.sign, t.began = now, now
	a.open[t] = struct{}{}
	return ""
}

// house is who is there, as one source sees it.
type house struct{ silent, talking, all, mute int }

// look counts. The caller holds a.mu.
func (a *admission) look(key netip.Prefix, now time.Time) (h house) {
	for o := range a.open {
		if o.stage != enrolling {
			h.all++
		}
		is := o.silent(now)
		if is {
			h.mute++
		}
		switch {
		case o.key != key:
		case is:
			h.silent++
		default:
			h.talking++
		}
	}
	return h
}

// reserve is how many places beyond Full are kept for networks that somebody
// has logged in from lately.
func (a *admission) reserve() int { return max(a.startups.Begin, a.startups.Full/2) }

// pressure is the percentage with which a silent connection makes room.
func (a *admission) pressure(silent int) int {
	st := a.startups
	return st.Rate + (100-st.Rate)*(silent-st.Begin)/max(1, st.Full-st.Begin)
}

// makeRoom ends the connection that shows least of anybody being there: one
// that has been without a key exchange for a while, of the source that has most
// of those; else the one whose dialogue has been silent longest; else one that
// has just begun. One that has shown nobody for less than least is left alone,
// and a known network's by an unknown newcomer, unless it has more than one source
// may, or while it has just begun by a known one whose network has had as much of the
// places: they would only end each other. Where it is full, one that has come no further
// than the host key counts as silent at once. The caller holds a.mu.
func (a *admission) makeRoom(newcomer *ticket, now time.Time, least time.Duration, full bool) bool {
	silent := map[netip.Prefix]int{}
	for o := range a.open {
		if o.silent(now) {
			silent[o.key]++
		}
	}
	return a.end(now, func(o *ticket) bool {
		switch age := now.Sub(o.sign); {
		case !o.silent(now) && (!full || o.stage != reading) || age < least:
			return false
		case !o.known || silent[o.key] > a.perSource:
			return true
		case age < patience && silent[o.key] <= silent[newcomer.key]+1:
			return newcomer.known && a.had(o.key, now) > a.had(newcomer.key, now)
		}
		return newcomer.known
	})
}

// share ends a dialogue that hesitates, of the source that has most of them, if it
// has more than one may have silent connections: few addresses can't keep everybody else
// out. A network that somebody has logged in from by now, and a course (see invited),
// is left alone by unknown newcomers, and everybody by those that have had their turn.
// The caller holds a.mu.
func (a *admission) share(newcomer *ticket, now time.Time) bool {
	if !newcomer.known && !a.modest(newcomer.key, now) {
		return false
	}
	talking, most, invited := map[netip.Prefix]int{}, a.perSource, a.invited()
	spared := func(o *ticket) bool { return !newcomer.known && (a.familiar.has(o.key, now) || invited(o)) }
	for o := range a.open {
		if o.stage == asked && o.key != newcomer.key && !spared(o) {
			talking[o.key]++
		}
	}
	var greedy netip.Prefix
	for key, n := range talking {
		if n > most {
			greedy, most = key, n
		}
	}
	return a.end(now, func(o *ticket) bool { return o.key == greedy && !spared(o) && o.hesitates(now) })
}

// end ends that one of the connections that fit which makes room before the others,
// if there is one. The caller holds a.mu.
func (a *admission) end(now time.Time, fits func(*ticket) bool) bool {
	mute := map[netip.Prefix]int{}
	for o := range a.open {
		if o.stage < asked {
			mute[o.key]++
		}
	}
	var victim *ticket
	for o := range a.open {
		if fits(o) && (victim == nil || before(o, victim, now, mute)) {
			victim = o
		}
	}
	return a.evict(victim, now)
}

// evict ends the connection for another one, if there is one to end. The caller holds
// a.mu.
func (a *admission) evict(victim *ticket, now time.Time) bool {
	if victim == nil {
		return false
	}
	delete(a.open, victim)
	victim.ended = true
	a.spend(victim, now)
	victim.drop()
	return true
}

// before tells whether x makes room before y.
func before(x, y *ticket, now time.Time, mute map[netip.Prefix]int) bool {
	switch {
	case x.known != y.known:
		return y.known
	case x.hope(now) != y.hope(now):
		return x.hope(now) < y.hope(now)
	case x.stage < asked && y.stage < asked && mute[x.key] != mute[y.key]:
		return mute[x.key] > mute[y.key]
	case (x.answers == 0) != (y.answers == 0):
		return x.answers == 0
	}
	return x.sign.Before(y.sign)
}

// tell has those look again who wait for a place. The caller holds a.mu.
func (a *admission) tell() {
	if len(a.queue) > 0 {
		close(a.changed)
		a.changed = make(chan struct{})
	}
}
