package bastion

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"entry/audit"
	"entry/audit/refusal"
	"entry/bastion/identity"
	"entry/policy"
	"entry/session/group"
)

// revocable is whatever was opened under a grant and must end with it: a
// session (*live), or one connection to a tcp target (*tcpForward).
type revocable interface {
	by() *client                 // the connection it was opened on
	stands(*policy.Policy) error // whether it may go on under that policy
	end(*refusal.Error)
	recheck() // a new policy is in force, under which it stands
}

// registry knows everything that is open under a grant, and every client
// connection. It is safe for concurrent use; its lock is never held across I/O.
type registry struct {
	mu      sync.Mutex
	open    map[revocable]struct{}
	clients map[*client]struct{}
	changed chan struct{} // closed and replaced when something ends
}

func newRegistry() *registry {
	return &registry{open: map[revocable]struct{}{}, clients: map[*client]struct{}{}, changed: make(chan struct{})}
}

// addSession registers l unless its user already has most sessions on its
// target; most 0 is no limit. Counting and adding are one step.
func (r *registry) addSession(l *live, most int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for o := range r.open {
		if o, ok := o.(*live); ok && o.user == l.user && o.grant.Target().FullName() == l.grant.Target().FullName() {
			n++
		}
	}
	if most > 0 && n >= most {
		return false
	}
	r.open[l] = struct{}{}
	return true
}

func (r *registry) add(x revocable) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open[x] = struct{}{}
}

func (r *registry) remove(x revocable) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, x)
	close(r.changed)
	r.changed = make(chan struct{})
}

// connected notes a client connection; the returned function forgets it.
func (r *registry) connected(c *client) func() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clients[c] = struct{}{}
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.clients, c)
	}
}

// all is everything that is open.
func (r *registry) all() []revocable {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Keys(r.open))
}

// sessions is every live session, oldest first.
func (r *registry) sessions() []*live {
	var out []*live
	for _, x := range r.all() {
		if l, ok := x.(*live); ok {
			out = append(out, l)
		}
	}
	slices.SortFunc(out, func(a, b *live) int { return strings.Compare(a.id, b.id) })
	return out
}

// endAll ends everything open and returns how much there was.
func (r *registry) endAll(e *refusal.Error) int {
	all := r.all()
	for _, x := range all {
		x.end(e)
	}
	return len(all)
}

// endUser ends what is open for user on connections whose login no longer
// stands, then those connections once the sessions had time to say why.
func (r *registry) endUser(user string, e *refusal.Error) {
	r.mu.Lock()
	var gone []*client
	for c := range r.clients {
		if c.who.User() == user {
			gone = append(gone, c)
		}
	}
	var open []revocable
	for x := range r.open {
		if x.by().who.User() == user {
			open = append(open, x)
		}
	}
	r.mu.Unlock()
	holds := map[identity.Identity]bool{} // a question to the store for each login
	revoked := func(c *client) bool {
		ok, asked := holds[c.who]
		if !asked {
			ok = c.stands() == nil
			holds[c.who] = ok
		}
		return !ok
	}
	ended := map[revocable]bool{}
	for _, x := range open {
		if revoked(x.by()) {
			ended[x] = true
			x.end(e)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), endTimeout)
	defer cancel()
	r.until(ctx, func(x revocable) bool { return ended[x] })
	closing := group.New(ctx, nil)
	for _, c := range gone {
		if revoked(c) {
			// It waits a second for a client that takes nothing.
			closing.Go("close a revoked connection", func() { c.leg.Conn.Close() })
		}
	}
	closing.Wait()
}

// wait blocks until nothing is open or ctx ends.
func (r *registry) wait(ctx context.Context) {
	r.until(ctx, func(revocable) bool { return true })
}

// until blocks until nothing of the kind is open or ctx ends.
func (r *registry) until(ctx context.Context, kind func(revocable) bool) {
	for {
		r.mu.Lock()
		changed, left := r.changed, false
		for x := range r.open {
			left = left || kind(x)
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

// SessionInfo is a live session as listings show it.
type SessionInfo struct {
	ID      string    `json:"id"`
	User    string    `json:"user"`
	Target  string    `json:"target"`
	Source  string    `json:"source"`
	Started time.Time `json:"started"`
	Rule    string    `json:"rule"`
}

func (l *live) info() SessionInfo {
	return SessionInfo{ID: l.id, User: l.user, Target: l.grant.Target().FullName(), Source: l.source.String(), Started: l.started.UTC(), Rule: l.grant.Rule().String()}
}

// Sessions lists the live sessions, oldest first.
func (s *Server) Sessions() []SessionInfo {
	var out []SessionInfo
	for _, l := range s.live.sessions() {
		out = append(out, l.info())
	}
	return out
}

var errNoSession = errors.New("no such live session")

// endSession ends the live session with this ID and tells its user, once note
// has put it on record. It returns errNoSession when there is none.
func (s *Server) endSession(id string, e *refusal.Error, note func(audit.Event) error) error {
	for _, l := range s.live.sessions() {
		if l.id != id {
			continue
		}
		err := note(l.event(audit.SessionKilled))
		l.end(e) // even if the log has failed: then nothing may go on
		return err
	}
	return errNoSession
}
