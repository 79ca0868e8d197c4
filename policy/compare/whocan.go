package compare

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"entry/audit/plain"
	"entry/policy"
)

// Holder is somebody who has a capability on a target. User is "" for everyone
// of a realm, or of one of its groups, whom the files don't name otherwise.
// Realm and Group are "" where they make no difference.
type Holder struct {
	policy.Who
	Rule     policy.RuleRef `json:"rule"`
	Until    time.Time      `json:"until,omitzero"`     // in UTC; see [policy.Grant.UntilFor]
	Approval *policy.Quorum `json:"approval,omitempty"` // not nil where it takes an approval first
}

// String is one line: "alice of realm uni by home (tinker.yaml:8) until …".
func (h Holder) String() string {
	who := h.User
	if h.Realm != "" {
		place := "realm " + h.Realm
		if h.Group != "" {
			place += "/" + plain.Word(h.Group)
		}
		if who == "" {
			who = "everyone of " + place
		} else {
			who += " of " + place
		}
	}
	s := fmt.Sprintf("%s by %s", who, h.Rule)
	if h.Approval != nil {
		s += fmt.Sprintf(" with the approval of %s", h.Approval)
	}
	if !h.Until.IsZero() {
		s += " until " + plain.Moment(h.Until)
	}
	return s
}

// noRealm stands for a realm that no rule speaks of; no configuration can have
// one of that name.
const noRealm = "-"

// stranger is a user whom no file names.
func stranger(users []string) string {
	for i := 0; ; i++ {
		name := fmt.Sprintf("stranger-%d", i)
		if _, found := slices.BinarySearch(users, name); !found {
			return name
		}
	}
}

// WhoCan are those who would have c on t at the time and from the source given,
// logged in however a rule may want it; sorted. The zero time and source meet
// no condition. Somebody whom several groups of a realm together give c, and
// none by itself, isn't found.
func WhoCan(p *policy.Policy, t *policy.Target, c policy.Capability, at time.Time, from netip.Addr) []Holder {
	var out []Holder
	ask := func(user string, place policy.Who) (Holder, bool) {
		r := policy.Request{User: user, Realm: place.Realm, Groups: policy.GroupsNamed(), Target: t, Source: from, Time: at}
		if place.Group != "" {
			r.Groups = policy.GroupsNamed(place.Group)
		}
		v := p.Would(r, c)
		h := Holder{Who: policy.Who{User: user}, Rule: v.Rule, Until: v.Until.UTC(), Approval: v.Approval}
		if v.Approval != nil {
			h.Rule = v.Approval.Rule
		}
		return h, v.Allowed || v.Approval != nil
	}
	users, places := p.Users(), p.Standings()
	unnamed := stranger(users)
	for _, user := range users {
		alone, ok := ask(user, policy.Who{Realm: noRealm})
		if ok {
			out = append(out, alone)
		}
		for _, place := range places {
			h, has := ask(user, place)
			if _, all := ask(unnamed, place); has && !ok && !all {
				h.Realm, h.Group = place.Realm, place.Group
				out = append(out, h)
			}
		}
	}
	for _, place := range places {
		if h, ok := ask(unnamed, place); ok {
			h.Who = place
			out = append(out, h)
		}
	}
	return out
}
