package identity

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"entry/audit"
)

// membership is what a directory said of a user, beside yes.
type membership struct {
	groups  string // lines; a slice would make Identity incomparable
	fetched time.Time
	unknown ungrouped // why fetched is zero
}

// ungrouped is why the groups of a realm's user aren't known.
type ungrouped uint8

const (
	groupsNotAsked ungrouped = iota // the realm has no search, and no passphrase was typed
	groupsNoAnswer                  // the directory gave none
)

// linesOf are groups as a membership has them, without those that would become two.
func linesOf(groups []string) string {
	groups = slices.DeleteFunc(slices.Clone(groups), func(g string) bool { return g == "" || strings.ContainsAny(g, "\r\n") })
	return strings.Join(groups, "\n")
}

// GroupsUnknown says to the user why the groups in their realm aren't known, and what
// to do: one sentence, without a stop, for where one of them may be what is missing.
// "" where they are known, or there is no realm.
func (i Identity) GroupsUnknown() string {
	switch {
	case i.realm == "" || !i.member.fetched.IsZero():
		return ""
	case i.member.unknown == groupsNoAnswer:
		return "the directory " + i.realm + ", which tells your groups, doesn't answer; connect again in a minute"
	}
	return "the directory " + i.realm + " tells your groups only for its passphrase; connect again without a key (ssh -o PubkeyAuthentication=no)"
}

const (
	// mostAsking is how many logins ask one directory at once for somebody whose
	// passphrase isn't there; more wait, askingFor at most.
	mostAsking = 8
	askingFor  = 5 * time.Second
	// pollSlack is what a poll may take longer than the one before.
	pollSlack = time.Minute
)

// memberships are what directories have told of their users lately, and who asks them.
// It is safe for concurrent use.
type memberships struct {
	mu    sync.Mutex // guards all, asked and lost; held for a few instructions
	all   map[member]told
	asked map[member]*question     // those that are asked now
	lost  map[string]bool          // the realms whose last poll believed its answers not
	turns map[string]chan struct{} // by realm, one token for each login that asks; never changes
}

type member struct{ realm, user string }

type told struct {
	groups    string
	at, until time.Time // when it was asked, and when it has to be asked again
}

func newMemberships(realms map[string]FirstFactor) *memberships {
	m := &memberships{all: map[member]told{}, asked: map[member]*question{}, lost: map[string]bool{}, turns: map[string]chan struct{}{}}
	for name := range realms {
		m.turns[name] = make(chan struct{}, mostAsking)
	}
	return m
}

// put notes what a directory told when it was asked at that time, until a poll of every
// so often has to have asked again. What was asked before something newer is no news.
func (m *memberships) put(who member, groups string, at time.Time, every time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if old, ok := m.all[who]; ok && old.at.After(at) {
		return
	}
	m.all[who] = told{groups, at, at.Add(every + min(every, pollSlack))}
}

// drop forgets what was told of somebody.
func (m *memberships) drop(who member) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.all, who)
}

// at is what is known of somebody now.
func (m *memberships) at(who member, now time.Time) (membership, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t, ok := m.all[who]
	if !ok || now.Before(t.at) || !now.Before(t.until) {
		return membership{}, false
	}
	return membership{groups: t.groups, fetched: t.at}, true
}

// prune forgets what is too old.
func (m *memberships) prune(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for who, t := range m.all {
		if !now.Before(t.until) {
			delete(m.all, who)
		}
	}
}

var errNoTurn = errors.New("identity: too many logins ask the directory at once")

// question is one about somebody that a directory is being asked.
type question struct {
	over   chan struct{} // closed once the rest is set
	answer looked
	left   bool // who asked has left, so that this is no answer
}

// look asks a directory for somebody, once there is a turn. Of one user's logins one asks
// at a time, and the others wait for its answer: who logs in many times at once takes no
// turns from others.
func (m *memberships) look(ctx context.Context, w Watcher, who member, now func() time.Time) looked {
	for {
		q, mine := m.question(who)
		if mine {
			return m.ask(ctx, w, who, q, now)
		}
		select {
		case <-q.over:
			if !q.left {
				return q.answer
			}
		case <-ctx.Done():
			return looked{err: context.Cause(ctx)}
		}
	}
}

// question is the one about somebody that is asked now, or a new one, which is the
// caller's to ask.
func (m *memberships) question(who member) (q *question, mine bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if q, asked := m.asked[who]; asked {
		return q, false
	}
	q = &question{over: make(chan struct{}), answer: looked{err: errPanicked}}
	m.asked[who] = q
	return q, true
}

// ask asks q, once there is a turn.
func (m *memberships) ask(ctx context.Context, w Watcher, who member, q *question, now func() time.Time) looked {
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		q.left = q.answer.err != nil && ctx.Err() != nil
		delete(m.asked, who)
		close(q.over)
	}()
	late := time.NewTimer(askingFor)
	defer late.Stop()
	turns := m.turns[who.realm]
	select {
	case turns <- struct{}{}:
		defer func() { <-turns }()
		l := looked{at: now()}
		l.bar, l.groups, l.entry, l.err = w.Look(ctx, who.user)
		q.answer = l
	case <-late.C:
		q.answer = looked{err: errNoTurn}
	case <-ctx.Done():
		q.answer = looked{err: context.Cause(ctx)}
	}
	return q.answer
}

// lacking tells whether a bar is one that all of a directory's users have when it has lost
// them, is another one, or lets nobody see them.
func lacking(bar string) bool { return bar == "gone" || bar == replaced || bar == "groups unreadable" }

// believe notes whether the last poll of a realm believed what was lacking.
func (m *memberships) believe(realm string, believed bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lost[realm] = !believed
}

// disbelieved tells whether that bar isn't believed of the realm's directory now.
func (m *memberships) disbelieved(realm, bar string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return lacking(bar) && m.lost[realm]
}

// join finds out which groups acct's user has, for a login that asked its directory for
// nothing: what was told lately, or else what it tells now. bar is why it lets them
// nowhere, "" where it does, or isn't believed. Without an answer the login goes on, and
// no rule that allows a group holds for it. Errors are the store's, and ctx's.
func (d *dialogue) join(ctx context.Context, acct Account) (bar string, err error) {
	w, ok := d.a.realms[acct.Realm].(Watcher)
	if acct.Realm == "" || !d.member.fetched.IsZero() || !ok || !w.Watches() {
		return "", nil
	}
	who := member{acct.Realm, acct.Name}
	if d.member, ok = d.a.members.at(who, d.a.now()); ok {
		return "", nil
	}
	d.member.unknown = groupsNoAnswer
	l := d.a.members.look(ctx, w, who, d.a.now)
	switch {
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case l.err != nil || d.a.members.disbelieved(who.realm, l.bar):
		return "", nil
	case l.bar != "":
		return l.bar, nil
	}
	switch another, err := d.a.isAnother(ctx, acct, l.entry); {
	case err != nil:
		return "", err
	case another && d.a.members.disbelieved(who.realm, replaced):
		return "", nil
	case another:
		return replaced, nil
	}
	d.member = membership{groups: linesOf(l.groups), fetched: l.at}
	d.a.members.put(who, d.member.groups, l.at, w.Poll())
	return "", nil
}

// Membership is what is known of a user's groups without a login of theirs.
type Membership struct {
	Groups []string
	Known  bool   // else Groups says nothing
	Silent bool   // the directory was asked, and gave no answer
	Bar    string // why the directory lets the user nowhere, "" for nothing or where that isn't known
}

// Membership tells which groups the user has in their realm, as a login by key finds out: by
// what the directory told lately, or tells now. Without a realm there are none.
func (a *Authenticator) Membership(ctx context.Context, u UserInfo) Membership {
	w, ok := a.realms[u.Realm].(Watcher)
	who := member{u.Realm, u.Name}
	known, told := a.members.at(who, a.now())
	switch {
	case u.Realm == "":
		return Membership{Known: true}
	case told:
		names, _ := Identity{member: known}.Groups()
		return Membership{Groups: names, Known: true}
	case !ok || !w.Watches():
		return Membership{}
	}
	l := a.members.look(ctx, w, who, a.now)
	switch {
	case l.err != nil || a.members.disbelieved(u.Realm, l.bar):
		return Membership{Silent: true}
	case l.bar != "":
		return Membership{Bar: l.bar}
	}
	return Membership{Groups: l.groups, Known: true}
}

// notThere is the event of a login that was right, of somebody whom the directory lets
// nowhere. What they have is taken away at the poll, which believes no directory that
// has lost everybody.
func (d *dialogue) notThere(acct Account, bar string) audit.Event {
	e := d.event(audit.LoginFailed, reasonBarred)
	e.Detail = "the directory " + acct.Realm + " was asked: " + bar
	return e
}
