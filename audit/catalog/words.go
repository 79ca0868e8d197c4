package catalog

import (
	"cmp"
	"fmt"
	"iter"
	"strings"

	"entry/audit"
	"entry/audit/evidence"
	"entry/audit/plain"
	"entry/session/recording"
	"entry/session/recording/auditors"
)

// maxRefused is how many refusals of a session a sheet tells.
const maxRefused = 5

// Refused say what was refused in a session, and why: of refusals the first some, and how
// many more there are, which search shows. Errors among them are left out: who reads the
// log for itself says so.
func Refused(refusals iter.Seq2[audit.Event, error], search string) (lines []string) {
	more := 0
	for e, err := range refusals {
		switch {
		case err != nil:
		case len(lines) == maxRefused:
			more++
		default:
			lines = append(lines, refusalOf(e))
		}
	}
	if more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more: %s", more, search))
	}
	return lines
}

// refusalOf says what was refused, and why.
func refusalOf(e audit.Event) string {
	what := cmp.Or(e.Capability, plain.Word(e.ChannelType))
	if e.Channel != nil {
		what = cmp.Or(e.Capability, "a request") + fmt.Sprintf(" on channel %d", *e.Channel)
	}
	if e.Destination != "" {
		what += " to " + plain.Word(e.Destination)
	}
	text := plain.Time(e.Time) + " " + what + ": " + cmp.Or(e.Detail, e.Reason)
	if e.Count > 1 {
		text += fmt.Sprintf(" (%d times)", e.Count)
	}
	return text
}

// heldBy says which holds keep a recording; "" if none does.
func heldBy(holds []evidence.Hold) string {
	var all []string
	for _, h := range holds {
		all = append(all, fmt.Sprintf("by hold %s on %s since %s, by %s: %s", h.ID, plain.Word(h.What()), plain.Time(h.At), plain.Line(h.By.String()), plain.Said(h.Reason)))
	}
	return strings.Join(all, "; ")
}

// killOf says who ended a session, and why; "" if no operator did.
func killOf(k *evidence.Kill) string {
	if k == nil {
		return ""
	}
	return plain.Time(k.At) + " by " + plain.Line(k.By.String()) + ": " + plain.Said(k.Reason)
}

// EndedBy says who ended a session, and why, in words to be added to its end; "" if
// no operator did.
func EndedBy(notes evidence.Notes, id string) string {
	k := notes.Killed(id)
	if k == nil {
		return ""
	}
	return ": " + plain.Line(k.By.String()) + " ended it, " + plain.Said(k.Reason)
}

// reviewOf says who has reviewed a session last; "" if nobody has.
func reviewOf(n Line) string {
	if n.Review == nil {
		return ""
	}
	text := plain.Time(n.Review.At) + " by " + plain.Line(n.Review.By.String())
	if n.Review.Note != "" {
		text += ": " + plain.Said(n.Review.Note)
	}
	if n.Reviews > 1 {
		text += fmt.Sprintf(" (the newest of %d reviews)", n.Reviews)
	}
	return text
}

// Ending says how a session ended, or that it goes on, in words that may be about one whose
// end the log doesn't have yet.
func Ending(i recording.Info, notes evidence.Notes) string {
	if i.State == recording.Live {
		return "session " + i.ID + " goes on"
	}
	state, by := i.State, EndedBy(notes, i.ID)
	if by != "" && state == recording.Complete {
		state = evidence.Killed // the order is in the log before the end
	}
	return fmt.Sprintf("session %s ended at %s (%s)%s", i.ID, plain.Time(i.End), state, by)
}

// Readers says who can open a recording, as far as that is known; "" where it wasn't held
// against the log. known are keys whose fingerprints a person may know.
func Readers(v evidence.Verdict, known []auditors.Auditor) string {
	names := map[string]string{}
	for _, a := range known {
		names[a.Fingerprint()] = a.Short()
	}
	var all []string
	for _, f := range v.Sealed.Auditors {
		all = append(all, cmp.Or(names[f], "the key with the fingerprint "+f))
	}
	text := plain.List(all, 10)
	switch {
	case v.Against != evidence.KnowingLog:
		return ""
	case text == "" && v.Sealed.Rewraps+len(v.Sealed.Unheld) == 0:
		return "" // a recording of an older version doesn't say
	case text == "":
		text = "keys that aren't known"
	}
	if v.Sealed.Rewraps > 0 {
		text += "; sealed anew " + plain.Count(v.Sealed.Rewraps, "time") + ", last at " + plain.Time(v.Sealed.Last)
	}
	if v.Sealed.Unproven > 0 {
		text += ", which nothing shows to be by who could open it"
	}
	if len(v.Sealed.Unheld) > 0 {
		text += "; it may have been sealed anew since: " + strings.Join(v.Sealed.Unheld, "; ")
	}
	if v.Sealed.Pending() {
		text += "; that was cut off, so it may be open to those of before: entry sessions rewrap --take FILE goes on"
	}
	return text
}
