package access

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"entry/audit"
	"entry/audit/refusal"
	"entry/bastion/identity"
	"entry/policy"
	"entry/session/group"
)

// Accounts says whether logins still stand. *identity.Authenticator implements
// it.
type Accounts interface {
	// Standing returns nil while who stands, identity.ErrRevoked once the account
	// was changed or has ended so that it doesn't (identity.ErrSuspended where only
	// nothing new may open), and any other error where that can't be found out. until is when to ask again though nothing was changed;
	// zero is never. It is one query.
	Standing(ctx context.Context, who identity.Identity) (until time.Time, err error)
	// Changed blocks until accounts have changed since the given version, at
	// this server or at another one on the same database, and returns the
	// version now. It fails where that can't be found out, or when ctx ends.
	Changed(ctx context.Context, since int64) (version int64, err error)
}

// Events is the audit log. *audit.Log implements it.
type Events interface {
	// Append returns once the events are durable.
	Append(ctx context.Context, e ...audit.Event) error
}

// Options holds what a Gate needs. Fields without a default are required.
type Options struct {
	Name        string          // of the jump host, in what users are told to type
	Contact     refusal.Contact // whom texts tell users to ask
	Policy      *policy.Policy
	Accounts    Accounts
	Events      Events
	Usage       Usage         // bytes moved by day
	Book        Book          // who waits for approval, and what was approved
	Orders      Orders        // to end sessions, of the servers on one database
	ChannelsFor time.Duration // after its code a login opens nothing new; 0 is for ever
	Pace        Pace          // of one user's events
	Bounds      Bounds        // of what one user has open
	// Space is how much room the log has. Nil means enough.
	Space func() audit.Space
	// Unwitnessed tells whether nothing may begin because nobody vouches for the log.
	// Nil means that something always may.
	Unwitnessed func() bool
	// Rescue are the users who may still begin something while the log or the
	// disk for recordings is at its reserve, or the log unwitnessed.
	Rescue []string
	Now    func() time.Time
	// Trouble hears of failures that nobody waits for, for the server's own log.
	Trouble func(what string, cause error)
}

// Gate decides, and holds what is open. Make one with New; it is safe for
// concurrent use.
type Gate struct {
	o        Options
	now      func() time.Time
	policy   atomic.Pointer[policy.Policy]
	registry *registry
	waits    *waits
	paces    *paces
	besides  *besides
	failures failures
	own      *group.Group  // goroutines that belong to no login
	wake     chan struct{} // accounts are to be looked at again
	dates    chan struct{} // a login has come that ends on a date
	swapping sync.Mutex    // one new policy at a time
}

// New checks o and returns a gate that follows the accounts until Close.
func New(o Options) (*Gate, error) {
	switch {
	case o.Name == "", o.Policy == nil, o.Accounts == nil, o.Events == nil, o.Usage == nil, o.Book == nil, o.Orders == nil, o.Now == nil, o.Trouble == nil:
		return nil, errors.New("new gate: a required option is missing")
	}
	if o.Space == nil {
		o.Space = func() audit.Space { return audit.Ample }
	}
	if o.Unwitnessed == nil {
		o.Unwitnessed = func() bool { return false }
	}
	g := &Gate{o: o, now: o.Now, registry: newRegistry(), waits: newWaits(), paces: newPaces(o.Pace, o.Now), besides: newBesides(o.Now), wake: make(chan struct{}, 1), dates: make(chan struct{}, 1)}
	g.policy.Store(o.Policy)
	g.own = group.New(context.Background(), func(p *group.Panic) { o.Trouble("panic", p) })
	g.follow()
	g.own.Go("sums of refusals", g.sumUp)
	return g, nil
}

// Close ends the watch of the accounts and waits for it, and puts on record what
// was only counted. Holds aren't ended.
func (g *Gate) Close() {
	g.own.Cancel(nil)
	g.own.Wait()
	g.counted(true)
}

// Finds tells which target s would mean by name, if any.
func (g *Gate) Finds(s Subject, name string) (*policy.Target, bool) {
	t, err := g.Policy().Resolve(s.User, name, s.Realm, s.Groups)
	return t, err == nil
}

// Policy is the policy in force.
func (g *Gate) Policy() *policy.Policy { return g.policy.Load() }

// SetPolicy puts p in force for everything that is decided from now on, and
// ends the holds that lost their grant. Each new channel of the others is
// decided under p.
func (g *Gate) SetPolicy(p *policy.Policy) {
	g.swapping.Lock()
	defer g.swapping.Unlock()
	g.policy.Store(p)
	g.waits.look("")
	for _, h := range g.registry.all() {
		if _, err := h.goesOn(p); err != nil {
			h.End(&refusal.Error{Code: refusal.PolicyChanged, Text: refusal.Of(err).Text, Cause: err})
			continue
		}
		h.watch.policyChanged()
	}
}

// WouldEnd are the live sessions that would end under p, and how many there
// are in all.
func (g *Gate) WouldEnd(p *policy.Policy) (ends []SessionInfo, all int) {
	ends = []SessionInfo{}
	sessions := g.registry.sessions()
	for _, h := range sessions {
		if _, err := h.goesOn(p); err != nil {
			ends = append(ends, h.info())
		}
	}
	return ends, len(sessions)
}

// Now is the time by which the gate decides.
func (g *Gate) Now() time.Time { return g.now() }

// append writes events that no login waits for. A failure ends the server
// through the log itself.
func (g *Gate) append(e ...audit.Event) {
	if err := g.o.Events.Append(context.Background(), e...); err != nil {
		g.o.Trouble("append events", err)
	}
}
