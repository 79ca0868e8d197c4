package bastion

import (
	"net/netip"
	"time"
)

const (
	// turn is how long a dialogue from an unknown network is left alone, whatever is
	// typed there. Who has had half of one lately, or has had one with what is open, is
	// no newcomer any more.
	turn = time.Minute

	// A dialogue that answers less often than this is nobody's who types.
	perAnswer = 30 * time.Second

	// How much more of the places than the newcomer's another network has to have had to
	// make room before its turn is over: it bounds how long a known network waits.
	clearly = 5 * time.Second

	// How much of the places a network has had without a login is remembered up to
	// this many seconds, and one of them is forgiven each refillTurns.
	mostTurns   = 600
	refillTurns = 30 * time.Second
)

// outstays tells whether a dialogue has had its turn: it is older than that, and was
// told that it isn't accepted or is answered too seldom for somebody who types. The
// caller holds a.mu.
func (t *ticket) outstays(now time.Time) bool {
	age := now.Sub(t.began)
	return t.stage == asked && age >= turn && (t.refused || time.Duration(t.answers)*perAnswer < age)
}

// takeTurns ends the dialogue that has outstayed longest, of a network that nobody
// has logged in from, for one of a known network or one that has had hardly any of
// the places lately: so whoever types junk slowly, from however many addresses, has
// each address for one turn. A course is left alone, see invited. For a known network
// that has no dialogue, one of any network makes room that has outstayed, and else the
// greediest. The caller holds a.mu.
func (a *admission) takeTurns(newcomer *ticket, now time.Time) bool {
	if !newcomer.known && !a.modest(newcomer.key, now) {
		return false
	}
	invited, absent := a.invited(), newcomer.known
	for o := range a.open {
		absent = absent && (o.stage != asked || o.key != newcomer.key)
	}
	var victim *ticket
	for _, may := range []func(*ticket) bool{func(o *ticket) bool { return !a.familiar.has(o.key, now) }, func(*ticket) bool { return absent }} {
		for o := range a.open {
			if o.outstays(now) && !invited(o) && may(o) && (victim == nil || o.began.Before(victim.began)) {
				victim = o
			}
		}
		if victim != nil {
			break
		}
	}
	if victim == nil && absent {
		victim = a.greediest(newcomer, invited, now)
	}
	return a.evict(victim, now)
}

// greediest is the oldest dialogue of the network that has had most of the places
// lately, itself included, if that is clearly more than the newcomer's has had: who
// holds all places from many known networks, with one dialogue each, has had more than
// anybody who comes to log in. The caller holds a.mu.
func (a *admission) greediest(newcomer *ticket, invited func(*ticket) bool, now time.Time) (victim *ticket) {
	oldest := map[netip.Prefix]*ticket{}
	for o := range a.open {
		if w := widely(o.key); o.stage == asked && !invited(o) && (oldest[w] == nil || o.began.Before(oldest[w].began)) {
			oldest[w] = o
		}
	}
	most := a.had(newcomer.key, now) + clearly
	for _, o := range oldest {
		if had := a.had(o.key, now) + now.Sub(o.began); had >= most {
			victim, most = o, had
		}
	}
	return victim
}

// course is how many dialogues of its source an open enrolment, which a right
// temporary passphrase begins, keeps from making room: those that began last. One
// passphrase has three at most, so that it doesn't shelter a hundred.
const course = 16

// invited tells which dialogues open enrolments keep. The caller holds a.mu.
func (a *admission) invited() func(*ticket) bool {
	places := map[netip.Prefix]int{}
	for o := range a.open {
		if o.stage == enrolling {
			places[o.key] += course
		}
	}
	return func(t *ticket) bool {
		left := places[t.key]
		if left == 0 {
			return false
		}
		for o := range a.open {
			if o.stage == asked && o.key == t.key && o.began.After(t.began) {
				left--
			}
		}
		return left > 0
	}
}

// modest tells whether the unknown network of a source has had hardly a turn of the
// places lately, the longest dialogue that it has open included: of a course that
// begins at the same time nobody has, of a single one who connects again each minute
// that one has. The caller holds a.mu.
func (a *admission) modest(key netip.Prefix, now time.Time) bool {
	wide := widely(key)
	var open time.Duration
	for o := range a.open {
		switch {
		case o.stage == enrolling && o.key == key:
			return true
		case o.stage == asked && widely(o.key) == wide:
			open = max(open, now.Sub(o.began))
		}
	}
	had := a.had(key, now)
	return had < turn/2 && had+open < turn
}

// had is how long the network of a source has had places lately without a login,
// beside what it has open. The caller holds a.mu.
func (a *admission) had(key netip.Prefix, now time.Time) time.Duration {
	s := a.sources[widely(key)]
	if s == nil {
		return 0
	}
	s.turns.refill(now, mostTurns, refillTurns)
	return time.Duration((mostTurns - s.turns.left) * float64(time.Second))
}

// widely is whose turns are counted as one's: an IPv4 address, or an IPv6 /48, of
// which one customer has 65,536 sources.
func widely(key netip.Prefix) netip.Prefix {
	if key.Addr().Is6() {
		key, _ = key.Addr().Prefix(48) // bits fit the address by construction
	}
	return key
}

// spend counts what a dialogue without a login has had of the places. The caller
// holds a.mu.
func (a *admission) spend(t *ticket, now time.Time) {
	if t.stage != asked {
		return
	}
	s := a.sourceAt(widely(t.key), now)
	s.turns.refill(now, mostTurns, refillTurns)
	s.turns.left = max(0, s.turns.left-now.Sub(t.began).Seconds())
}

// places is how many of them may be taken for t to have another one: known networks
// have a reserve, and half of the others is left to who has had hardly any lately. The caller holds a.mu.
func (a *admission) places(t *ticket, now time.Time) int {
	switch most := a.startups.Full; {
	case t.known:
		return most + a.reserve()
	case !a.modest(t.key, now):
		return most - most/2
	default:
		return most
	}
}

// respite is how long those are left alone that have just begun, while there is no
// place: who has had a turn waits for their key exchange. The caller holds a.mu.
func (a *admission) respite(t *ticket, now time.Time) time.Duration {
	if t.known || a.modest(t.key, now) {
		return 0
	}
	return patience
}

// queuing is a newcomer that waits for a place.
type queuing struct {
	t     *ticket
	since time.Time
	out   chan struct{} // closed where it made room in the queue
}

// queueUp has t wait, or returns nil where others go before it. The queue is as long
// as there are places; when it is full, one of the source gives way that has most
// connections before their login, the longest waiting first, so that who holds places
// with many doesn't keep others from waiting for one. The caller holds a.mu.
func (a *admission) queueUp(t *ticket, now time.Time) *queuing {
	if len(a.queue) >= a.startups.Full {
		var first *queuing
		for q := range a.queue {
			n, most := a.waiting(q.t), 0
			if first != nil {
				most = a.waiting(first.t)
			}
			if first == nil || n > most || n == most && q.since.Before(first.since) {
				first = q
			}
		}
		if first == nil || a.waiting(t) > a.waiting(first.t) {
			return nil
		}
		delete(a.queue, first)
		close(first.out)
	}
	q := &queuing{t: t, since: now, out: make(chan struct{})}
	a.queue[q] = struct{}{}
	return q
}

// waiting is how many connections the source of t has before their login; none count
// for a known network. The caller holds a.mu.
func (a *admission) waiting(t *ticket) int {
	if s := a.sources[t.key]; s != nil && !t.known {
		return s.waiting
	}
	return 0
}
