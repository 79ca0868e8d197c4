package access

import (
	"fmt"
	"strings"

	"entry/audit/plain"
)

// Approved is who has approved, in words.
func (r ApprovalRequest) Approved() string {
	var names []string
	for _, by := range r.By {
		names = append(names, Approver(by, r.Acting[by]))
	}
	return strings.Join(names, ", ")
}

// Holds is how long an approval of r holds, in words.
func (r ApprovalRequest) Holds() string { return holds(r.For, r.Uses) }

func holds(lasts string, uses int) string {
	switch uses {
	case 0:
		return lasts
	case 1:
		return "one session that begins within " + lasts
	}
	return fmt.Sprintf("%d sessions that begin within %s", uses, lasts)
}

// Approver names somebody who approved, with how they acted.
func Approver(by, acting string) string {
	if acting == "" {
		return by
	}
	return by + " (" + acting + ")"
}

// Line is the request as operators are shown it.
func (r ApprovalRequest) Line() string {
	by := ""
	if len(r.By) > 0 {
		by = " (" + r.Approved() + ")"
	}
	return fmt.Sprintf("%s  %s on %s from %s; approved by %d of %d%s; approvers: %s; waits until %s",
		r.ID, r.User, r.Target, r.Source, len(r.By), r.Need, by, strings.Join(r.Approvers, ", "), r.Until.UTC().Format("15:04 UTC"))
}

// Done says what an approval that was just given comes to.
func (r ApprovalRequest) Done() string {
	return fmt.Sprintf("Approved: %s on %s, %d of %d, for %s.", r.User, r.Target, len(r.By), r.Need, r.Holds())
}

// Line is the approval as operators are shown it.
func (a GivenApproval) Line() string {
	uses := "any number of sessions"
	if a.Uses > 0 {
		uses = fmt.Sprintf("%d of %s used", a.Used, plain.Count(a.Uses, "session"))
	}
	return fmt.Sprintf("%s  %s on %s from %s, by rule %s; approved by %s at %s, until %s; %s",
		a.ID, a.User, a.Target, a.Source, a.Rule, Approver(a.By, a.Acting), plain.Moment(a.At), plain.Moment(a.Until), uses)
}

// Withdrawn says what taking it back has done.
func (a GivenApproval) Withdrawn() string {
	return fmt.Sprintf("Withdrawn: %s's approval of %s on %s. What was opened by it ends, or loses what it gave.", Approver(a.By, a.Acting), a.User, a.Target)
}
