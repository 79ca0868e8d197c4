package access

import (
	"fmt"
	"time"

	"entry/audit"
	"entry/audit/plain"
	"entry/audit/refusal"
)

// Bounds are what one user may have open at this server, or the server would run out of
// files and memory by one of them. Zero is no bound.
type Bounds struct {
	Connections int // client connections, where no rule says another number
	Channels    int // channels of theirs that lead to targets, over all connections
}

const (
	// restsFor is how long nothing is open on a connection before it makes room for a
	// newer one of its user's: a client that has just logged in opens something first.
	restsFor = 30 * time.Second
	// filesOfChannel is what a channel to a target has open: the connection to it, its
	// recording, and the recording's key for a moment.
	filesOfChannel = 3
	filesEvery     = 10 * time.Minute // one event that says that files run short
)

// entered is a login that is registered.
type entered struct {
	hangUp func()
	busy   int       // how much is open on it
	rests  time.Time // since when nothing is
}

// enter notes a login, of whose user there may be most, or any number if that is 0. One on
// which nothing has been open for a while makes room where there are so many: its hangUp
// is room, for the caller to call. The returned leave forgets l.
func (r *registry) enter(l *Login, most int, now time.Time, hangUp func()) (leave, room func(), ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n, resting := r.crowd(l.who.User(), now); most > 0 && n >= most {
		if resting == nil {
			return nil, nil, false
		}
		room = r.logins[resting].hangUp
		delete(r.logins, resting)
	}
	r.logins[l] = &entered{hangUp: hangUp, rests: now}
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.logins, l)
	}, room, true
}

// crowd is how many connections user has, and the one on which nothing is open for
// longest, if one makes room. mu is held.
func (r *registry) crowd(user string, now time.Time) (n int, resting *Login) {
	for l, e := range r.logins {
		if l.who.User() != user {
			continue
		}
		n++
		if e.busy == 0 && e.hangUp != nil && now.Sub(e.rests) >= restsFor && (resting == nil || e.rests.Before(r.logins[resting].rests)) {
			resting = l
		}
	}
	return n, resting
}

// one is any login of user.
func (r *registry) one(user string) *Login {
	r.mu.Lock()
	defer r.mu.Unlock()
	for l := range r.logins {
		if l.who.User() == user {
			return l
		}
	}
	return nil
}

// busy notes that something is open on l, or no longer. mu is held.
func (r *registry) busy(l *Login, n int) {
	if e := r.logins[l]; e != nil {
		e.busy += n
		e.rests = l.gate.now()
	}
}

// under is on how many connections h's user has something open under the rule of h.
func (r *registry) under(h *Hold) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	on := map[*Login]bool{}
	for o := range r.open {
		if o.login.who.User() == h.login.who.User() && o.grant.Rule() == h.grant.Rule() {
			on[o.login] = true
		}
	}
	return len(on)
}

// Busy notes that something is open on l that isn't a Hold, until done.
func (l *Login) Busy() (done func()) {
	r := l.gate.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	r.busy(l, 1)
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.busy(l, -1)
	}
}

// Channel counts a channel that is to lead to a target, before anything is dialled for
// it, until done; or says that l's user has too many.
func (l *Login) Channel() (done func(), no *Refused) {
	r, user, most := l.gate.registry, l.who.User(), l.gate.o.Bounds.Channels
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := r.channels[user]; most > 0 && n >= most {
		return nil, Refuse("too-many-channels", fmt.Sprintf("you have %s open over all your connections, the most that one user may have here; close some first", plain.Count(n, "channel")), audit.Event{})
	}
	r.channels[user]++
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.channels[user]--; r.channels[user] == 0 {
			delete(r.channels, user)
		}
	}, nil
}

// mostConnections is how many connections l's user may have: as many as the rule that is
// most generous to them permits.
func (l *Login) mostConnections() (most int) {
	usual, p, s := l.gate.o.Bounds.Connections, l.gate.Policy(), l.subject()
	for _, t := range p.TargetsOf(s.User, s.Realm, s.Groups) {
		g, err := s.decide(p, t, moment{at: l.gate.now()})
		if err != nil {
			continue
		}
		n := g.Limits().Connections
		if n == 0 {
			n = usual
		}
		if n == 0 {
			return 0
		}
		most = max(most, n)
	}
	if most == 0 {
		return usual
	}
	return most
}

// full says that user, by the login of one of their connections, may have no further one.
func (g *Gate) full(user string) *Refused {
	l := g.registry.one(user)
	if l == nil {
		return nil
	}
	most := l.mostConnections()
	g.registry.mu.Lock()
	n, resting := g.registry.crowd(user, g.now())
	g.registry.mu.Unlock()
	if most == 0 || n < most || resting != nil {
		return nil
	}
	return g.crowded(n)
}

func (g *Gate) crowded(n int) *Refused {
	return Refuse("connections", fmt.Sprintf("you have %s to %s open, the most that you may have; close one, or try again in a minute", plain.Count(n, "connection"), g.o.Name),
		audit.Event{Type: audit.AccessRefused})
}

// noteCrowd puts r, which refuses a whole connection, on record as part of e: some of a
// user's, and the others counted, whatever connection they came on.
func (g *Gate) noteCrowd(r *Refused, e audit.Event) {
	r.Ref = refusal.NewRef()
	e.Type, e.Reason, e.Ref = audit.AccessRefused, r.Code.String(), r.Ref
	ref, sums, again := g.paces.again(e)
	r.Ref = ref
	if !again {
		sums = append(sums, e)
	}
	if len(sums) > 0 {
		g.append(sums...)
		g.spent(e.User, len(sums))
	}
}

// FilesShort says in both logs, now and then, that the process has almost as many files
// open as it may, and who has the most of them.
func (g *Gate) FilesShort() {
	user, files, due := g.registry.heaviest(g.now())
	if !due {
		return
	}
	e := audit.Event{Type: audit.AlarmFiles, User: user, Reason: "reserve",
		Detail: fmt.Sprintf("the server has almost as many files open as it may, so new connections and sessions are refused; this user has the most of them, about %d", files)}
	g.o.Trouble("FILES RUN SHORT: raise LimitNOFILE, or lower limits: {connections, channels}; most are of "+user, fmt.Errorf("%s", e.Detail))
	g.append(e)
}

// heaviest is the user who has most files open, about so many, and whether that is due to
// be told.
func (r *registry) heaviest(now time.Time) (user string, files int, due bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.short.IsZero() && now.Sub(r.short) < filesEvery {
		return "", 0, false
	}
	r.short = now
	of := map[string]int{}
	for l := range r.logins {
		of[l.who.User()]++
	}
	for u, n := range r.channels {
		of[u] += filesOfChannel * n
	}
	for u, n := range of {
		if n > files || n == files && u < user {
			user, files = u, n
		}
	}
	return user, files, true
}
