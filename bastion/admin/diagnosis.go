package admin

import (
	"cmp"
	"fmt"
	"io"
	"time"

	"entry/audit/plain"
)

// Tell writes it in words, and tells whether something stands in the user's way.
func (d Diagnosis) Tell(w io.Writer, now time.Time) (sick bool) {
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) } // a pipe that closed early
	problem := func(format string, args ...any) { sick = true; say("problem: "+format, args...) }
	u := d.User
	switch state := State(u, now); {
	case u.Disabled:
		problem("the account is disabled: entry user enable %s", u.Name)
	case !d.Fit:
		problem("the account: %s", state)
	default:
		how := ""
		if d.Good != nil {
			how = fmt.Sprintf(" from %s with %s", d.Good.Source, d.Good.Method)
		}
		say("account: %s, last login %s%s", state, plain.Moment(u.LastLogin), how)
	}
	if len(u.Authenticators) == 0 && !u.CodeBySMS && u.TemporaryExpires.IsZero() {
		problem("no authenticator and no temporary passphrase: entry user reset %s", u.Name)
	}
	if u.TermsWait && !u.LastLogin.IsZero() {
		problem("the terms are new since the last login, and a client that can't ask is refused: %s has to log in once on a terminal", u.Name)
	}
	if u.WrongCodes > 0 {
		problem("%s behind the right passphrase%s; %s", plain.Count(u.WrongCodes, "wrong code"), codesLock(u), somebodyHasIt(u))
	}
	if !d.Drifted.IsZero() {
		problem("the clock of %s's authenticator is wrong: a code on %s was right at another time; set the phone to automatic time", u.Name, plain.Moment(d.Drifted))
	}
	if u.WrongRecovery > 0 {
		problem("%s", beforeRecovery(u))
	}
	if u.WrongUnseen > 0 {
		say("note: %s", unseenCodes(u))
	}
	for _, l := range d.Locks {
		switch {
		case l.Until.IsZero():
		case l.Whole:
			problem("everybody is locked out from %s until %s: entry user unlock %s --source %s", l.Source, plain.Moment(l.Until), u.Name, l.Source)
		default:
			problem("locked from %s until %s: entry user unlock %s", l.Source, plain.Moment(l.Until), u.Name)
		}
	}
	for _, l := range d.Elsewhere {
		if !l.Until.IsZero() {
			say("note: locked from %s, which is elsewhere, until %s", l.Source, plain.Moment(l.Until))
		}
	}
	for _, s := range d.Live {
		say("live: %s since %s, from %s, ID %s", s.Target, plain.Moment(s.Started), s.Source, s.ID)
	}
	if len(d.Trouble) > 0 {
		say("lately:")
	}
	for _, t := range d.Trouble {
		line := fmt.Sprintf("  %s %s: %s", plain.Moment(t.Time), t.Type, t.Reason)
		for _, x := range [][2]string{{" on ", t.Target}, {" from ", t.Source}, {", ref ", t.Ref}, {": ", t.words()}} {
			if x[1] != "" {
				line += x[0] + plain.Line(x[1])
			}
		}
		if t.Times > 1 {
			line += fmt.Sprintf("; %d times since %s", t.Times, plain.Moment(t.Since))
		}
		if t.Addresses > 1 {
			line += fmt.Sprintf(", from %d addresses", t.Addresses)
		}
		say("%s", line)
	}
	if d.More > 0 {
		say("  and %d more: entry audit search --user %s", d.More, u.Name)
	}
	if d.LeftOut != "" {
		say("at the last program: %s; env in a rule lets clients set them", plain.Line(d.LeftOut))
	}
	if d.Gone != "" {
		problem("the directory %s, asked for them now, lets them nowhere: %s", u.Realm, d.Gone)
	}
	if d.Silent {
		problem("the directory %s doesn't answer, so nobody of it can log in by passphrase", u.Realm)
	}
	if d.Ungrouped != "" {
		say("note: what a group opens isn't known here: %s", d.Ungrouped)
	}
	switch {
	case len(d.Places) > 0:
	case d.Ungrouped != "" || d.Gone != "":
		return sick
	case u.Realm != "":
		problem("in no lab, and in no group that a rule opens a target to, so a login leads nowhere%s", d.groups())
		return sick
	default:
		problem("in no lab, so a login leads nowhere: add them to a lab's members in the policy")
		return sick
	}
	say("targets%s:", map[bool]string{true: ", from " + d.From, false: ", from anywhere"}[d.From != ""])
	for _, p := range d.Places {
		switch {
		case p.Denied != "":
			say("  %s: denied: %s", p.Target, p.Denied)
		case p.Wrong != "":
			sick = true
			say("  %s: problem: %s", p.Target, plain.Line(p.Wrong))
		case p.Probed:
			say("  %s: opens by rule %s, as %s; it answers with its host key%s", p.Target, p.Rule, orNone([]string{p.Login}), p.failed())
		default:
			say("  %s: opens by rule %s%s", p.Target, p.Rule, p.failed())
		}
	}
	return sick
}

// mostGroups bounds how many of a user's groups a line names.
const mostGroups = 8

// groups says in which groups the directory has the user.
func (d Diagnosis) groups() string {
	if len(d.Groups) == 0 {
		return ": the directory " + d.User.Realm + " has them in none"
	}
	names := make([]string, 0, len(d.Groups))
	for _, g := range d.Groups {
		names = append(names, plain.Quote(g))
	}
	return ": the directory " + d.User.Realm + " has them in " + plain.List(names, mostGroups)
}

// failed says how the last way to the target failed.
func (p Place) failed() string {
	if p.Failed == nil {
		return ""
	}
	return fmt.Sprintf(", but the last way there failed, on %s: %s", plain.Moment(p.Failed.Time), plain.Line(cmp.Or(p.Failed.words(), p.Failed.Reason)))
}

// meanings are what some reasons come to, where the cause is in the words of a library.
var meanings = map[string]string{
	"certificate-refused": "the machine doesn't take entry's certificate: is the account there, and entry's user CA among its TrustedUserCAKeys?",
	"handshake":           "the machine speaks no SSH that entry can use, or hung up during login",
	"inner-handshake":     "the client broke off at the target's host key or login: has it the line for known_hosts (entry check)?",
}

// words are why, for people.
func (t Trouble) words() string { return cmp.Or(meanings[t.Reason], t.Detail) }
