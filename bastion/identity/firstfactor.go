package identity

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"entry/audit/refusal"
)

// FirstFactor judges passphrases of accounts that live in somebody else's
// directory. It is safe for concurrent use.
type FirstFactor interface {
	// Check asks once whether passphrase is user's; ok without an error means
	// that it is, with the user's groups as they stood at fetched, and what the
	// directory calls the user's entry (see entry.go). Not ok without an error means a
	// wrong passphrase. An error that has Barred (see barred)
	// says why the directory lets the account nowhere; every other one means
	// that it gave no answer.
	Check(ctx context.Context, user, passphrase string) (ok bool, groups []string, fetched time.Time, entry string, err error)
	// Where tells users where they change the passphrase, as the object of "at".
	Where() string
}

// barred is an error of a directory that knows the account and doesn't let it
// in: one sentence for its owner, and whether it is only said after a right
// passphrase.
type barred interface {
	error
	Barred() (text string, right bool)
}

// directoryDown is a directory that gave no answer. It is an ErrUnavailable.
type directoryDown struct {
	realm string
	cause error
}

func (e *directoryDown) Error() string {
	return fmt.Sprintf("identity: the directory %s can't be asked: %v", e.realm, e.cause)
}

func (e *directoryDown) Unwrap() []error { return []error{ErrUnavailable, e.cause} }

// firstFactor judges the passphrase, or returns a verdict without a reason for a
// key that stands in its place. What a directory is asked, it is asked once a
// dialogue, and only for a code that lies in its window: judge calls it then.
// Where the code goes by SMS it has been asked already, see ahead.
func (d *dialogue) firstFactor(ctx context.Context, acct Account, passphrase string) (verdict, error) {
	wrong := verdict{reason: reasonWrongPassphrase}
	if h := d.ahead; h != nil && h.judged {
		d.member = h.member
		return h.first, nil // judge has waited for it
	}
	if acct.Realm != "" {
		// A temporary passphrase that waits to be used locks every other way in.
		if acct.Temporary != nil {
			return wrong, nil
		}
		v, member, err := d.a.askDirectory(ctx, acct, passphrase)
		d.member = member
		return v, err
	}
	if acct.Passphrase == "" {
		return wrong, nil
	}
	verify := d.a.hasher.Verify
	if d.inside {
		verify = func(ctx context.Context, stored, passphrase string) (bool, error) {
			return d.a.hasher.VerifyInside(ctx, acct.ID, stored, passphrase)
		}
	}
	right, err := verify(ctx, acct.Passphrase, passphrase)
	if err != nil || !right {
		return wrong, err
	}
	return verdict{}, nil
}

// askDirectory asks the account's directory, once.
func (a *core) askDirectory(ctx context.Context, acct Account, passphrase string) (verdict, membership, error) {
	realm, ok := a.realms[acct.Realm]
	if !ok {
		return verdict{}, membership{}, &directoryDown{acct.Realm, errors.New("it is not configured")}
	}
	right, groups, fetched, entry, err := realm.Check(ctx, acct.Name, passphrase)
	var no barred
	switch {
	case errors.As(err, &no):
		text, innocent := no.Barred()
		text = refusal.Contact(a.contact).In(text)
		return verdict{reason: reasonBarred, innocent: innocent, text: text}, membership{}, nil
	case err != nil && ctx.Err() != nil:
		return verdict{}, membership{}, err // the client left: d.end knows
	case err != nil:
		return verdict{}, membership{}, &directoryDown{acct.Realm, err}
	case !right:
		return verdict{reason: reasonWrongPassphrase}, membership{}, nil
	}
	switch another, err := a.isAnother(ctx, acct, entry); {
	case err != nil:
		return verdict{}, membership{}, err
	case another:
		// Who had the account is gone, and what they proved with them; not even a right
		// code tells that this is the same person.
		if err := (Operators{a}).depart(context.WithoutCancel(ctx), acct.Realm, acct.Name, replaced, entry); err != nil {
			return verdict{}, membership{}, err
		}
		return verdict{reason: reasonBarred, innocent: true, text: "The directory " + acct.Realm + " has a new account under your name, so everything begins anew here: ask " + a.contact + "."}, membership{}, nil
	}
	m := membership{groups: linesOf(groups), fetched: fetched}
	if w, ok := realm.(Watcher); ok && w.Watches() {
		a.members.put(member{acct.Realm, acct.Name}, m.groups, fetched, w.Poll())
	}
	return verdict{}, m, nil
}

// validRealm keeps the names of realms fit for prompts.
func validRealm(name string) bool {
	return name != "" && len(name) <= 64 && !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' })
}

// keyStands tells whether a proven key is the whole first factor. A directory is
// asked beside it, so that whoever it has let go isn't let in by a key; the key
// can be remembered then like any other.
func (d *dialogue) keyStands(acct Account) bool {
	return d.key != "" && !d.touched && acct.Realm == ""
}

// ownPassphrase returns a *Refusal for an account whose passphrase is kept by a
// directory, which says where to go.
func (a SelfService) ownPassphrase(acct Account) error {
	if acct.Realm == "" {
		return nil
	}
	where := "the directory " + acct.Realm
	if realm, ok := a.realms[acct.Realm]; ok {
		where = realm.Where()
	}
	return &Refusal{Text: "Your passphrase is not kept by " + a.issuer + ": change it at " + where + "."}
}
