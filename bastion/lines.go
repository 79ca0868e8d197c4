package bastion

import (
	"context"
	"slices"
	"sync"
	"time"
)

// lines give out places at what users share, a target's login say, most at a time and no
// more than ofUser of them to one user. Who waits is served by who has fewest, then in the
// order of coming. They are safe for concurrent use.
type lines struct {
	most, ofUser int

	mu     sync.Mutex // guards what follows, and all lines' fields
	of     map[string]*line
	proven map[string]bool // see trust
}

// line is one thing that is shared. It is there while somebody has a place or waits.
type line struct {
	taken   int
	by      map[string]int // places, by user; also those that were passed on
	waiting []*place
}

// place is one place in a line.
type place struct {
	in        *lines
	key, user string
	ofUser    int           // how many of its user's there may be with it
	granted   chan struct{} // closed once it is had
	had       bool
	passed    bool // it counts for its user alone
}

func newLines(most, ofUser int) *lines {
	return &lines{most: most, ofUser: ofUser, of: map[string]*line{}, proven: map[string]bool{}}
}

// take waits for a place of user's at key, which is to be given back. It returns the
// cause of ctx where that ends first.
func (l *lines) take(ctx context.Context, key, user string) (*place, error) {
	return l.takeOf(ctx, key, user, l.ofUser)
}

// takeOf is take of one of at most ofUser places.
func (l *lines) takeOf(ctx context.Context, key, user string, ofUser int) (*place, error) {
	p := &place{in: l, key: key, user: user, ofUser: ofUser, granted: make(chan struct{})}
	l.mu.Lock()
	of := l.of[key]
	if of == nil {
		of = &line{by: map[string]int{}}
		l.of[key] = of
	}
	of.waiting = append(of.waiting, p)
	l.grant(of)
	l.mu.Unlock()
	select {
	case <-p.granted:
		return p, nil
	case <-ctx.Done():
		p.give()
		return nil, context.Cause(ctx)
	}
}

// grant gives out what is free. mu is held.
func (l *lines) grant(of *line) {
	for of.taken < l.most {
		next := -1
		for i, p := range of.waiting {
			if of.by[p.user] < p.ofUser && (next < 0 || of.by[p.user] < of.by[of.waiting[next].user]) {
				next = i
			}
		}
		if next < 0 {
			return
		}
		p := of.waiting[next]
		of.waiting = slices.Delete(of.waiting, next, next+1)
		of.taken++
		of.by[p.user]++
		p.had = true
		close(p.granted)
	}
}

// pass gives the place to others, but counts on as one of its user's: what goes on waits
// for a person.
func (p *place) pass() {
	p.in.mu.Lock()
	defer p.in.mu.Unlock()
	if of := p.in.of[p.key]; p.had && !p.passed {
		p.passed = true
		of.taken--
		p.in.grant(of)
	}
}

// failed gives the place to others, and to its user once wait is over.
func (p *place) failed(wait time.Duration) {
	p.pass()
	time.AfterFunc(wait, p.give)
}

// maxProven bounds what is remembered; with more, all begin anew.
const maxProven = 10_000

// trust notes whether what is called so went well the last time.
func (l *lines) trust(what string, well bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !well {
		delete(l.proven, what)
		return
	}
	if len(l.proven) >= maxProven {
		clear(l.proven)
	}
	l.proven[what] = true
}

// trusts tells what trust noted.
func (l *lines) trusts(what string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.proven[what]
}

// give gives the place back, or up while it is waited for. It may be called again.
func (p *place) give() {
	l := p.in
	l.mu.Lock()
	defer l.mu.Unlock()
	of := l.of[p.key]
	switch i := -1; {
	case of == nil:
		return
	case p.had:
		p.had = false
		if !p.passed {
			of.taken--
		}
		if of.by[p.user]--; of.by[p.user] == 0 {
			delete(of.by, p.user)
		}
		l.grant(of)
	default:
		if i = slices.Index(of.waiting, p); i >= 0 {
			of.waiting = slices.Delete(of.waiting, i, i+1)
		}
	}
	if len(of.by) == 0 && len(of.waiting) == 0 {
		delete(l.of, p.key)
	}
}
