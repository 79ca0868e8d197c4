package admin

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"entry/audit"
	"entry/audit/refusal"
	"entry/bastion/access"
	"entry/bastion/identity"
	"entry/policy"
	"entry/session/group"
)

const (
	// historyEvents bounds what a diagnosis reads of the log: its newest events.
	historyEvents = 50_000
	// mostTrouble bounds the list of what went wrong.
	mostTrouble = 10
	// probeTime bounds how long targets are tried, all side by side, and before them how
	// long a directory is asked.
	probeTime = 5 * time.Second
	// mostProbed bounds how many targets are tried at once.
	mostProbed = 16
)

// Diagnosis is what stands in a user's way, in one look.
type Diagnosis struct {
	User identity.UserInfo `json:"account"`
	Fit  bool              `json:"fit"` // nothing about the account keeps its owner out
	// From is the address that the user is taken to come from, "" if none was
	// named: then rules about networks may show as refusals.
	From    string    `json:"from,omitempty"`
	Trouble []Trouble `json:"trouble"`                    // of the user's, newest first
	More    int       `json:"trouble_left_out,omitempty"` // kinds of it beyond those
	// Drifted is when a code of the user's came last that was right at another time.
	Drifted time.Time `json:"clock_drift,omitzero"`
	// Good is the newest login, nil if none is known.
	Good *identity.LoginInfo `json:"last_good_login,omitempty"`
	// Locks are those of From, or, where none was named, of addresses where logins of the
	// user's failed lately; with From those stand in nobody's way and are Elsewhere.
	Locks     []identity.SourceLock `json:"source_locks"`
	Elsewhere []identity.SourceLock `json:"source_locks_elsewhere,omitempty"`
	// LeftOut are the names of variables that the newest program of the user's didn't
	// get, because no rule lists them under env; "" for none.
	LeftOut string               `json:"left_out,omitempty"`
	Live    []access.SessionInfo `json:"live"`
	Places  []Place              `json:"targets"`
	// Groups are the user's in their directory, by which Places are judged, unless Ungrouped
	// says why nobody can tell: then they are judged as for a login that knows of none, where
	// what denies a group holds and what allows one doesn't. Silent says that the directory
	// was asked and didn't answer.
	Groups    []string `json:"groups,omitempty"`
	Ungrouped string   `json:"groups_unknown,omitempty"`
	Silent    bool     `json:"directory_silent,omitempty"`
	// Gone is why the directory lets the user nowhere, "" for nothing.
	Gone string `json:"directory_bars,omitempty"`
}

// Trouble is something that didn't work, as the log has it.
type Trouble struct {
	Time   time.Time `json:"time"`
	Type   string    `json:"type"`
	Source string    `json:"source,omitempty"`
	Target string    `json:"target,omitempty"`
	Reason string    `json:"reason"`
	Detail string    `json:"detail,omitempty"`
	Ref    string    `json:"ref,omitempty"`
	// Times is how often the same came about, Since when first, as far as the log was
	// read, and Addresses from how many. The rest is of the newest.
	Times     int       `json:"times,omitempty"`
	Since     time.Time `json:"since,omitzero"`
	Addresses int       `json:"addresses,omitempty"`
}

// Place is one target of the user's.
type Place struct {
	Target string `json:"target"` // full name
	Denied string `json:"denied,omitempty"`
	Rule   string `json:"rule,omitempty"` // that opens it
	Login  string `json:"login,omitempty"`
	// Wrong is what is wrong with the machine, "" where it answers with the host
	// key on record; it is asked only where policy opens it.
	Wrong  string `json:"wrong,omitempty"`
	Probed bool   `json:"probed"`
	// Failed is how the user's last way there failed, nil where a session came about since.
	Failed *Trouble `json:"failed,omitempty"`
}

// bad are the types of events that a user may need help with.
var bad = []audit.Type{audit.LoginFailed, audit.LoginLocked, audit.AccessRefused, audit.JumpRefused, audit.UpstreamFailed, audit.HostKeyChanged,
	audit.RecordingFailed, audit.ApprovalMissing, audit.ChannelRefused, audit.ForwardRefused, audit.BudgetSpent}

// doctor answers what stands in a user's way.
func (a *Server) doctor(r *http.Request) (any, error) {
	ctx := r.Context()
	u, err := a.Auth.User(ctx, r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	d := Diagnosis{User: u, Fit: true, Trouble: []Trouble{}, Live: []access.SessionInfo{}, Places: []Place{}}
	now, p := time.Now(), a.Policy
	if a.Gate != nil {
		now, p = a.Gate.Now(), a.Gate.Policy()
		d.Live = append(d.Live, slices.DeleteFunc(a.Gate.Sessions(), func(s access.SessionInfo) bool { return s.User != u.Name })...)
	}
	for _, end := range []time.Time{u.Ends, u.InactiveAfter, u.TemporaryExpires} {
		d.Fit = d.Fit && (end.IsZero() || now.Before(end))
	}
	d.Fit = d.Fit && !u.Disabled && !now.Before(u.LockedUntil) && u.PendingReset == nil
	who := access.Expected(u, now)
	if u.Realm != "" && p != nil {
		who.Groups = d.join(a.membership(ctx, u), p)
	}
	if from := r.URL.Query().Get("from"); from != "" {
		if who.Source, err = netip.ParseAddr(from); err != nil {
			return nil, &Error{http.StatusBadRequest, "--from wants the address that the user comes from, such as 192.0.2.7"}
		}
		d.From = who.Source.String()
	}
	past, err := a.past(ctx, u.Name)
	if err != nil {
		return nil, err
	}
	d.Trouble, d.LeftOut, d.Drifted = past.trouble, past.leftOut, past.drifted
	if n := len(d.Trouble) - mostTrouble; n > 0 {
		d.Trouble, d.More = d.Trouble[:mostTrouble], n
	}
	sources, err := a.failed(ctx, u.Name, mostShown, func(Trouble) {})
	if err != nil {
		return nil, err
	}
	if d.Locks, err = a.Auth.SourceLocks(ctx, u.Name, sources); err != nil {
		return nil, err
	}
	if who.Source.IsValid() {
		elsewhere := d.Locks
		if d.Locks, err = a.Auth.SourceLocks(ctx, u.Name, []netip.Addr{who.Source}); err != nil {
			return nil, err
		}
		d.Elsewhere = slices.DeleteFunc(elsewhere, func(l identity.SourceLock) bool { return slices.Contains(d.Locks, l) })
	}
	if d.Good, err = a.Auth.LastLogin(ctx, u.Name); err != nil {
		return nil, err
	}
	if p != nil {
		d.Places = a.places(ctx, access.Places(p, who, now))
		for i, x := range d.Places {
			if t, ok := past.failed[x.Target]; ok && x.Denied == "" {
				d.Places[i].Failed = &t
			}
		}
	}
	return d, nil
}

// membership asks for the user's groups where a server runs, which has been told of them
// lately, or can ask.
func (a *Server) membership(ctx context.Context, u identity.UserInfo) identity.Membership {
	if a.Gate == nil {
		return identity.Membership{}
	}
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	return a.Auth.Membership(ctx, u)
}

// join notes what the directory says of the user, and returns the groups to judge by.
func (d *Diagnosis) join(m identity.Membership, p *policy.Policy) policy.Groups {
	d.Groups, d.Gone, d.Silent = m.Groups, m.Bar, m.Silent
	switch {
	case m.Known:
		return policy.GroupsNamed(m.Groups...)
	case m.Bar != "" || !p.NamesGroups(d.User.Realm):
	case m.Silent:
		d.Ungrouped = "the directory " + d.User.Realm + ", which tells their groups, doesn't answer"
	default:
		d.Ungrouped = "only a login tells which groups the directory " + d.User.Realm + " has them in"
	}
	return policy.Groups{}
}

// past is what the newest part of the log has of a user.
type past struct {
	trouble []Trouble          // what didn't work, grouped, newest first
	failed  map[string]Trouble // by target: how the last way there failed, if it did
	drifted time.Time          // of the last code that was right at another time
	leftOut string             // see Diagnosis
}

// past reads what didn't work.
func (a *Server) past(ctx context.Context, user string) (past, error) {
	p := past{trouble: []Trouble{}, failed: map[string]Trouble{}}
	if a.History == nil {
		return p, nil
	}
	for e, err := range a.History(ctx, historyEvents) {
		var damaged *audit.BadRecord
		switch {
		case errors.As(err, &damaged):
			continue // audit verify is for that
		case err != nil:
			return p, err
		}
		if e.User == user {
			p.take(e)
		}
	}
	slices.Reverse(p.trouble)
	p.trouble = grouped(p.trouble)
	return p, nil
}

// take takes in an event of the user's.
func (p *past) take(e audit.Event) {
	if e.Type == audit.ExecRequested {
		p.leftOut = e.Detail
	}
	t := Trouble{Time: e.Time, Type: e.Type.String(), Source: e.Source, Target: e.Target, Reason: e.Reason, Detail: e.Detail, Ref: e.Ref}
	switch e.Type {
	case audit.LoginSucceeded:
		p.drifted = time.Time{}
	case audit.SessionStarted:
		delete(p.failed, e.Target)
	case audit.UpstreamFailed, audit.HostKeyChanged, audit.JumpRefused:
		p.failed[e.Target] = t
	}
	if e.Reason == identity.ClockDrift {
		p.drifted = e.Time
	}
	if slices.Contains(bad, e.Type) && !harmless(e) {
		p.trouble = append(p.trouble, t)
	}
}

// harmless tells whether e is one of what a client asks for at each connection and does
// without: PuTTY's own requests.
func harmless(e audit.Event) bool {
	return e.Reason == "unknown-request" && strings.Contains(e.Detail, "@putty.projects.tartarus.org ")
}

// grouped is what went wrong, newest first, with what is the same but for when and from
// where as one.
func grouped(all []Trouble) []Trouble {
	type sort struct{ kind, target, reason, detail string }
	at, from := map[sort]int{}, map[sort]map[string]bool{}
	out := []Trouble{}
	for _, t := range all {
		k := sort{t.Type, t.Target, t.Reason, t.Detail}
		if _, again := at[k]; !again {
			at[k], from[k] = len(out), map[string]bool{}
			out = append(out, t)
		}
		g := &out[at[k]]
		g.Times++
		g.Since = t.Time
		address, _, err := net.SplitHostPort(t.Source)
		if err != nil {
			address = t.Source
		}
		from[k][address] = true
		g.Addresses = len(from[k])
	}
	return out
}

// places tells of each place whether it opens, and whether the machine answers.
func (a *Server) places(ctx context.Context, all []access.Place) []Place {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	probes := group.New(ctx, func(p *group.Panic) { a.Log.Error(p.Error()) })
	turns := make(chan struct{}, mostProbed)
	out := make([]Place, len(all))
	var mu sync.Mutex // guards out while probes write to it
	for i, x := range all {
		out[i] = Place{Target: x.Target.FullName()}
		if x.Denied != nil {
			out[i].Denied = policy.Logged(refusal.Of(x.Denied))
			continue
		}
		out[i].Rule, out[i].Login = x.Grant.Rule().String(), x.Login
		if a.Probe == nil {
			continue
		}
		probes.Go("probe of a target", func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			wrong := a.Probe(ctx, x.Target)
			mu.Lock()
			defer mu.Unlock()
			out[i].Probed, out[i].Wrong = true, wrong
		})
	}
	probes.Wait()
	return out
}

// Prober tells what is wrong with a target, "" if it answers with the host key
// on record. It logs in nowhere.
type Prober func(ctx context.Context, t *policy.Target) (wrong string)
