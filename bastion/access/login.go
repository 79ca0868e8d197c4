package access

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"entry/audit"
	"entry/audit/plain"
	"entry/audit/refusal"
	"entry/bastion/guide"
	"entry/bastion/identity"
	"entry/policy"
	"entry/session/group"
)

// SSHPort is where every SSH target answers, whatever port it listens on.
const SSHPort = 22

// Login is one proven login on one client connection. It is safe for
// concurrent use.
type Login struct {
	gate    *Gate
	who     identity.Identity
	conn    string // ULID of the client connection
	source  netip.AddrPort
	group   *group.Group // the connection's goroutines
	until   atomic.Int64 // ns since 1970 at which the account has to be looked at again; 0 is never
	repeats audit.Repeats

	as atomic.Pointer[Subject] // who, as policy sees them now
}

// Login is a login of who on a client connection, whose goroutines are group.
func (g *Gate) Login(who identity.Identity, conn string, source netip.AddrPort, group *group.Group) *Login {
	l := &Login{gate: g, who: who, conn: conn, source: source, group: group}
	l.grouped(groupsOf(who))
	return l
}

// Enter registers l, unless its user has too many connections, then asks whether it
// still holds: r says why not. hangUp closes the connection when its account is gone, or
// when it makes room; it may block for a second. leave forgets l and must be called; it is
// nil where l isn't registered, which is on record. Of the user's connections one on which
// nothing is open makes room for l.
func (l *Login) Enter(hangUp func()) (leave func(), r *Refused) {
	user := l.who.User()
	l.gate.spent(user, 1) // its login
	most := l.mostConnections()
	forget, room, ok := l.gate.registry.enter(l, most, l.gate.now(), hangUp)
	if !ok {
		r = l.gate.crowded(most)
		l.gate.noteCrowd(r, l.Event(""))
		return nil, r
	}
	if room != nil {
		l.gate.own.Go("end of a connection that rests", room)
	}
	leave = func() {
		forget()
		l.append(l.repeats.Sums(l.gate.now(), true)...)
	}
	r = l.open()
	if l.until.Load() != 0 {
		signal(l.gate.dates)
	}
	return leave, r
}

// Who is whose login it is.
func (l *Login) Who() identity.Identity { return l.who }

// Conn is the ULID of its client connection.
func (l *Login) Conn() string { return l.conn }

// Source is the address of the client.
func (l *Login) Source() netip.AddrPort { return l.source }

// Event is an event of this login.
func (l *Login) Event(t audit.Type) audit.Event {
	return audit.Event{Type: t, Conn: l.conn, User: l.who.User(), Source: l.source.String()}
}

// Note puts r on record and returns its line for the user.
func (l *Login) Note(r *Refused) string { return l.noteAs(r, l.Event("")) }

// NoteIn is Note for a session that was about to open: in says which.
func (l *Login) NoteIn(r *Refused, in audit.Event) string { return l.noteAs(r, in) }

// tooOld is what becomes of a login whose code is older than ChannelsFor.
const tooOld = "your login is too old for new channels; connect again"

// Expired is the refusal where the login's code is too old for anything new;
// nil where it isn't.
func (l *Login) Expired() *Refused {
	if most := l.gate.o.ChannelsFor; most > 0 && l.gate.now().Sub(l.who.At()) > most {
		return Refuse("code-too-old", tooOld, audit.Event{})
	}
	return nil
}

// open tells whether anything new may open, policy aside.
func (l *Login) open() *Refused {
	if r := l.Expired(); r != nil {
		r.Code, r.Event.Type = refusal.Revoked, audit.AccessRefused
		return r
	}
	if err := l.stands(); err != nil {
		r := &Refused{Error: *refusal.Of(err), Event: audit.Event{Type: audit.AccessRefused}}
		r.Code, r.Cause = refusal.Revoked, nil // it is in the log, or nobody's business
		return r
	}
	return nil
}

// Open returns why nothing new may open on the login, policy aside: its account
// or its code. Nil where something may.
func (l *Login) Open() error {
	if r := l.Expired(); r != nil {
		return &r.Error
	}
	return l.stands()
}

// stands tells whether the login itself still holds: nil, or a *refusal.Error.
func (l *Login) stands() error {
	until, err := l.gate.o.Accounts.Standing(l.group.Context(), l.who)
	switch {
	case err == nil:
		l.lasts(until)
		return nil
	case errors.Is(err, identity.ErrSuspended):
		l.lasts(until)
		return &refusal.Error{Code: refusal.Revoked, Cause: err,
			Text: "the key that opened this connection was suspended since, after wrong codes, so nothing new opens here; connect again by passphrase and code, and see: ssh " + l.gate.o.Name + " keys"}
	case errors.Is(err, identity.ErrRevoked):
		return &refusal.Error{Code: refusal.Revoked, Text: "your access was changed; connect again", Cause: err}
	}
	l.gate.o.Trouble("check identity of "+l.conn, err)
	return &refusal.Error{Code: refusal.Unavailable, Cause: err,
		Text: "entry can't check your access right now, so nothing new opens; try again in some minutes"}
}

// lasts notes when the account has to be looked at again; zero is never, and so
// is a time that nobody here will see.
func (l *Login) lasts(until time.Time) {
	if until.IsZero() || until.Year() > 2200 { // nanoseconds end in 2262
		l.until.Store(0)
		return
	}
	l.until.Store(until.UnixNano())
}

// now is this moment for something new on t: with the approvals that it may use.
func (l *Login) now(p *policy.Policy, t *policy.Target) moment {
	given, _ := l.approvals(p, t, l.use(t, ""), true) // none where they can't be read
	return moment{at: l.gate.now(), approvals: given}
}

// Resolve finds the target that the user calls name.
func (l *Login) Resolve(name string) (*policy.Target, *Refused) {
	return l.resolve(l.gate.Policy(), name)
}

func (l *Login) resolve(p *policy.Policy, name string) (*policy.Target, *Refused) {
	t, err := p.Resolve(l.who.User(), name, l.subject().Realm, l.subject().Groups)
	if err == nil {
		return t, nil
	}
	text := "no such target"
	var u *policy.UnknownTarget
	var a *policy.Ambiguous
	reason := refusal.Code("unknown-target")
	why := l.groupsUnknown(p)
	switch {
	case errors.As(err, &a):
		reason, text = "ambiguous-target", err.Error()
	case why != "":
		// Whether there is no such target of the user's isn't known.
		text = "whether " + plain.Quote(plain.Clip(name, 64)) + " is yours isn't known: " + why
		return nil, Refuse("groups-unknown", text, audit.Event{Policy: p.Hash()})
	case errors.As(err, &u):
		text = err.Error() // written for users, as the other
	}
	return nil, Refuse(reason, text, audit.Event{Policy: p.Hash()})
}

// Authorise resolves what the client calls a target, and decides on it now.
// port is what the client asked for.
func (l *Login) Authorise(name string, port uint32) (policy.Grant, *Refused) {
	if r := l.open(); r != nil {
		return policy.Grant{}, r
	}
	p := l.gate.Policy()
	t, r := l.resolve(p, name)
	if r != nil {
		return policy.Grant{}, r
	}
	// On the wire a port has 32 bits; no number that wraps round may fit.
	if port > math.MaxUint16 || !t.Serves(int(port)) {
		text := fmt.Sprintf("%s is reached on port %s, not %d", t.FullName(), portList(t), port)
		if t.Kind == policy.TCP { // no other port makes ssh -J lead there
			text = fmt.Sprintf("%s is a service on port %s, not a machine to log in to: %s", t.FullName(), portList(t),
				guide.Target{Name: t.FullName(), Kind: guide.TCP, Ports: t.Ports}.Forward(l.gate.o.Name))
		}
		return policy.Grant{}, Refuse("port", text,
			audit.Event{Lab: t.Lab, Target: t.FullName(), Policy: p.Hash()})
	}
	return l.grant(p, t)
}

// grant decides on t for something new.
func (l *Login) grant(p *policy.Policy, t *policy.Target) (policy.Grant, *Refused) {
	g, err := l.subject().decide(p, t, l.now(p, t))
	if err != nil {
		r := denied(p, t, err)
		if why := l.groupsUnknown(p); why != "" && r.Approval == nil {
			r.Text += "; " + why
		}
		return policy.Grant{}, r
	}
	return g, nil
}

// Again decides on t as the policy in force knows it.
func (l *Login) Again(t *policy.Target) (policy.Grant, *Refused) {
	p := l.gate.Policy()
	now, ok := p.Target(t.FullName())
	if !ok {
		return policy.Grant{}, Refuse(refusal.Denied, t.FullName()+" is no longer in the policy",
			audit.Event{Type: audit.AccessRefused, Lab: t.Lab, Target: t.FullName(), Policy: p.Hash()})
	}
	return l.grant(p, now)
}

// Places lists the user's targets with what connecting now would give.
func (l *Login) Places() []Place {
	p := l.gate.Policy()
	return l.subject().places(p, func(t *policy.Target) moment { return l.now(p, t) })
}

// portList is the target's ports in words.
func portList(t *policy.Target) string {
	var words []string
	if t.Kind == policy.SSH {
		words = append(words, strconv.Itoa(SSHPort))
	}
	for _, p := range t.Ports {
		words = append(words, strconv.Itoa(p))
	}
	return strings.Join(words, " or ")
}
