package bastion

import (
	"net/netip"
	"time"
)

// stage is how far a connection is that hasn't logged in.
type stage uint8

const (
	exchanging stage = iota // keys; nothing is known of it
	reading                 // it has entry's host key, whose fingerprint somebody may read
	asked                   // it is in its dialogue
	enrolling               // a right temporary passphrase opened an enrolment
)

// ticket is one admitted, not yet authenticated connection. Its admission's mu
// guards what changes.
type ticket struct {
	a     *admission
	key   netip.Prefix
	known bool   // somebody has logged in from there lately
	drop  func() // ends the connection; it doesn't block

	stage   stage
	began   time.Time // when it got its place
	sign    time.Time // the last that somebody was there
	answers int       // to prompts
	refused bool      // a dialogue of it came to nothing
	enrols  string    // whose enrolment it is
	queried bool
	ended   bool // it made room for another one
	done    bool
}

// silent tells whether nothing shows that anybody is there. The caller holds
// a.mu.
func (t *ticket) silent(now time.Time) bool {
	return t.stage == exchanging || t.stage <= asked && now.Sub(t.sign) >= typing
}

// hesitates tells whether a dialogue makes room where its source has more than its
// share. The caller holds a.mu.
func (t *ticket) hesitates(now time.Time) bool {
	return (t.stage == asked || t.stage == reading) && now.Sub(t.sign) >= hesitation
}

// hope is how likely somebody is at the other end of a silent connection.
func (t *ticket) hope(now time.Time) int {
	switch {
	case t.stage == asked, t.stage == reading:
		return 1
	case now.Sub(t.sign) < patience:
		return 2
	}
	return 0
}

// reads says that the client has entry's host key: a program goes on at once, and a person
// who is asked about its fingerprint looks it up first. That anybody is there it doesn't
// show, so that it makes room where all places are taken.
func (t *ticket) reads() {
	a := t.a
	a.mu.Lock()
	defer a.mu.Unlock()
	if t.stage == exchanging {
		t.stage, t.sign = reading, a.now()
		a.tell()
	}
}

// answered says that somebody is there: the key exchange is over, or a prompt
// was answered.
func (t *ticket) answered() {
	a := t.a
	a.mu.Lock()
	defer a.mu.Unlock()
	if t.stage < asked {
		t.stage = asked
	} else {
		t.answers++
	}
	t.sign = a.now()
	a.tell()
}

// wasRefused notes that what was answered isn't accepted.
func (t *ticket) wasRefused() {
	t.a.mu.Lock()
	defer t.a.mu.Unlock()
	t.refused = true
}

// madeRoom tells whether the connection was ended for another one.
func (t *ticket) madeRoom() bool {
	t.a.mu.Lock()
	defer t.a.mu.Unlock()
	return t.ended
}

// query charges the first of a connection's questions about keys to its source,
// and returns how long each answer is to wait.
func (t *ticket) query() time.Duration {
	a := t.a
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.sources[t.key]
	if s == nil {
		return 0
	}
	first := !t.queried
	if first {
		t.queried = true
		s.queries.refill(a.now(), burstQueries, refillQueries)
		const least = -burstQueries * float64(longestQuery/queryPause)
		s.queries.left = max(least, s.queries.left-1)
	}
	switch {
	case s.queries.left >= 0:
		return 0
	case first:
		return min(longestQuery, queryPause*time.Duration(1-int(s.queries.left)/burstQueries))
	}
	return queryPause
}

// leave ends the unauthenticated phase. A login gives the source back what the
// connection cost it: only those that come to nothing count against its rates.
// It may be called more than once.
func (t *ticket) leave(loggedIn bool) {
	a := t.a
	a.mu.Lock()
	defer a.mu.Unlock()
	if t.done {
		return
	}
	t.done = true
	if _, open := a.open[t]; open && !loggedIn {
		a.spend(t, a.now())
	}
	delete(a.open, t)
	if s := a.sources[t.key]; s != nil && loggedIn {
		s.budget.left = min(burstConnections, s.budget.left+1)
		if t.queried {
			s.queries.left = min(burstQueries, s.queries.left+1)
		}
	}
	if loggedIn {
		a.familiar.note(t.key, a.now())
	}
	a.gone(t.key)
}

// enrol moves the connection of name to the enrolment pool, which has the longer
// grace. It returns false when that pool, or its part for one name, is full.
func (t *ticket) enrol(name string) bool {
	a := t.a
	a.mu.Lock()
	defer a.mu.Unlock()
	n, own := 0, 0
	for o := range a.open {
		if o.stage == enrolling {
			n++
			if o.enrols == name {
				own++
			}
		}
	}
	if _, open := a.open[t]; !open || t.stage == enrolling || n >= enrolmentPool || own >= enrolmentsOfOne {
		return false
	}
	t.stage, t.enrols = enrolling, name
	a.tell()
	return true
}
