package access

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"entry/audit/refusal"
)

// registry knows everything that is open under a grant, and every login. It is
// safe for concurrent use; its lock is never held across I/O.
type registry struct {
	mu     sync.Mutex
	open   map[*Hold]struct{}
	logins map[*Login]*entered
	// channels are those that lead to targets, by user.
	channels map[string]int
	turnover map[string]uint64 // sessions that began or ended, by user
	short    time.Time         // when it was told that files are
	changing map[string]int    // users whose account is being changed here
	changed  chan struct{}     // closed and replaced when a hold ends
}

func newRegistry() *registry {
	return &registry{open: map[*Hold]struct{}{}, logins: map[*Login]*entered{}, channels: map[string]int{}, turnover: map[string]uint64{}, changing: map[string]int{}, changed: make(chan struct{})}
}

// add registers h, a session unless its user already has most of them on its
// target; most 0 is no limit. Counting and adding are one step.
func (r *registry) add(h *Hold, most int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for o := range r.open {
		if h.session != "" && o.session != "" && o.login.who.User() == h.login.who.User() && o.grant.Target().FullName() == h.grant.Target().FullName() {
			n++
		}
	}
	if most > 0 && n >= most {
		return false
	}
	r.open[h] = struct{}{}
	r.busy(h.login, 1)
	r.turnover[h.login.who.User()]++
	return true
}

func (r *registry) remove(h *Hold) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.open[h]; ok {
		r.busy(h.login, -1)
		r.turnover[h.login.who.User()]++
	}
	delete(r.open, h)
	close(r.changed)
	r.changed = make(chan struct{})
}

// all is everything that is open.
func (r *registry) all() []*Hold {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Keys(r.open))
}

// presence is what a login has here.
type presence struct {
	holds  []*Hold
	hangUp func() // nil for a direct connection that is still being made
}

// present are the logins of the kind. kind is called with mu held.
func (r *registry) present(kind func(*Login) bool) map[*Login]*presence {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[*Login]*presence{}
	for l, e := range r.logins {
		if kind(l) {
			out[l] = &presence{hangUp: e.hangUp}
		}
	}
	for h := range r.open {
		if !kind(h.login) {
			continue
		}
		if out[h.login] == nil {
			out[h.login] = &presence{}
		}
		out[h.login].holds = append(out[h.login].holds, h)
	}
	return out
}

// change notes that user's account is being changed here, until done.
func (r *registry) change(user string) (done func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changing[user]++
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.changing[user]--; r.changing[user] == 0 {
			delete(r.changing, user)
		}
	}
}

// sessions is every live session, oldest first.
func (r *registry) sessions() []*Hold {
	all := slices.DeleteFunc(r.all(), func(h *Hold) bool { return h.session == "" })
	slices.SortFunc(all, func(a, b *Hold) int { return strings.Compare(a.session, b.session) })
	return all
}

// Turnover is another number once something of user's was opened, or has ended and is
// on record.
func (g *Gate) Turnover(user string) uint64 {
	r := g.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.turnover[user]
}

// until blocks until nothing of the kind is open or ctx ends.
func (r *registry) until(ctx context.Context, kind func(*Hold) bool) {
	for {
		r.mu.Lock()
		changed, left := r.changed, false
		for h := range r.open {
			left = left || kind(h)
		}
		r.mu.Unlock()
		if !left {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// EndAll ends everything that is open and returns how much there was.
func (g *Gate) EndAll(why *refusal.Error) int {
	all := g.registry.all()
	for _, h := range all {
		h.End(why)
	}
	return len(all)
}

// Wait blocks until nothing is open or ctx ends.
func (g *Gate) Wait(ctx context.Context) { g.registry.until(ctx, func(*Hold) bool { return true }) }

// SessionInfo is a live session as listings show it.
type SessionInfo struct {
	ID      string    `json:"id"`
	User    string    `json:"user"`
	Target  string    `json:"target"`
	Source  string    `json:"source"`
	Started time.Time `json:"started"`
	Rule    string    `json:"rule"`
}

func (h *Hold) info() SessionInfo {
	return SessionInfo{ID: h.session, User: h.login.who.User(), Target: h.grant.Target().FullName(), Source: h.login.source.String(),
		Started: h.began.UTC(), Rule: h.grant.Rule().String()}
}

// Sessions lists the live sessions, oldest first.
func (g *Gate) Sessions() []SessionInfo {
	var out []SessionInfo
	for _, h := range g.registry.sessions() {
		out = append(out, h.info())
	}
	return out
}
