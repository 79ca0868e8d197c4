package policy

import "time"

// Limits bound what a session may take; zero means no limit. Bytes are those of
// every channel, down towards the client and up towards the target.
type Limits struct {
	Session    time.Duration // from its start, however busy
	Idle       time.Duration // without data in either direction
	Concurrent int           // sessions of one user on one target
	// Connections is how many client connections a user may have, if no other of their
	// targets permits more, and on how many anything is open under the rule.
	Connections int

	SessionDown, SessionUp int64 // bytes of one session
	DayDown, DayUp         int64 // bytes of one user on one target in a day
}

// generous is what both l and m leave room for, field by field.
func (l Limits) generous(m Limits) Limits {
	return Limits{
		Session: generous(l.Session, m.Session), Idle: generous(l.Idle, m.Idle), Concurrent: generous(l.Concurrent, m.Concurrent), Connections: generous(l.Connections, m.Connections),
		SessionDown: generous(l.SessionDown, m.SessionDown), SessionUp: generous(l.SessionUp, m.SessionUp),
		DayDown: generous(l.DayDown, m.DayDown), DayUp: generous(l.DayUp, m.DayUp),
	}
}

// Include reports whether l leaves at least the room that m leaves.
func (l Limits) Include(m Limits) bool { return l.generous(m) == l }

// generous is the larger of two limits, of which 0 is none.
func generous[T int | int64 | time.Duration](a, b T) T {
	if a == 0 || b == 0 {
		return 0
	}
	return max(a, b)
}
