package identity

import (
	"context"
	"fmt"
	"strings"
	"time"

	"entry/audit"
	"entry/bastion/identity/secret"
)

// warnBefore is how long before something ends a login says so.
const warnBefore = 14 * 24 * time.Hour

// unfit is why nobody may get in to the account, for somebody who has proven to
// be its owner; a verdict without a reason if there is nothing.
func (a *Authenticator) unfit(s Standing, now time.Time) verdict {
	switch after := a.inactiveAfter(s); {
	case s.Disabled:
		return verdict{reason: reasonDisabled, innocent: true, text: "This account is disabled: ask your lab's administrator."}
	case !s.Ends.IsZero() && !now.Before(s.Ends):
		return verdict{reason: reasonEnded, innocent: true, text: "This account ended on " + utc(s.Ends) + ": ask your lab's administrator."}
	case !after.IsZero() && !now.Before(after):
		return verdict{
			reason: reasonInactive, innocent: true,
			text: "This account expired on " + utc(after) + ", after " + days(a.inactivity) + " without a login: ask your lab's administrator to enable it.",
		}
	}
	return verdict{}
}

// inactiveAfter is when the account expires unless somebody logs in; zero for
// never.
func (a *Authenticator) inactiveAfter(s Standing) time.Time {
	if a.inactivity == 0 {
		return time.Time{}
	}
	return later(later(s.Created, s.LastLogin), s.ActiveSince).Add(a.inactivity)
}

// lapses is when a fit account becomes unfit if nothing happens to it; zero for
// never.
func (a *Authenticator) lapses(s Standing) time.Time {
	after := a.inactiveAfter(s)
	if after.IsZero() || (!s.Ends.IsZero() && s.Ends.Before(after)) {
		return s.Ends
	}
	return after
}

// passphraseExpires is when a login will ask for a new passphrase; zero for never.
func (a *Authenticator) passphraseExpires(acct Account) time.Time {
	if a.passphraseAge == 0 || acct.Passphrase == "" {
		return time.Time{}
	}
	return acct.PassphraseSet.Add(a.passphraseAge)
}

// aged tells whether the passphrase is too old to open anything but its change.
func (a *Authenticator) aged(acct Account, now time.Time) bool {
	end := a.passphraseExpires(acct)
	return !end.IsZero() && !now.Before(end)
}

// warnings says what is about to end, one sentence a line. acct is the account
// as it was before the login that is warned at.
func (a *Authenticator) warnings(acct Account, now time.Time) string {
	var say []string
	soon := func(end time.Time) bool { return !end.IsZero() && !now.Before(end.Add(-warnBefore)) }
	if soon(acct.Ends) {
		say = append(say, "Your account ends on "+utc(acct.Ends)+": ask your lab's administrator if you need it longer.")
	}
	if soon(a.inactiveAfter(acct.standing(""))) {
		say = append(say, "Your account would have expired on "+utc(a.inactiveAfter(acct.standing("")))+": accounts do after "+days(a.inactivity)+" without a login.")
	}
	if end := a.passphraseExpires(acct); soon(end) {
		say = append(say, "Your passphrase expires on "+utc(end)+": change it with ssh "+a.issuer+" passwd.")
	}
	return strings.Join(say, "\n")
}

func days(d time.Duration) string {
	if d%(24*time.Hour) != 0 {
		return d.String()
	}
	if n := d / (24 * time.Hour); n != 1 {
		return fmt.Sprintf("%d days", n)
	}
	return "1 day"
}

// SetEnd gives the account a last moment; the zero time takes it away. Logins
// and checks fail from then on; nothing is deleted.
func (a *Authenticator) SetEnd(ctx context.Context, name string, end time.Time) error {
	e, detail := a.adminEvent(ctx, audit.UserChanged, name, nil), "no end"
	if !end.IsZero() {
		e.Until, detail = &end, "ends on "+utc(end)
	}
	e.Detail = detail
	err := a.change(ctx, name, e, func(acct *Account) error {
		acct.Ends = end
		return nil
	})
	if err != nil {
		return fmt.Errorf("set end of user %s: %w", name, err)
	}
	a.notify(ctx, Notice{User: name, Kind: NoticeEndChanged, Detail: detail})
	return nil
}

// ResetStep lets an account log in again whose authenticators have spent steps
// of the future (entry's clock was ahead): no step after the present ones stays
// spent. Codes of the present stay used.
func (a *Authenticator) ResetStep(ctx context.Context, name string) error {
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
