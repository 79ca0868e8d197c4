package identity

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"entry/audit"
	"entry/audit/plain"
	"entry/bastion/identity/secret"
	"entry/policy"
)

// Person is somebody who is to have an account.
type Person struct {
	Name  string    `json:"user"`
	Phone string    `json:"phone,omitempty"` // E.164; codes go there where there is a gateway, until an app is enrolled
	Realm string    `json:"realm,omitempty"` // of the configuration
	Ends  time.Time `json:"ends,omitzero"`   // last moment of the account
	// Renew asks for a new temporary passphrase where an account waits to be used,
	// because the older one was lost. The rest of such an account stays as it is.
	Renew bool `json:"renew,omitempty"`
}

// Outcome is what became of a Person.
type Outcome string

// The outcomes.
const (
	Added   Outcome = "added"   // a new account
	Renewed Outcome = "renewed" // a new temporary passphrase in place of an unused one
	Waits   Outcome = "waits"   // has a good temporary passphrase, which nobody asked to renew
	InUse   Outcome = "in use"  // has logged in, or has more than a temporary passphrase
	Barred  Outcome = "disabled"
)

// Made is one account of AddAll.
type Made struct {
	Name      string
	Outcome   Outcome
	Temporary string    // shown only now; "" unless Added or Renewed
	Until     time.Time // of the temporary passphrase
	// Differs is what was asked for and the account, which was there already, has
	// otherwise and keeps: any of "end", "phone" and "realm".
	Differs []string
}

// PersonProblems says all that is wrong with p, a sentence each, which begins with the
// name.
func (a Operators) PersonProblems(p Person) (wrong []string) {
	if err := policy.ValidUser(p.Name); err != nil {
		return []string{plain.Name(p.Name) + ": " + err.Error()}
	}
	say := func(text string) { wrong = append(wrong, p.Name+": "+text) }
	switch {
	case p.Phone != "" && !phoneNumber.MatchString(p.Phone):
		say("the phone number must have the form +46701234567")
	case p.Phone != "" && !a.reaches(p.Phone):
		say("SMS go only to numbers that begin with " + strings.Join(a.countries, ", "))
	}
	if _, realm := a.realms[p.Realm]; p.Realm != "" && !realm {
		say("there is no such realm: entry.yaml has " + a.realmNames() + " under realms")
	}
	if !p.Ends.IsZero() && !a.now().Before(p.Ends) {
		say("the account's end is in the past")
	}
	return wrong
}

// AddAll makes an account for each of people, or renews its temporary passphrase if
// it is asked to or that one is no longer good, all in one transaction: on an error nobody was added. Accounts in
// use, and disabled ones, are left alone. invited says what the log calls it. The
// results are in the order of people.
func (a Operators) AddAll(ctx context.Context, people []Person, invited bool) ([]Made, error) {
	for _, p := range people {
		if wrong := a.PersonProblems(p); len(wrong) > 0 {
			return nil, &Refusal{Text: wrong[0]}
		}
	}
	const tries = 3 // each lost one means that somebody else changed an account meanwhile
	for try := 1; ; try++ {
		made, err := a.addAll(ctx, people, invited)
		if (errors.Is(err, ErrChanged) || errors.Is(err, ErrExists)) && try < tries {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("add users: %w", storeFailed(err))
		}
		for _, m := range made {
			if m.Temporary != "" {
				a.notify(ctx, Notice{User: m.Name, Kind: noticeInvited, Detail: "until " + plain.Moment(m.Until)})
			}
		}
		return made, nil
	}
}

func (a Operators) addAll(ctx context.Context, people []Person, invited bool) ([]Made, error) {
	all, err := a.store.Accounts(ctx)
	if err != nil {
		return nil, err
	}
	known := make(map[string]Account, len(all))
	for _, acct := range all {
		known[acct.Name] = acct
	}
	kind := audit.UserAdded
	if invited {
		kind = audit.UserInvited
	}
	var (
		made           []Made
		create, change []Account
		events         []audit.Event
	)
	for _, p := range people {
		acct, exists := known[p.Name]
		m := Made{Name: p.Name, Outcome: Added}
		switch {
		case exists:
			m.Outcome, m.Differs = acct.asInvited(p.Renew, a.now()), p.differs(acct)
		default:
			acct = Account{ID: secret.NewID(), Name: p.Name, Generation: 1, Created: a.now(), Phone: p.Phone, CodeBySMS: p.Phone != "" && a.texter != nil, Realm: p.Realm, Ends: p.Ends}
			if acct.CodeBySMS {
				acct.SMSSince = acct.Created
			}
		}
		if m.Outcome == Added || m.Outcome == Renewed {
			m.Temporary, acct.Temporary = a.issueTemporary()
			m.Until = acct.Temporary.Expires
			e := a.adminEvent(ctx, kind, p.Name, &m.Until)
			e.Change = &audit.Change{Account: acct.ID, Generation: acct.Generation}
			if m.Outcome == Renewed {
				before := known[p.Name]
				acct.ActiveSince = a.now()
				acct.Epoch++
				e.Change.Generation++
				e.Change.Taken = taken(before, acct)
				change = append(change, acct)
			} else {
				e.Detail = p.detail()
				create = append(create, acct)
			}
			events = append(events, e)
		}
		made = append(made, m)
	}
	if len(events) == 0 {
		return made, nil
	}
	return made, a.logged(ctx, func(ctx context.Context) error { return a.store.Put(ctx, create, change) }, events...)
}

// asInvited is what inviting the account's owner comes to.
func (acct Account) asInvited(renew bool, now time.Time) Outcome {
	switch {
	case acct.Passphrase != "" || len(acct.Authenticators) > 0 || !acct.LastLogin.IsZero():
		return InUse
	case acct.Disabled:
		return Barred
	case !renew && acct.Temporary != nil && now.Before(acct.Temporary.Expires):
		return Waits
	}
	return Renewed
}

// differs is what p asks for and acct has otherwise.
func (p Person) differs(acct Account) []string {
	var d []string
	if !p.Ends.IsZero() && !p.Ends.Equal(acct.Ends) {
		d = append(d, "end")
	}
	if p.Phone != "" && p.Phone != acct.Phone {
		d = append(d, "phone")
	}
	if p.Realm != "" && p.Realm != acct.Realm {
		d = append(d, "realm")
	}
	return d
}

// detail says with what an account was made, for the log.
func (p Person) detail() string {
	var d []string
	if p.Phone != "" {
		d = append(d, "number for codes "+shortened(p.Phone))
	}
	if p.Realm != "" {
		d = append(d, "passphrase judged by the directory "+p.Realm)
	}
	if !p.Ends.IsZero() {
		d = append(d, "ends on "+plain.Moment(p.Ends))
	}
	return strings.Join(d, "; ")
}

// Halves are the two parts of a temporary passphrase, for two channels.
func Halves(temporary string) (first, second string) {
	half := len(temporary) / 2
	return temporary[:half], temporary[half+1:]
}

// Remind tells whoever has an unused temporary passphrase, of whose time seven parts
// in ten are over, once for each passphrase over all processes on the database.
func (a Operators) Remind(ctx context.Context) error {
	all, err := a.store.Accounts(ctx)
	if err != nil {
		return fmt.Errorf("remind users: %w: %w", ErrUnavailable, err)
	}
	now := a.now()
	for _, acct := range all {
		t := acct.Temporary
		if t == nil || acct.Disabled || acct.asInvited(true, now) == InUse || !now.Before(t.Expires) || now.Before(t.Expires.Add(-a.temp*3/10)) {
			continue
		}
		first := false
		key := a.keys.HashTally(fmt.Sprintf("reminded|%s|%d", acct.ID, micros(t.Expires)))
		err := a.store.Count(ctx, now, func(t []Tally) bool {
			if first = t[0].Failures == 0; first {
				t[0] = Tally{Failures: 1, Since: now, Keep: acct.Temporary.Expires}
			}
			return first
		}, key)
		if err != nil {
			return fmt.Errorf("remind users: %w: %w", ErrUnavailable, err)
		}
		if first {
			a.notify(ctx, Notice{User: acct.Name, Kind: noticeInviteWaits, Detail: "until " + plain.Moment(t.Expires)})
		}
	}
	return nil
}
