package admin

import (
	"fmt"
	"io"
	"strings"
	"time"

	"entry/audit"
	"entry/audit/plain"
	"entry/bastion/identity"
)

// Account is all that is known of an account.
type Account struct {
	identity.UserInfo
	Failures
	Labs   []string // that the policy makes them a member of
	Policy bool     // the policy is known
}

// Tell writes it for operators. What can't be written is lost.
func (a Account) Tell(w io.Writer, now time.Time) {
	u := a.UserInfo
	fmt.Fprintf(w, "user            %s\nstate           %s\ncreated         %s\nlast login      %s\n", u.Name, State(u, now), plain.Minute(u.Created), plain.Minute(u.LastLogin))
	for _, a := range u.Authenticators {
		fmt.Fprintf(w, "authenticator   %q, since %s\n", a.Name, plain.Minute(a.Created))
	}
	for _, k := range u.Keys {
		fmt.Fprintf(w, "key             %s %q%s\n", k.Fingerprint, k.Comment, suspension(k))
	}
	if u.WrongCodes > 0 {
		fmt.Fprintf(w, "wrong codes     %d behind the right passphrase, in 30 days%s\n", u.WrongCodes, codesLock(u))
		fmt.Fprintf(w, "                %s\n", somebodyHasIt(u))
	}
	if u.WrongInside > 0 {
		fmt.Fprintf(w, "codes inside    %s inside open connections, in 30 days%s\n", plain.Count(u.WrongInside, "wrong code"), insideLock(u))
	}
	if u.WrongRecovery > 0 {
		fmt.Fprintf(w, "before recovery %s\n", beforeRecovery(u))
	}
	if u.WrongUnseen > 0 {
		fmt.Fprintf(w, "unseen codes    %s\n", unseenCodes(u))
	}
	if u.Failures > 0 {
		fmt.Fprintf(w, "failures        %s behind a right code\n", plain.Count(u.Failures, "wrong passphrase"))
	}
	a.Failures.tell(w)
	fmt.Fprintf(w, "recovery codes  %d left\n", u.RecoveryLeft)
	if u.Phone != "" {
		fmt.Fprintf(w, "phone           %s, %s\n", u.Phone, phoneUse(u))
	}
	if u.Realm != "" {
		fmt.Fprintf(w, "passphrase      judged by the directory %s\n", u.Realm)
	}
	dates(w, u)
	if a.Policy {
		fmt.Fprintf(w, "labs            %s\n", orNone(a.Labs))
	}
}

// Pending tells whether the user has yet to log in for the first time.
func Pending(u identity.UserInfo) bool {
	return !u.TemporaryExpires.IsZero() && u.PassphraseSet.IsZero() && u.LastLogin.IsZero() && len(u.Authenticators) == 0
}

// Renewable are those whose invitations wait, for new ones in their place; with lapsed those
// alone that are no longer good.
func Renewable(users []identity.UserInfo, lapsed bool, now time.Time) (people []NewPerson) {
	for _, u := range users {
		if Pending(u) && !u.Disabled && (!lapsed || u.TemporaryExpires.Before(now)) {
			people = append(people, NewPerson{Person: identity.Person{Name: u.Name, Phone: u.Phone}})
		}
	}
	return people
}

// BySMS tells whether the user's codes go by SMS: whoever has an authenticator has
// moved to it.
func BySMS(u identity.UserInfo) bool { return u.CodeBySMS && len(u.Authenticators) == 0 }

// suspension says since when a key opens nothing.
func suspension(k identity.Key) string {
	if k.Suspended.IsZero() {
		return ""
	}
	return ", suspended " + plain.Minute(k.Suspended) + " after wrong codes; its owner can enable it, by another factor"
}

// somebodyHasIt says what wrong codes behind the right passphrase mean.
func somebodyHasIt(u identity.UserInfo) string {
	return fmt.Sprintf("since %s, more than five in a day or from a network without a login before. If %s mistyped them, or the phone's clock is wrong, that is all. If not, somebody has the passphrase: entry user reset --keep-authenticators %s gives another", plain.Minute(u.WrongSince), u.Name, u.Name)
}

// beforeRecovery says what wrong passphrases with right recovery codes mean.
func beforeRecovery(u identity.UserInfo) string {
	return fmt.Sprintf("%s with right recovery codes, in 30 days: unless it was mistyping, somebody has the list, and %s needs another, by ssh entry recovery", plain.Count(u.WrongRecovery, "wrong passphrase"), u.Name)
}

// unseenCodes says what is known of wrong codes that nobody could place.
func unseenCodes(u identity.UserInfo) string {
	also := ""
	if u.WrongCodes > 0 {
		also = " more"
	}
	return plain.Count(u.WrongUnseen, "wrong code") + also + ", in 30 days, that came while the server was too busy to tell what passphrase they were behind"
}

// insideLock says until when codes that are asked inside connections open nothing.
func insideLock(u identity.UserInfo) string {
	if u.InsideLockUntil.IsZero() {
		return ""
	}
	return "; until " + plain.Minute(u.InsideLockUntil) + " none opens anything there, unless a key opened the connection"
}

// codesLock says until when the passphrase opens nothing from an unknown network.
func codesLock(u identity.UserInfo) string {
	if u.CodesLockUntil.IsZero() {
		return ""
	}
	return "; from networks without a login before it opens nothing until " + plain.Minute(u.CodesLockUntil) + " (entry user unlock ends that)"
}

// Devices is how many authenticators there are, or that codes go by SMS.
func Devices(u identity.UserInfo) string {
	if BySMS(u) {
		return "SMS"
	}
	return fmt.Sprint(len(u.Authenticators))
}

// phoneUse says whether codes go to the user's number.
func phoneUse(u identity.UserInfo) string {
	if BySMS(u) {
		if !u.SMSUntil.IsZero() {
			return "where codes go by SMS until " + plain.Minute(u.SMSUntil)
		}
		return "where codes go by SMS"
	}
	return "not used: codes come from an authenticator"
}

// dates writes what is known of an account's future.
func dates(w io.Writer, u identity.UserInfo) {
	line := func(name string, t time.Time) {
		if !t.IsZero() {
			fmt.Fprintf(w, "%-15s %s\n", name, plain.Minute(t))
		}
	}
	line("passphrase set", u.PassphraseSet)
	line("terms accepted", u.TermsAccepted)
	if u.TermsWait {
		fmt.Fprintln(w, "terms           asked for at the next login")
	}
	line("ends", u.Ends)
	line("expires unused", u.InactiveAfter)
	if p := u.PendingReset; p != nil {
		fmt.Fprintf(w, "reset           asked for by %s on %s; entry user confirm %s carries it out\n", audit.Actor{UID: p.By.UID, Name: p.By.Name}.Person(), plain.Minute(p.Asked), u.Name)
	}
}

// orNone are names in a line.
func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// State is the one word that an operator looks for.
func State(u identity.UserInfo, now time.Time) string {
	switch {
	case u.Disabled:
		return "disabled"
	case !u.Ends.IsZero() && !now.Before(u.Ends):
		return "ended on " + plain.Minute(u.Ends)
	case !u.InactiveAfter.IsZero() && !now.Before(u.InactiveAfter):
		return "expired unused on " + plain.Minute(u.InactiveAfter)
	case u.LockedUntil.After(now):
		return "locked until " + plain.Minute(u.LockedUntil)
	case u.PendingReset != nil:
		return "reset waits for a second operator"
	case u.MustChange && u.TemporaryExpires.IsZero():
		return "has to change the passphrase at the next login"
	case u.TemporaryExpires.IsZero() && u.PassphraseSet.IsZero() && u.Realm == "":
		return "no passphrase: entry user reset gives one"
	case u.TemporaryExpires.IsZero():
		return "active"
	case u.TemporaryExpires.Before(now):
		return "temporary passphrase expired on " + plain.Minute(u.TemporaryExpires)
	}
	return "temporary passphrase until " + plain.Minute(u.TemporaryExpires)
}

// tell says what failed logins came to, and what the user waits for.
func (f Failures) tell(w io.Writer) {
	if f.Failed > 0 {
		fmt.Fprintf(w, "failed logins   %d in 24 hours, the last on %s: %s from %s\n", f.Failed, plain.Minute(f.Last.Time), plain.Line(f.Last.Reason), plain.Line(f.Last.Source))
	}
	for _, l := range f.Locks {
		switch {
		case l.Until.IsZero():
			fmt.Fprintf(w, "source          %s: %s, no lock\n", l.Source, plain.Count(l.Failures, "failed login"))
		case l.Whole:
			fmt.Fprintf(w, "source          %s: locked for everybody until %s; entry user unlock with --source %s opens it\n", l.Source, plain.Minute(l.Until), l.Source)
		default:
			fmt.Fprintf(w, "source          %s: locked for this user until %s, after %s\n", l.Source, plain.Minute(l.Until), plain.Count(l.Failures, "failed login"))
		}
	}
	for _, q := range f.Waiting {
		fmt.Fprintf(w, "waits           for approval on %s by rule %s, %d of %d given; from %s, until %s (entry approve %s)\n",
			q.Target, q.Rule, len(q.By), q.Need, q.Source, plain.Minute(q.Until), q.ID)
	}
}
