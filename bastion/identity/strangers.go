package identity

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"entry/audit"
)

// rate is how many failed dialogues are noted one by one: so many at once, and so many
// a second after that. What comes beyond is counted, so that neither a network of a
// million addresses nor the thief of one key fills the log's disk, and with it the way
// in for everybody.
type rate struct{ atOnce, perSecond float64 }

var (
	strangersRate = rate{1000, 2}  // of all networks without a login before together
	familiarRate  = rate{1000, 5}  // of all with one together, each of which…
	eachRate      = rate{200, 0.5} // …has this, as has each account behind what was proven
)

// maxPaced bounds the networks and accounts that have a pace of their own; those for
// which there is no room share one.
const maxPaced = 1024

// onlyCounted begins the detail of each sum.
const onlyCounted = "only counted, for too many at once: of "

// paced is what is left of a rate, and what was only counted since.
type paced struct {
	rate
	left float64
	at   time.Time
	more audit.Repeats
	last time.Time // that something was counted there; zero where nothing is left
	what string
}

func newPaced(r rate, now time.Time, what string) *paced {
	return &paced{rate: r, left: r.atOnce, at: now, what: onlyCounted + what}
}

func (p *paced) refill(now time.Time) {
	if past := now.Sub(p.at).Seconds(); past > 0 {
		p.left = min(p.atOnce, p.left+past*p.perSecond)
	}
	p.at = now
}

// take tells whether one more may be noted by itself.
func (p *paced) take(now time.Time) bool {
	if p.refill(now); p.left < 1 {
		return false
	}
	p.left--
	return true
}

// count only counts e; sums are to be noted.
func (p *paced) count(e audit.Event, now time.Time) (sums []audit.Event) {
	p.last = now
	_, sums = p.more.Count(e, now)
	return p.named(sums)
}

func (p *paced) sums(now time.Time, all bool) []audit.Event {
	if p.last.IsZero() {
		return nil
	}
	if all || now.Sub(p.last) >= time.Minute { // that is how long Repeats has the youngest
		p.last = time.Time{}
	}
	return p.named(p.more.Sums(now, all))
}

func (p *paced) named(sums []audit.Event) []audit.Event {
	for i := range sums {
		sums[i].Detail = p.what
	}
	return sums
}

// strangers are the paces of failed dialogues. It is safe for concurrent use.
type strangers struct {
	mu                sync.Mutex // guards all, and what they hold
	unknown, familiar *paced     // nil before the first
	each              map[string]*paced
}

// whose is where what came to nothing came from.
type whose struct {
	account  string     // of which something was right; "" where nothing was
	source   netip.Addr // with a login before, if familiar
	familiar bool
}

// note tells whether e, which something came to nothing by, is to be noted by itself;
// sums are to be in either case. Whose pace it has is decided by what the client knows
// anyway, never by whether its name exists: else the time that the log takes told. An
// event that is only counted counts as e.Count, if it says so.
func (s *strangers) note(from whose, e audit.Event, now time.Time) (sums []audit.Event, alone bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unknown == nil {
		s.unknown = newPaced(strangersRate, now, "addresses without a login before")
		s.familiar = newPaced(familiarRate, now, "addresses with a login before")
		s.each = map[string]*paced{}
	}
	sums = s.sums(now, false)
	p := s.unknown
	switch {
	case from.account != "":
		p = s.of("account "+from.account, now, "those who had proven a key or a passphrase of the account")
	case from.familiar:
		name := sourceOf(from.source).String()
		if p = s.of("network "+name, now, "network "+name); p.take(now) {
			p = s.familiar
		}
	}
	if p.take(now) {
		return sums, true
	}
	if from.account == "" {
		e.User = ""
	}
	return append(sums, p.count(e, now)...), false
}

// of is the pace of one network or account. The caller holds s.mu.
func (s *strangers) of(key string, now time.Time, what string) *paced {
	if p := s.each[key]; p != nil {
		return p
	}
	if len(s.each) >= maxPaced {
		for k, p := range s.each {
			if p.refill(now); p.left >= p.atOnce && p.last.IsZero() {
				delete(s.each, k)
			}
		}
	}
	if len(s.each) >= maxPaced {
		key, what = "", "others"
		if p := s.each[key]; p != nil {
			return p
		}
	}
	p := newPaced(eachRate, now, what)
	s.each[key] = p
	return p
}

// due are the sums for those that were only counted, a minute after the first, or all
// of them.
func (s *strangers) due(now time.Time, all bool) []audit.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sums(now, all)
}

func (s *strangers) sums(now time.Time, all bool) []audit.Event {
	if s.unknown == nil {
		return nil
	}
	sums := append(s.unknown.sums(now, all), s.familiar.sums(now, all)...)
	for _, p := range s.each {
		sums = append(sums, p.sums(now, all)...)
	}
	return sums
}

// reportFailure is report for e, which a dialogue came to nothing by, and what follows
// from it. proven says that it came after something of the account that was right; wrong
// answers behind a key are noted in any case, because they are few before it is
// suspended, and so is the lock of an account, of which there is one a day.
func (d *dialogue) reportFailure(ctx context.Context, proven bool, e audit.Event, more ...audit.Event) error {
	all := append([]audit.Event{e}, more...)
	if d.serving || d.key != "" && e.Type == audit.LoginFailed && !proven {
		return d.a.report(ctx, all...)
	}
	from := whose{source: d.at.Source.Addr(), familiar: d.at.Familiar}
	if d.user != "" && (proven || d.key != "") {
		from.account = d.user
	}
	var due []audit.Event
	for _, one := range all {
		sums, alone := []audit.Event(nil), one.Reason == string(reasonAccountLocked) && one.Type == audit.LoginLocked
		if !alone {
			sums, alone = d.a.strangers.note(from, one, d.a.now())
		}
		if due = append(due, sums...); alone {
			due = append(due, one)
		}
	}
	return d.a.reportAny(ctx, due)
}

// reportPaced is report for e at a pace, in which it counts as n; noted tells whether
// it was put on record by itself.
func (a *core) reportPaced(ctx context.Context, from whose, e audit.Event, n int) (noted bool, err error) {
	counts := e
	counts.Count = n
	due, noted := a.strangers.note(from, counts, a.now())
	if noted {
		due = append(due, e)
	}
	return noted, a.reportAny(ctx, due)
}

func (a *core) reportAny(ctx context.Context, due []audit.Event) error {
	if len(due) == 0 {
		return nil
	}
	return a.report(ctx, due...)
}

// Refused notes e, by which n connections were refused before any login, at the rates
// of logins that come to nothing: noted tells whether by itself. at needs but Source and
// Familiar.
func (a *Authenticator) Refused(ctx context.Context, at Attempt, e audit.Event, n int) (noted bool, err error) {
	return a.reportPaced(ctx, whose{source: at.Source.Addr(), familiar: at.Familiar}, e, n)
}
