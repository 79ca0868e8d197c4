package compare

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"time"

	"entry/audit"
	"entry/audit/plain"
	"entry/audit/segment"
	"entry/policy"
)

// ReplayTypes are the events that Replay needs; it passes others over.
var ReplayTypes = []audit.Type{audit.LoginSucceeded, audit.ApprovalGiven, audit.ApprovalWithdrawn, audit.SessionStarted, audit.AccessRefused}

// ReplayOptions say which accesses are decided anew.
type ReplayOptions struct {
	From, Until time.Time // from From on and before Until; the zero time is no end
	// Realm vouches for all users: a log doesn't say which did. "" is an unknown
	// one.
	Realm string
}

// Replayed is what a policy would have made of the accesses in a log.
type Replayed struct {
	Accesses    int          `json:"accesses"`
	Different   int          `json:"different"` // of them
	Damaged     int          `json:"-"`         // lines of the log that aren't events
	Differences []Difference `json:"-"`
	Absent      []error      `json:"-"` // of records that aren't here, and with which there would be more
}

// Difference is what would have been different in the same way for a user on a
// target.
type Difference struct {
	What   string    `json:"what"`   // a predicate: "would be refused"
	User   string    `json:"user"`   // as the log has it, like Target
	Target string    `json:"target"` // the full name
	Why    string    `json:"why"`    // which rule, or what is missing
	Count  int       `json:"count"`
	First  time.Time `json:"first"` // in UTC, like Last
	Last   time.Time `json:"last"`
}

// String is one line without the count.
func (d Difference) String() string {
	return fmt.Sprintf("%s on %s %s: %s (last %s)", plain.Word(d.User), plain.Word(d.Target), d.What, d.Why, plain.Time(d.Last))
}

// Replay decides anew, under p, the sessions and the policy's refusals among
// events, which come in their order; differences come with the most frequent
// first. Logins, codes and approvals are taken from events too, so that those of
// before From belong among them; a login that they haven't counts as one with
// passphrase and code. A *audit.BadRecord is counted, a *segment.Absent noted, and any
// other error ends the replay and is returned.
//
// It keeps every login, a hundred bytes each, and what is different by kind.
func Replay(p *policy.Policy, o ReplayOptions, events iter.Seq2[audit.Event, error]) (Replayed, error) {
	r := &replay{ReplayOptions: o, policy: p, logins: map[string]login{}, codes: map[string]time.Time{},
		approvals: map[access][]policy.Approval{}, found: map[kind]*Difference{}}
	for e, err := range events {
		var bad *audit.BadRecord
		var absent *segment.Absent
		switch {
		case errors.As(err, &absent):
			r.out.Absent = append(r.out.Absent, err)
		case errors.As(err, &bad):
			r.out.Damaged++
		case err != nil:
			return Replayed{}, err
		default:
			r.event(e)
		}
	}
	for _, d := range r.found {
		r.out.Differences = append(r.out.Differences, *d)
	}
	slices.SortFunc(r.out.Differences, func(a, b Difference) int {
		return cmp.Or(b.Count-a.Count, cmp.Compare(a.User, b.User), cmp.Compare(a.Target, b.Target), cmp.Compare(a.What, b.What), cmp.Compare(a.Why, b.Why))
	})
	return r.out, nil
}

type replay struct {
	ReplayOptions
	policy    *policy.Policy
	logins    map[string]login     // by connection
	codes     map[string]time.Time // by user, the last one's
	approvals map[access][]policy.Approval
	found     map[kind]*Difference
	out       Replayed
}

type login struct {
	method string
	codeAt time.Time
}

type access struct{ user, target string }

// kind is what differences of one kind have in common.
type kind struct {
	access
	what, why string
}

func (r *replay) event(e audit.Event) {
	switch e.Type {
	case audit.LoginSucceeded:
		at := e.Time
		// A remembered key is as old as the code it was remembered by.
		if strings.Contains(e.Method, "remembered") {
			at = r.codes[e.User]
		} else {
			r.codes[e.User] = at
		}
		r.logins[e.Conn] = login{e.Method, at}
	case audit.ApprovalGiven:
		if e.Until != nil {
			name, _, _ := strings.Cut(e.Rule, " ")
			key := access{e.User, e.Target}
			r.approvals[key] = append(slices.DeleteFunc(r.approvals[key], func(a policy.Approval) bool { return !e.Time.Before(a.Until) }),
				policy.Approval{By: e.Approver, Rule: name, At: e.Time, Until: *e.Until, Uses: int(e.Uses)})
		}
	case audit.ApprovalWithdrawn:
		name, _, _ := strings.Cut(e.Rule, " ")
		key := access{e.User, e.Target}
		r.approvals[key] = slices.DeleteFunc(r.approvals[key], func(a policy.Approval) bool { return a.By == e.Approver && a.Rule == name })
	case audit.SessionStarted:
		if r.within(e) {
			r.out.Accesses++
			r.started(e)
		}
		r.used(e)
	case audit.AccessRefused:
		// Other refusals weren't the policy's.
		if r.within(e) && e.Target != "" && e.Reason == "denied" {
			r.out.Accesses++
			r.refused(e)
		}
	}
}

func (r *replay) within(e audit.Event) bool {
	return !e.Time.Before(r.From) && (r.Until.IsZero() || e.Time.Before(r.Until))
}

// decide asks the new policy what e was about.
func (r *replay) decide(e audit.Event) (policy.Grant, error) {
	q := policy.Request{User: e.User, Realm: r.Realm, Groups: policy.GroupsNamed(), Time: e.Time, Method: "passphrase+otp", CodeAt: e.Time, Approvals: r.approvals[access{e.User, e.Target}]}
	// Who approved then would approve what the new policy gives, for all that is known.
	q.Approvals = slices.Clone(q.Approvals)
	for i, a := range q.Approvals {
		q.Approvals[i].Gives = r.policy.Gives(a.Rule, policy.Seat{User: e.User, Target: e.Target})
	}
	if l, ok := r.logins[e.Conn]; ok {
		q.Method, q.CodeAt = l.method, l.codeAt
	}
	if source, err := netip.ParseAddrPort(e.Source); err == nil {
		q.Source = source.Addr()
	}
	t, ok := r.policy.Target(e.Target)
	if !ok {
		return policy.Grant{}, fmt.Errorf("the policy has no target %s", plain.Word(e.Target))
	}
	q.Target = t
	return r.policy.Decide(q)
}

func (r *replay) started(e audit.Event) {
	g, err := r.decide(e)
	var no *policy.Denied
	switch {
	case errors.As(err, &no) && no.Approval != nil:
		r.note(e, "would wait for approval", no.Error())
	case err != nil:
		r.note(e, "would be refused", err.Error())
	default:
		had, has := e.Capability, g.Capabilities().String()
		if had == "" || had == has {
			return
		}
		lost, gained := missing(had, has), missing(has, had)
		if lost != "" {
			r.note(e, "would be without "+lost, "rule "+g.Rule().String())
		} else if gained != "" {
			r.note(e, "would also have "+gained, "rule "+g.Rule().String())
		}
	}
}

// used takes what e used up off the approvals for few sessions.
func (r *replay) used(e audit.Event) {
	if e.Approver == "" {
		return
	}
	key := access{e.User, e.Target}
	for i := range r.approvals[key] {
		if a := &r.approvals[key][i]; a.Uses > 0 {
			if a.Uses--; a.Uses == 0 {
				a.Until = a.At // over
			}
		}
	}
}

// missing are the words of a list that another one hasn't got.
func missing(list, other string) string {
	has := strings.Split(other, ", ")
	return strings.Join(slices.DeleteFunc(strings.Split(list, ", "), func(s string) bool { return slices.Contains(has, s) }), ", ")
}

func (r *replay) refused(e audit.Event) {
	if g, err := r.decide(e); err == nil {
		c, ok := policy.ParseCapability(e.Capability)
		if !ok || g.Allows(c) {
			r.note(e, "would be allowed", "rule "+g.Rule().String())
		}
	}
}

func (r *replay) note(e audit.Event, what, why string) {
	r.out.Different++
	k := kind{access{e.User, e.Target}, what, why}
	d := r.found[k]
	if d == nil {
		d = &Difference{What: what, User: e.User, Target: e.Target, Why: why, First: e.Time.UTC()}
		r.found[k] = d
	}
	d.Count++
	d.Last = e.Time.UTC()
}
