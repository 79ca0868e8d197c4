package identity

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"entry/audit"
	"entry/audit/plain"
	"entry/bastion/identity/secret"
)

// phoneNumber is E.164, with the shortest numbers that any country has.
var phoneNumber = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)

// SetPhone sets the number that codes may be sent to ("" for none), and whether
// they are while the account has no authenticator. Its user can only replace it, with
// a code of the old one and one that comes to the new one (ChangePhone). Identities proven
// before don't stand where this changes where codes go. What can't be set is a
// *Refusal.
func (a Operators) SetPhone(ctx context.Context, name, number string, codes bool) error {
	switch {
	case number != "" && !phoneNumber.MatchString(number):
		return &Refusal{Text: "The number must have the form +46701234567: a plus sign, country code and number, digits only.", Misused: true}
	case codes && number == "":
		return &Refusal{Text: "Codes by SMS need a number."}
	case codes && a.texter == nil:
		return &Refusal{Text: "There is no SMS gateway: set sms in entry.yaml and restart the server."}
	}
	if number != "" {
		if err := a.unreached(number); err != nil {
			return err
		}
	}
	e := a.adminEvent(ctx, audit.UserChanged, name, nil)
	e.Detail = "no number for codes by SMS"
	if number != "" {
		use := "codes by SMS go there"
		if !codes {
			use = "no codes go there"
		}
		e.Detail = fmt.Sprintf("number %s: %s", shortened(number), use)
	}
	err := a.change(ctx, name, e, func(acct *Account) error {
		if acct.Phone != number || acct.CodeBySMS != codes {
			acct.Phone, acct.CodeBySMS, acct.SMSSince = number, codes, time.Time{}
			if codes {
				acct.SMSSince = a.now()
			}
			acct.Epoch++
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("set phone of user %s: %w", name, err)
	}
	a.notify(ctx, Notice{User: name, Kind: noticePhoneChanged, Detail: e.Detail})
	return nil
}

// SetRealm lets a directory judge the passphrase of name from now on, or, with
// an empty realm, entry itself. Identities proven before don't stand, and the
// account's own passphrase is dropped: an account that comes back needs Reset.
// A realm that isn't configured is a *Refusal.
func (a Operators) SetRealm(ctx context.Context, name, realm string) error {
	if _, ok := a.realms[realm]; !ok && realm != "" {
		return &Refusal{Text: "There is no such realm: entry.yaml has " + a.realmNames() + " under realms.", Unknown: true}
	}
	e := a.adminEvent(ctx, audit.UserChanged, name, nil)
	e.Detail = "passphrase judged by the directory " + realm
	if realm == "" {
		e.Detail = "passphrase judged by " + a.issuer
	}
	err := a.change(ctx, name, e, func(acct *Account) error {
		acct.Entry = "" // told again, it is whoever the directory has now
		if acct.Realm != realm {
			acct.Realm, acct.Passphrase, acct.PassphraseSet = realm, "", time.Time{}
			acct.Epoch++
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("set realm of user %s: %w", name, err)
	}
	return nil
}

// SetEnd gives the account a last moment; the zero time takes it away. Logins
// and checks fail from then on; nothing is deleted.
func (a Operators) SetEnd(ctx context.Context, name string, end time.Time) error {
	e, detail := a.adminEvent(ctx, audit.UserChanged, name, nil), NoEnd
	if !end.IsZero() {
		e.Until, detail = &end, "ends on "+plain.Moment(end)
	}
	e.Detail = detail
	err := a.change(ctx, name, e, func(acct *Account) error {
		acct.Ends = end
		return nil
	})
	if err != nil {
		return fmt.Errorf("set end of user %s: %w", name, err)
	}
	a.notify(ctx, Notice{User: name, Kind: noticeEndChanged, Detail: detail})
	return nil
}

// ResetStep lets an account log in again whose authenticators have spent steps
// of the future (entry's clock was ahead): no step after the present ones stays
// spent. Codes of the present stay used.
func (a Operators) ResetStep(ctx context.Context, name string) error {
	acct, err := a.account(ctx, name)
	if err == nil {
		e := a.adminEvent(ctx, audit.UserChanged, name, nil)
		e.Detail = "steps of authenticators that lay in the future"
		err = a.logged(ctx, func(ctx context.Context) error {
			return a.store.LowerSteps(ctx, acct.ID, secret.NewestStep(a.now()))
		}, e)
	}
	if err != nil {
		return fmt.Errorf("reset step of user %s: %w", name, storeFailed(err))
	}
	return nil
}

// realmNames are the realms that are configured, in words.
func (a Operators) realmNames() string {
	if len(a.realms) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(a.realms)), ", ")
}
