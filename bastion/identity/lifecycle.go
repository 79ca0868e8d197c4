package identity

import (
	"strings"
	"time"

	"entry/audit/plain"
)

// warnBefore is how long before something ends a login says so.
const warnBefore = 14 * 24 * time.Hour

// lifetimes are what ends by the clock: accounts nobody uses, and passphrases.
type lifetimes struct {
	inactivity time.Duration // 0 for any
	passphrase time.Duration // 0 for any
	issuer     string        // for texts
	contact    string        // whom users ask, for texts
}

// unfit is why nobody may get in to the account, for somebody who has proven to
// be its owner; a verdict without a reason if there is nothing.
func (l lifetimes) unfit(s Standing, now time.Time) verdict {
	switch after := l.inactiveAfter(s); {
	case s.Disabled:
		return verdict{reason: reasonDisabled, innocent: true, text: "This account is disabled: ask " + l.contact + "."}
	case !s.Ends.IsZero() && !now.Before(s.Ends):
		return verdict{reason: reasonEnded, innocent: true, text: "This account ended on " + plain.Moment(s.Ends) + ": ask " + l.contact + "."}
	case !after.IsZero() && !now.Before(after):
		return verdict{
			reason: reasonInactive, innocent: true,
			text: "This account expired on " + plain.Moment(after) + ", after " + plain.Span(l.inactivity) + " without a login: ask " + l.contact + " to enable it.",
		}
	}
	return verdict{}
}

// inactiveAfter is when the account expires unless somebody logs in; zero for
// never.
func (l lifetimes) inactiveAfter(s Standing) time.Time {
	if l.inactivity == 0 {
		return time.Time{}
	}
	return later(later(s.Created, s.LastLogin), s.ActiveSince).Add(l.inactivity)
}

// lapses is when a fit account becomes unfit if nothing happens to it; zero for
// never.
func (l lifetimes) lapses(s Standing) time.Time {
	after := l.inactiveAfter(s)
	if after.IsZero() || (!s.Ends.IsZero() && s.Ends.Before(after)) {
		return s.Ends
	}
	return after
}

// passphraseExpires is when a login will ask for a new passphrase; zero for never.
func (l lifetimes) passphraseExpires(acct Account) time.Time {
	if l.passphrase == 0 || acct.Passphrase == "" || acct.mustChange() {
		return time.Time{}
	}
	return acct.PassphraseSet.Add(l.passphrase)
}

// mustChange tells whether the passphrase has to be changed whatever its age: it
// came along like that.
func (acct Account) mustChange() bool {
	return acct.Passphrase != "" && acct.PassphraseSet.IsZero()
}

// aged tells whether the passphrase is too old to open anything but its change.
func (l lifetimes) aged(acct Account, now time.Time) bool {
	end := l.passphraseExpires(acct)
	return acct.mustChange() || !end.IsZero() && !now.Before(end)
}

// warnings says what is about to end, one sentence a line. acct is the account
// as it was before the login that is warned at.
func (l lifetimes) warnings(acct Account, now time.Time) string {
	var say []string
	soon := func(end time.Time) bool { return !end.IsZero() && !now.Before(end.Add(-warnBefore)) }
	if soon(acct.Ends) {
		say = append(say, "Your account ends on "+plain.Moment(acct.Ends)+": ask "+l.contact+" if you need it longer.")
	}
	if soon(l.inactiveAfter(acct.standing(""))) {
		say = append(say, "Your account would have expired on "+plain.Moment(l.inactiveAfter(acct.standing("")))+": accounts do after "+plain.Span(l.inactivity)+" without a login.")
	}
	if end := l.passphraseExpires(acct); soon(end) {
		say = append(say, "Your passphrase expires on "+plain.Moment(end)+": change it with ssh "+l.issuer+" passwd.")
	}
	return strings.Join(say, "\n")
}
