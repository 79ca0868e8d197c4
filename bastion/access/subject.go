package access

import (
	"net/netip"
	"time"

	"entry/bastion/identity"
	"entry/policy"
)

// Subject is a user as policy sees them.
type Subject struct {
	User   string
	Realm  string        // that vouched for the user, "" for none
	Groups policy.Groups // of the user in the realm
	Source netip.Addr
	Method string    // of the login, as identity.Identity has it
	CodeAt time.Time // when the code was given
}

// subjectOf is who was proven, with these groups of theirs, seen from an address.
func subjectOf(who identity.Identity, groups policy.Groups, source netip.Addr) Subject {
	return Subject{User: who.User(), Realm: who.Realm(), Groups: groups, Source: source, Method: who.Method(), CodeAt: who.At()}
}

// Expected is user as policy will see them after their usual login at that time.
// What only a login tells is left out: where they come from, and the groups that
// a directory gives.
func Expected(user identity.UserInfo, at time.Time) Subject {
	s := Subject{User: user.Name, Realm: user.Realm, Groups: policy.GroupsNamed(), Method: "passphrase+otp", CodeAt: at}
	if user.CodeBySMS {
		s.Method = "passphrase+sms"
	}
	return s
}

// moment is when, and under which approvals, something is decided.
type moment struct {
	at, began time.Time // began is zero for something new
	approvals []policy.Approval
}

// ask makes the request that policy decides for s on t: the only place that
// makes one.
func (s Subject) ask(t *policy.Target, m moment) policy.Request {
	return policy.Request{User: s.User, Realm: s.Realm, Groups: s.Groups, Target: t, Source: s.Source, Time: m.at, Began: m.began,
		Method: s.Method, CodeAt: s.CodeAt, Approvals: m.approvals}
}

// decide is what p says of s on t. A tcp target is nothing but a destination:
// without forward-local there is no way to it.
func (s Subject) decide(p *policy.Policy, t *policy.Target, m moment) (policy.Grant, error) {
	g, err := p.Decide(s.ask(t, m))
	if err == nil && t.Kind == policy.TCP && !g.Allows(policy.ForwardLocal) {
		return policy.Grant{}, g.Refusal(policy.ForwardLocal)
	}
	return g, err
}

// Place is a target as a listing shows it.
type Place struct {
	Target *policy.Target
	Name   string       // the shortest that leads there
	Login  string       // the account on it, where the client names none
	Grant  policy.Grant // what connecting now would give; invalid with Denied
	Denied error        // why not; nil if it would be granted
}

// Places is what p says of all targets that s may ask for, sorted by full name:
// the same as connecting at that time would say. Listing is no access, so it
// makes no event.
func Places(p *policy.Policy, s Subject, at time.Time) []Place {
	return s.places(p, func(*policy.Target) moment { return moment{at: at} })
}

func (s Subject) places(p *policy.Policy, when func(*policy.Target) moment) []Place {
	var out []Place
	for _, t := range p.TargetsOf(s.User, s.Realm, s.Groups) {
		x := Place{Target: t, Name: t.Name, Login: t.Login(s.User, "")}
		if r, err := p.Resolve(s.User, t.Name, s.Realm, s.Groups); err != nil || r != t {
			x.Name = t.FullName()
		}
		x.Grant, x.Denied = s.decide(p, t, when(t))
		out = append(out, x)
	}
	return out
}
