package identity

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"entry/audit"
	"entry/session/group"
)

// Watcher is a FirstFactor that can tell of users whose passphrase isn't there.
type Watcher interface {
	// Watches tells whether it can, as it is configured.
	Watches() bool
	// Poll is how often Look is asked about whoever has something open or remembered;
	// positive.
	Poll() time.Duration
	// Look asks whether the directory still has user and lets them in: bar is why
	// not, "" where it does, and then groups are the user's now and entry is what the
	// directory calls the user's entry (see entry.go). An error means that it gave no
	// answer, or none that counts.
	Look(ctx context.Context, user string) (bar string, groups []string, entry string, err error)
}

const (
	// mostLooked is about how many users a poll asks before it takes from them what they
	// have no more.
	mostLooked = 200
	// mostErrors is after how many questions without an answer, one after the other, a
	// poll gives up. It goes on after an answer: a directory that can't tell of some
	// users, as of one in too many groups, tells of the others. So many questions are put
	// side by side.
	mostErrors = 3
	// fewGone is how many users may be gone, have another entry, or be in groups that
	// can't be read, all at once: a directory that has none of more has lost them, is
	// another one, or lets nobody see them.
	fewGone = 10
	// lookGap lies between two questions of a poll, or less where all users couldn't be
	// asked about within half of the time to the next poll: the directory has others to
	// answer.
	lookGap = 50 * time.Millisecond
)

// turns is with whom the next poll of each realm begins.
type turns struct {
	sync.Mutex
	last map[string]string // the user that the one before ended with
}

// LookUp asks a realm's directory for the users that live says are logged in, and
// for those who have remembered keys, as far as they are its users; there hears
// the groups of each who still is. Who is gone, or locked there, loses remembered
// keys and every identity (ErrRevoked), in the transaction that counts the
// account's epoch up; the account stays, because the directory judges its next
// login. Where the directory has another entry of that name, it is another person's:
// then authenticators, recovery codes, keys and the number for codes go, too. Nothing is taken from anybody whom the directory gives no answer about,
// and nothing at all when it has none of ten users or more whom it tells of, of two
// hundred that are asked about together. It asks about all, at most 20 a second unless
// they are too many for that, and ends early where the directory stops answering; the
// next call begins there. Errors are the directory's and the store's, joined.
func (a *Authenticator) LookUp(ctx context.Context, realm string, live []string, there func(user string, groups []string)) error {
	w, ok := a.realms[realm].(Watcher)
	if !ok || !w.Watches() {
		return nil
	}
	a.members.prune(a.now())
	names, err := a.store.Remembering(ctx, realm, a.now())
	if err != nil {
		return fmt.Errorf("look for users of %s: %w", realm, err)
	}
	names = append(names, live...)
	slices.Sort(names)
	names = a.turn(realm, slices.Compact(names))
	p := &poll{a: a.core, w: w, realm: realm, gap: gapFor(len(names), w.Poll()), there: there}
	// Rows of about one length: few users at the end could all be gone and be believed.
	for rows := (len(names) + mostLooked - 1) / mostLooked; rows > 0 && !p.over; rows-- {
		n := (len(names) + rows - 1) / rows
		p.row(ctx, names[:n])
		names = names[n:]
	}
	if p.answered {
		a.members.believe(realm, !p.lost)
	}
	return errors.Join(p.errs...)
}

// gapFor is how long a poll that comes every so often waits after each of n questions.
func gapFor(n int, every time.Duration) time.Duration {
	return min(lookGap, every/2/time.Duration(max(1, n)))
}

// poll is one LookUp at work.
type poll struct {
	a      *core
	w      Watcher
	realm  string
	gap    time.Duration
	there  func(user string, groups []string)
	errs   []error
	failed int  // questions without an answer that are in errs
	silent int  // the newest of them, one after the other
	over   bool // the directory stopped answering, or ctx has ended

	answered bool // at all
	lost     bool // by what it says it has lost its users, which isn't believed
}

// looked is what a directory said of a user.
type looked struct {
	at         time.Time // when it was asked
	bar, entry string
	groups     []string
	err        error
}

// row asks about these users, and takes from those who aren't there any more what they
// have.
func (p *poll) row(ctx context.Context, names []string) {
	gone := map[string]looked{}
	missing, answers := 0, 0
	for few := range slices.Chunk(names, mostErrors) {
		for i, l := range p.ask(ctx, few) {
			name := few[i]
			if l.err != nil {
				if p.silent++; p.failed < mostErrors {
					p.failed++
					p.errs = append(p.errs, l.err)
				}
				if p.silent == mostErrors {
					p.a.endTurn(p.realm, name)
					p.over = true
				}
				continue
			}
			answers, p.silent = answers+1, 0
			if l.bar == "" {
				p.a.members.put(member{p.realm, name}, linesOf(l.groups), l.at, p.w.Poll())
				p.there(name, l.groups)
				continue
			}
			gone[name] = l
			if lacking(l.bar) {
				missing++
			}
		}
		if p.over || !p.rests(ctx, len(few)) {
			break
		}
	}
	p.answered = p.answered || answers > 0
	if missing >= fewGone && missing == answers {
		p.lost = true
		p.errs = append(p.errs, fmt.Errorf("the directory %s says that it has none of %d users, none whose groups can be read, or none but under other entries: that isn't believed, and nothing is taken away", p.realm, missing))
		return
	}
	for _, name := range slices.Sorted(maps.Keys(gone)) {
		p.a.members.drop(member{p.realm, name})
		p.errs = append(p.errs, Operators{p.a}.depart(ctx, p.realm, name, gone[name].bar, gone[name].entry))
	}
}

// ask puts questions about few users side by side.
func (p *poll) ask(ctx context.Context, few []string) []looked {
	all := make([]looked, len(few))
	questions := group.New(ctx, p.a.panicked)
	for i, name := range few {
		all[i] = looked{at: p.a.now(), err: errPanicked}
		questions.Go("question about a user of "+p.realm, func() {
			l := &all[i]
			bar, groups, entry, err := p.w.Look(ctx, name)
			if err == nil && bar == "" {
				bar, err = p.a.seen(ctx, p.realm, name, entry)
			}
			l.bar, l.groups, l.entry, l.err = bar, groups, entry, err
		})
	}
	questions.Wait()
	return all
}

// rests waits for n gaps; false once ctx has ended.
func (p *poll) rests(ctx context.Context, n int) bool {
	t := time.NewTimer(time.Duration(n) * p.gap)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
		p.over = true
	}
	return !p.over
}

// turn is in which order the next poll of a realm asks.
func (a *core) turn(realm string, names []string) []string {
	a.looked.Lock()
	defer a.looked.Unlock()
	last, ok := a.looked.last[realm]
	delete(a.looked.last, realm)
	if !ok {
		return names
	}
	from, found := slices.BinarySearch(names, last)
	if found {
		from++
	}
	return slices.Concat(names[from:], names[:from])
}

// endTurn has the next poll of a realm begin behind that user.
func (a *core) endTurn(realm, last string) {
	a.looked.Lock()
	defer a.looked.Unlock()
	a.looked.last[realm] = last
}

// seen is replaced where the entry that the directory has of a user of the realm is
// another one than before, else "".
func (a *core) seen(ctx context.Context, realm, name, entry string) (bar string, err error) {
	acct, err := a.store.Account(ctx, name)
	switch {
	case errors.Is(err, ErrNoAccount):
		return "", nil
	case err != nil:
		return "", storeFailed(err)
	case acct.Realm != realm:
		return "", nil
	}
	another, err := a.isAnother(ctx, acct, entry)
	if another {
		bar = replaced
	}
	return bar, err
}

var errOtherRealm = errors.New("it is another realm's by now")

// depart takes away what was proven for somebody whom the directory has no more.
func (a Operators) depart(ctx context.Context, realm, name, bar, entry string) error {
	e := audit.Event{Type: audit.UserDeparted, User: name, Reason: strings.ReplaceAll(bar, " ", "-"), Detail: "the directory " + realm + " was asked: " + bar}
	err := a.change(ctx, name, e, func(acct *Account) error {
		if acct.Realm != realm {
			return errOtherRealm
		}
		acct.Epoch++
		if bar == replaced {
			acct.Entry, acct.Keys, acct.Authenticators, acct.Recovery = entry, nil, nil, nil
			acct.Temporary, acct.Pending = nil, nil
			acct.Phone, acct.CodeBySMS, acct.SMSSince = "", false, time.Time{}
		}
		return nil
	})
	if err != nil && !errors.Is(err, errOtherRealm) && !errors.Is(err, ErrNoAccount) {
		return fmt.Errorf("take away what %s has open: %w", name, err)
	}
	return nil
}
