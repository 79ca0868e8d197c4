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
)

// Watcher is a FirstFactor that can tell of users whose passphrase isn't there.
type Watcher interface {
	// Watches tells whether it can, as it is configured.
	Watches() bool
	// Look asks whether the directory still has user and lets them in: bar is why
	// not, "" where it does, and then groups are the user's now and entry is what the
	// directory calls the user's entry (see entry.go). An error means that it gave no
	// answer, or none that counts.
	Look(ctx context.Context, user string) (bar string, groups []string, entry string, err error)
}

const (
	// mostLooked is how many users a poll asks about; the others come at the next.
	mostLooked = 200
	// mostErrors is after how many questions without an answer, one after the other, a
	// poll gives up. It goes on after an answer: a directory that can't tell of some
	// users, as of one in too many groups, tells of the others.
	mostErrors = 3
	// fewGone is how many users may be gone, have another entry, or be in groups that
	// can't be read, all at once: a directory that has none of more has lost them, is
	// another one, or lets nobody see them.
	fewGone = 10
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
// and nothing at all when it has none of ten users or more whom it tells of. It
// begins where the call before ended, whether that had asked about all or given up.
// Errors are the directory's and the store's, joined.
func (a *Authenticator) LookUp(ctx context.Context, realm string, live []string, there func(user string, groups []string)) error {
	w, ok := a.realms[realm].(Watcher)
	if !ok || !w.Watches() {
		return nil
	}
	names, err := a.store.Remembering(ctx, realm, a.now())
	if err != nil {
		return fmt.Errorf("look for users of %s: %w", realm, err)
	}
	names = append(names, live...)
	slices.Sort(names)
	names = a.turn(realm, slices.Compact(names))
	var errs []error
	gone, entries := map[string]string{}, map[string]string{}
	missing, answers, silent := 0, 0, 0
	for _, name := range names {
		bar, groups, entry, err := w.Look(ctx, name)
		if err == nil && bar == "" {
			bar, err = a.seen(ctx, realm, name, entry)
		}
		if err != nil {
			if silent++; len(errs) < mostErrors {
				errs = append(errs, err)
			}
			if silent == mostErrors {
				a.endTurn(realm, name)
				break
			}
			continue
		}
		answers, silent = answers+1, 0
		if bar == "" {
			there(name, groups)
			continue
		}
		gone[name], entries[name] = bar, entry
		if bar == "gone" || bar == replaced || bar == "groups unreadable" {
			missing++
		}
	}
	if missing >= fewGone && missing == answers {
		return errors.Join(append(errs, fmt.Errorf("the directory %s says that it has none of %d users, none whose groups can be read, or none but under other entries: that isn't believed, and nothing is taken away", realm, missing))...)
	}
	for _, name := range slices.Sorted(maps.Keys(gone)) {
		errs = append(errs, Operators{a.core}.depart(ctx, realm, name, gone[name], entries[name]))
	}
	return errors.Join(errs...)
}

// turn is whom the next poll of a realm asks about.
func (a *core) turn(realm string, names []string) []string {
	a.looked.Lock()
	defer a.looked.Unlock()
	last, ok := a.looked.last[realm]
	delete(a.looked.last, realm)
	if ok {
		from, found := slices.BinarySearch(names, last)
		if found {
			from++
		}
		names = slices.Concat(names[from:], names[:from])
	}
	if len(names) > mostLooked {
		names = names[:mostLooked]
		a.looked.last[realm] = names[mostLooked-1]
	}
	return names
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
