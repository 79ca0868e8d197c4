package policy

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"entry/audit/plain"
	"entry/audit/refusal"
)

// may says what a capability is to its user; %s is the target.
var may = [...]string{
	Shell: "open a shell on %s", Exec: "run commands on %s", Upload: "upload files to %s", Download: "download files from %s",
	ForwardLocal: "reach ports of %s (ssh -L, -D)", ForwardRemote: "open ports on %s (ssh -R)",
	Agent: "use your ssh agent on %s (ssh -A)", X11: "use X11 on %s (ssh -X, -Y)",
}

const askSomeone = "; ask " + refusal.Someone

// Told is what the user reads: what isn't open, what opens it or when, and whom to ask. It
// names no rule and no file: those are the operators'.
func (d *Denied) Told() string {
	if d.Target == "" {
		return "this isn't open to you" + askSomeone
	}
	s := d.Target + " isn't open to you"
	if d.Capability != 0 && int(d.Capability) < len(may) {
		s = "you may not " + d.wanted()
	}
	switch {
	case d.Approval != nil && d.Capability == 0:
		return fmt.Sprintf("%s needs the approval of %s", d.Target, d.Approval)
	case d.Approval != nil:
		return fmt.Sprintf("%s without the approval of %s", s, d.Approval)
	case d.ByDeny && d.Because != "":
		return s + ": " + d.Because
	}
	switch d.nearBy {
	case ClauseWhen, ClauseValid:
		switch until := d.near.valid.until; {
		case !d.opens.IsZero():
			return fmt.Sprintf("%s isn't open to you now; it opens on %s", d.Target, momentTold(d.opens))
		case !until.IsZero():
			return fmt.Sprintf("%s isn't open to you any more%s", d.Target, askSomeone)
		}
	case ClauseFrom: // which one isn't told: whoever asks may be a thief
		return s + " from where you are, only from certain networks" + askSomeone
	case ClauseApproval:
		return fmt.Sprintf("%s isn't open to you: it needs an approval, which %s%s", d.Target, d.near.approval.lacks(d.User, "you"), askSomeone)
	case ClauseMFA:
		return fmt.Sprintf("%s needs a new login (%s): end your connection to entry, a shared one too, and connect again", d.Target, d.near.mfa.words())
	}
	return s + askSomeone
}

// Logged is the text of why for the log, which has Error in the place of what users read.
func Logged(why *refusal.Error) string {
	var d *Denied
	if !errors.As(why.Cause, &d) {
		return why.Text
	}
	return strings.Replace(why.Text, d.Told(), d.Error(), 1)
}

// wanted is what was asked for, as a phrase.
func (d *Denied) wanted() string {
	switch {
	case d.what != "" && d.Capability == ForwardLocal:
		return fmt.Sprintf("reach %s through %s", d.what, d.Target)
	case d.unlisted && d.Capability == Exec:
		return "run that command on " + d.Target
	}
	return fmt.Sprintf(may[d.Capability], d.Target)
}

// momentTold rounds up to the minute: who comes then finds it open.
func momentTold(t time.Time) string {
	return plain.Moment(t.Add(time.Minute - time.Nanosecond).Truncate(time.Minute))
}
