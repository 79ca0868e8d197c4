package access

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"entry/audit"
	"entry/audit/refusal"
)

// Pace is how many events one user may cause at once, and how many a second
// after that. What goes beyond waits, so that nobody can fill the log: what has
// begun is always put on record, only nothing more begins meanwhile. The zero
// Pace is without a bound.
type Pace struct{ Burst, PerSecond int }

const (
	rateAlarmEvery = time.Hour   // one event a user
	countedEvery   = time.Minute // looks for sums of refusals that are due
	maxEarly       = 8           // logins of one user that may wait for it; a login takes a place from others
)

// paces counts the events of users. It is safe for concurrent use.
type paces struct {
	Pace
	now func() time.Time

	mu sync.Mutex // guards what follows
	of map[string]*pace
}

// pace is what one user has left. It can go below zero: what has happened is
// put on record whatever it costs.
type pace struct {
	left    float64
	at      time.Time     // when left was so
	told    time.Time     // when an alarm was raised
	early   int           // logins that wait
	refused audit.Repeats // refusals that were only counted, on all connections
	crowd   audit.Repeats // connections that were refused as a whole
}

func newPaces(p Pace, now func() time.Time) *paces {
	return &paces{Pace: p, now: now, of: map[string]*pace{}}
}

// user is the pace of user now; mu is held.
func (p *paces) user(user string) *pace {
	u, now := p.of[user], p.now()
	if u == nil {
		u = &pace{left: float64(p.Burst), at: now}
		p.of[user] = u
	}
	if d := now.Sub(u.at); d > 0 {
		u.left, u.at = min(float64(p.Burst), u.left+d.Seconds()*float64(p.PerSecond)), now
	}
	return u
}

// spend counts n events of user. alarm says that from now on user has to wait,
// which is to be told.
func (p *paces) spend(user string, n int) (alarm bool) {
	if p.Burst == 0 || user == "" {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	u := p.user(user)
	u.left -= float64(n)
	if u.left >= 1 || p.now().Sub(u.told) < rateAlarmEvery {
		return false
	}
	u.told = p.now()
	return true
}

// take takes the place of one event, or says how long to wait for one.
func (p *paces) take(user string) time.Duration {
	if p.Burst == 0 {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	u := p.user(user)
	if u.left >= 1 {
		u.left--
		return 0
	}
	return time.Duration((1-u.left)/float64(p.PerSecond)*float64(time.Second)) + time.Millisecond
}

// await waits until user may cause one more event.
func (p *paces) await(ctx context.Context, user string) error {
	for {
		d := p.take(user)
		if d == 0 {
			return nil
		}
		t := time.NewTimer(min(d, time.Minute))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return context.Cause(ctx)
		}
	}
}

// Early waits until user may log in from source: with a key that needs no code, a client
// could otherwise log in as fast as it can. It is asked once the key is proven. The
// refusal is for too many logins that wait already, or too many connections, which it has
// put on record.
func (g *Gate) Early(ctx context.Context, user string, source netip.AddrPort) *Refused {
	p := g.paces
	if r := g.full(user); r != nil {
		g.noteCrowd(r, audit.Event{User: user, Source: source.String()})
		return r
	}
	if p.take(user) == 0 {
		return nil
	}
	done, ok := p.wait(user)
	if !ok {
		return Refuse("event-rate", "you log in too often; wait some minutes", audit.Event{})
	}
	defer done()
	if p.await(ctx, user) != nil {
		return Refuse(refusal.Closed, "the connection ended", audit.Event{})
	}
	return nil
}

// wait counts a login of user that waits, unless too many do; done takes it back.
func (p *paces) wait(user string) (done func(), ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	u := p.user(user)
	if u.early >= maxEarly {
		return nil, false
	}
	u.early++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		u.early--
	}, true
}

// count only counts e, a refusal of user, if what user may cause is used up: ref is
// then that of the sum. sums are to be appended in either case.
func (p *paces) count(user string, e audit.Event) (ref string, sums []audit.Event, counted bool) {
	if p.Burst == 0 || user == "" {
		return "", nil, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	u := p.user(user)
	// What has waited for its turn has just used up a place: it is told.
	if u.left >= 0 {
		return "", nil, false
	}
	e.User = user
	ref, sums = u.refused.Count(e, p.now())
	return ref, sums, true
}

// again is audit.Repeats.Again over all connections of e's user.
func (p *paces) again(e audit.Event) (ref string, sums []audit.Event, again bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.user(e.User).crowd.Again(e, p.now())
}

// sums are the events for the refusals that were only counted: those that are
// due, or all of them.
func (p *paces) sums(all bool) []audit.Event {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []audit.Event
	for _, u := range p.of {
		out = append(out, u.refused.Sums(p.now(), all)...)
		out = append(out, u.crowd.Sums(p.now(), all)...)
	}
	return out
}

// sumUp appends, as long as g is open, what refusals were only counted.
func (g *Gate) sumUp() {
	for ctx := g.own.Context(); ctx.Err() == nil; {
		pause(ctx, countedEvery)
		g.counted(false)
	}
}

// counted appends the sums of refusals that are due, or all of them.
func (g *Gate) counted(all bool) {
	for _, e := range g.paces.sums(all) {
		g.append(e)
		g.spent(e.User, 1)
	}
}

// Count only counts e, a refusal with its Ref, if l's user has caused more events
// than one may: refusals come without a turn, so that a client which is refused as
// often as it can would fill the log. Then e isn't to be appended, and ref is what
// it stands under: a sum of all that the user was refused for that reason, which
// is appended within two minutes.
func (l *Login) Count(e audit.Event) (ref string, counted bool) {
	ref, sums, counted := l.gate.paces.count(l.who.User(), e)
	l.append(sums...)
	return ref, counted
}

// Turn waits until the user may begin something that is put on record. It
// returns an error only where ctx ends first.
func (l *Login) Turn(ctx context.Context) error { return l.gate.paces.await(ctx, l.who.User()) }

// Append stores events of l as the audit log does, and counts them for its user.
func (l *Login) Append(ctx context.Context, e ...audit.Event) error {
	err := l.gate.o.Events.Append(ctx, e...)
	l.gate.spent(l.who.User(), len(e))
	return err
}

// spent counts n events of user.
func (g *Gate) spent(user string, n int) {
	if g.paces.spend(user, n) {
		e := audit.Event{Type: audit.AlarmEventRate, User: user, Reason: "rate",
			Detail: fmt.Sprintf("caused %d events faster than %d a second; what causes more of them waits", g.paces.Burst, g.paces.PerSecond)}
		g.o.Trouble("events of "+user, fmt.Errorf("%s", e.Detail))
		g.append(e)
	}
}
