package access

import (
	"slices"

	"entry/audit"
	"entry/audit/refusal"
)

// Rescues tells whether user may begin something though only a reserve is left.
func (g *Gate) Rescues(user string) bool { return slices.Contains(g.o.Rescue, user) }

// hasRoom tells whether the log has room for something new of user.
func (g *Gate) hasRoom(user string) bool {
	s := g.o.Space()
	return s == audit.Ample || s < audit.Spent && g.Rescues(user)
}

// unfit says why the log isn't fit for something new of user; "" where it is.
func (g *Gate) unfit(user string) (code refusal.Code, text string) {
	switch {
	case !g.hasRoom(user):
		return "log-full", "the audit log is almost full, so nothing new can be started; tell your lab's administrator"
	case g.o.Unwitnessed() && !g.Rescues(user):
		return "log-unwitnessed", "the witnesses of the audit log can't be reached, so nothing new can be started; tell your lab's administrator"
	}
	return "", ""
}

// MakeRoom ends what the log has no room for any more: sessions but those of
// rescuers where it is scarce, every connection where it is spent. It returns how
// many sessions and connections to targets it ended.
func (g *Gate) MakeRoom() (ended int) {
	s := g.o.Space()
	if s < audit.Scarce {
		return 0
	}
	why := &refusal.Error{Code: "log-full", Text: "the audit log is almost full, so all sessions end; tell your lab's administrator"}
	for _, h := range g.registry.all() {
		if s == audit.Spent || !g.Rescues(h.login.who.User()) {
			h.End(why)
			ended++
		}
	}
	if s == audit.Spent {
		for _, p := range g.registry.present(func(*Login) bool { return true }) {
			if p.hangUp != nil && len(p.holds) == 0 { // the others end with what they hold
				g.own.Go("end of a connection", p.hangUp)
			}
		}
	}
	return ended
}
