package session

import (
	"fmt"
	"sync/atomic"
	"time"

	"entry/audit/refusal"
	"entry/policy"
)

// direction is where bytes go.
type direction uint8

const (
	towardsClient direction = iota
	towardsTarget
)

// meter counts and times what a flow moves, and spends its budgets. It is safe
// for concurrent use.
type meter struct {
	start time.Time
	last  atomic.Int64     // nanoseconds since start: the latest byte
	moved [2]atomic.Int64  // bytes, by direction
	signs [2]atomic.Uint64 // of life, of the side that the direction leads to
	may   [2]allowance     // bytes, by direction
}

// read counts n bytes that were read; it shows that their sender lives.
func (m *meter) read(to direction, n int) {
	m.last.Store(int64(time.Since(m.start)))
	m.moved[to].Add(int64(n))
	m.signs[1-to].Add(1)
}

// wrote notes that a write came back: the receiver opens its window.
func (m *meter) wrote(to direction) { m.signs[to].Add(1) }

// bytes is how many were moved both ways.
func (m *meter) bytes() int64 { return m.moved[towardsClient].Load() + m.moved[towardsTarget].Load() }

// quiet is for how long nothing has been read.
func (m *meter) quiet() time.Duration {
	return time.Since(m.start) - time.Duration(m.last.Load())
}

// giveBack returns to the budgets what was taken and not moved.
func (m *meter) giveBack() {
	m.may[towardsClient].giveBack()
	m.may[towardsTarget].giveBack()
}

// clock ends a flow when the limits of its grant say so. It is owned by one
// goroutine, which calls struck for every value of c.
type clock struct {
	f      *flow
	what   string // is limited, as "sessions on"
	limits policy.Limits
	timer  *time.Timer
	c      <-chan time.Time // nil without a limit
}

func (f *flow) newClock(l policy.Limits, what string) *clock {
	k := &clock{f: f, what: what, limits: l}
	if l.Session > 0 || l.Idle > 0 {
		k.timer = time.NewTimer(k.next())
		k.c = k.timer.C
	}
	return k
}

// next is when to look again.
func (k *clock) next() time.Duration {
	session, idle := k.limits.Session-time.Since(k.f.meter.start), k.limits.Idle-k.f.meter.quiet()
	switch {
	case k.limits.Session <= 0:
		return idle
	case k.limits.Idle <= 0:
		return session
	}
	return min(session, idle)
}

func (k *clock) struck() {
	f := k.f
	switch {
	case k.limits.Session > 0 && time.Since(f.meter.start) >= k.limits.Session:
		f.end(&refusal.Error{Text: fmt.Sprintf("%s %s end after %s", k.what, f.target, k.limits.Session), Code: refusal.SessionLimit})
	case k.limits.Idle > 0 && f.meter.quiet() >= k.limits.Idle:
		f.end(&refusal.Error{Text: fmt.Sprintf("nothing was sent or received for %s", k.limits.Idle), Code: refusal.IdleLimit})
	default:
		k.timer.Reset(k.next())
	}
}

func (k *clock) stop() {
	if k.timer != nil {
		k.timer.Stop()
	}
}
