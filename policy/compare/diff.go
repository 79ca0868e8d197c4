package compare

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"entry/audit/plain"
	"entry/policy"
	"entry/policy/strict"
)

// Aspect is what a [Change] is about.
type Aspect uint8

// The aspects, in the order in which changes are listed.
const (
	Gains      Aspect = iota + 1 // a capability that wasn't there at all
	Loses                        // a capability that is gone altogether
	Widens                       // a capability under fewer conditions
	Narrows                      // a capability under more conditions
	Shifts                       // a capability under other conditions
	Lists                        // the commands, destinations or ports of a capability
	Recording                    // what is recorded
	Limiting                     // limits of sessions and bytes
	Setting                      // the environment variables that clients may set
	LoggingIn                    // the accounts on the target
	Reaching                     // where the target is and what vouches for it
	LabKeeping                   // a lab's egress or retention
)

var aspectNames = [...]string{"", "gains", "loses", "widens", "narrows", "shifts", "lists", "recording", "limits", "env", "logins", "target", "lab"}

// String is one word, stable for scripts.
func (a Aspect) String() string {
	if int(a) >= len(aspectNames) {
		return ""
	}
	return aspectNames[a]
}

// MarshalText is String.
func (a Aspect) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// Change is one difference between two policies for some people on some
// targets: every pair of them.
type Change struct {
	Aspect Aspect `json:"aspect"`
	// Users are sorted; "realm uni" stands for whom no file names. They are empty
	// where nobody in particular is meant.
	Users []string `json:"users,omitempty"`
	// Targets are full names, sorted; the lab's name for LabKeeping.
	Targets    []string          `json:"targets"`
	Capability policy.Capability `json:"capability,omitzero"` // zero where the change is about none
	// Old and New are in words: under which conditions, what is listed; "" for
	// nothing.
	Old string `json:"old,omitempty"`
	New string `json:"new,omitempty"`
	// Unenforced says that upload or download is taken away from somebody who has a
	// shell left, or exec of any command, and so moves data all the same.
	Unenforced bool `json:"unenforced,omitempty"`
}

// A line for a person names no more users and targets than these.
const (
	maxUsersShown   = 3
	maxTargetsShown = 5
)

// String is one line for a person.
func (c Change) String() string {
	if c.Unenforced {
		return c.words() + "; not enforced where a shell or exec is left, which moves data too"
	}
	return c.words()
}

func (c Change) words() string {
	targets, users := plain.List(c.Targets, maxTargetsShown), people(c.Users)
	verb := func(one, many string) string {
		if len(c.Users) == 1 {
			return one
		}
		return many
	}
	switch c.Aspect {
	case Gains:
		return fmt.Sprintf("%s %s %s on %s%s", users, verb("gains", "gain"), c.Capability, targets, unless(c.New))
	case Loses:
		return fmt.Sprintf("%s %s %s on %s%s", users, verb("loses", "lose"), c.Capability, targets, unless(c.Old))
	case Widens, Narrows, Shifts:
		return fmt.Sprintf("%s: %s on %s %s: %s, was %s", users, c.Capability, targets, c.Aspect, c.New, c.Old)
	case Lists:
		return fmt.Sprintf("%s: %s on %s reaches %s, was %s", users, c.Capability, targets, c.New, c.Old)
	case Reaching:
		return fmt.Sprintf("%s: %s, was %s", targets, orNothing(c.New), orNothing(c.Old))
	case LabKeeping:
		return fmt.Sprintf("lab %s: %s, was %s", targets, orNothing(c.New), orNothing(c.Old))
	}
	return fmt.Sprintf("%s: %s on %s: %s, was %s", users, c.Aspect, targets, orNothing(c.New), orNothing(c.Old))
}

func people(users []string) string {
	if len(users) == 0 {
		return "everybody else"
	}
	if len(users) == maxUsersShown+1 {
		return plain.List(users, len(users)) // the last one is as short as "and 1 more"
	}
	return plain.List(users, maxUsersShown)
}

func unless(conditions string) string {
	if conditions == always {
		return ""
	}
	return " (" + conditions + ")"
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

// Diff lists what is different under b, for every user and target of either.
// Conditions are compared as they are written, not by when they happen to be
// met: two policies without a difference decide alike on every request, but
// for the names, places and reasons of rules (an approval that was given is
// bound to its rule's name). Of two spellings of the same
// conditions in one rule and in several, a difference may be listed that isn't
// one. A user in several groups of a realm is looked at in each by itself.
func Diff(a, b *policy.Policy) []Change {
	d := &differ{a: a, b: b, found: map[string]*Change{}}
	d.targets()
	d.access()
	out := d.grouped()
	slices.SortFunc(out, func(x, y Change) int {
		return cmp.Or(slices.Compare(x.Targets, y.Targets), slices.Compare(x.Users, y.Users), cmp.Compare(x.Aspect, y.Aspect),
			cmp.Compare(x.Capability, y.Capability), cmp.Compare(x.Old, y.Old), cmp.Compare(x.New, y.New))
	})
	return out
}

type differ struct {
	a, b    *policy.Policy
	classes [][]string     // targets of which the same rules speak
	class   map[string]int // by full name
	order   []string
	found   map[string]*Change // by everything but the targets
}

// add notes a change of users on targets; those that differ only in their
// targets become one.
func (d *differ) add(c Change) {
	key := fmt.Sprintf("%d\x00%d\x00%s\x00%s\x00%s", c.Aspect, c.Capability, c.Old, c.New, strings.Join(c.Users, "\x00"))
	if known := d.found[key]; known != nil {
		known.Targets = append(known.Targets, c.Targets...)
		known.Unenforced = known.Unenforced || c.Unenforced
		return
	}
	d.order = append(d.order, key)
	d.found[key] = &c
}

// grouped joins the changes that differ only in their users.
func (d *differ) grouped() []Change {
	at := map[string]int{}
	var out []Change
	for _, key := range d.order {
		c := *d.found[key]
		slices.Sort(c.Targets)
		c.Targets = slices.Compact(c.Targets)
		same := fmt.Sprintf("%d\x00%d\x00%s\x00%s\x00%v\x00%s", c.Aspect, c.Capability, c.Old, c.New, len(c.Users) > 0, strings.Join(c.Targets, "\x00"))
		if i, known := at[same]; known {
			out[i].Users = append(out[i].Users, c.Users...)
			out[i].Unenforced = out[i].Unenforced || c.Unenforced
			continue
		}
		at[same] = len(out)
		c.Users = slices.Clone(c.Users)
		out = append(out, c)
	}
	for i := range out {
		slices.Sort(out[i].Users)
		out[i].Users = slices.Compact(out[i].Users)
	}
	return out
}

// targets compares what isn't about access: labs, and targets of both.
func (d *differ) targets() {
	labs := map[string][2]string{}
	for i, p := range []*policy.Policy{d.a, d.b} {
		for _, l := range p.Labs() {
			pair := labs[l.Name]
			pair[i] = labWords(l)
			labs[l.Name] = pair
		}
	}
	for _, name := range slices.Sorted(maps.Keys(labs)) {
		if pair := labs[name]; pair[0] != pair[1] {
			d.add(Change{Aspect: LabKeeping, Targets: []string{name}, Old: pair[0], New: pair[1]})
		}
	}
	for _, t := range d.a.Targets() {
		now, ok := d.b.Target(t.FullName())
		if !ok {
			d.add(Change{Aspect: Reaching, Targets: []string{t.FullName()}, Old: targetWords(t)})
			continue
		}
		if was, is := targetWords(t), targetWords(now); was != is {
			d.add(Change{Aspect: Reaching, Targets: []string{t.FullName()}, Old: was, New: is})
		}
		d.logins(t, now)
	}
	for _, t := range d.b.Targets() {
		if _, ok := d.a.Target(t.FullName()); !ok {
			d.add(Change{Aspect: Reaching, Targets: []string{t.FullName()}, New: targetWords(t)})
		}
	}
}

func (d *differ) logins(old, now *policy.Target) {
	if old.DefaultLogin != now.DefaultLogin {
		d.add(Change{Aspect: LoggingIn, Targets: []string{old.FullName()}, Old: old.DefaultLogin, New: now.DefaultLogin})
	}
	users := map[string]bool{}
	for user := range old.Logins {
		users[user] = true
	}
	for user := range now.Logins {
		users[user] = true
	}
	for _, user := range slices.Sorted(maps.Keys(users)) {
		if was, is := strings.Join(old.Logins[user], ", "), strings.Join(now.Logins[user], ", "); was != is {
			d.add(Change{Aspect: LoggingIn, Users: []string{user}, Targets: []string{old.FullName()}, Old: was, New: is})
		}
	}
}

// labWords are what a lab keeps, "" for one that keeps nothing of its own, which
// is also what one that isn't there keeps.
func labWords(l policy.Lab) string {
	var out []string
	if l.Egress != 0 {
		out = append(out, "egress of "+strict.FormatSize(l.Egress)+" a user and day")
	}
	if l.Retention != 0 {
		out = append(out, "retention of "+strict.FormatDuration(l.Retention))
	}
	return strings.Join(out, ", ")
}

// targetWords are where t is and what vouches for it.
func targetWords(t *policy.Target) string {
	out := []string{t.Kind.String() + " at " + strings.Join(t.Addresses, ", ")}
	if len(t.Ports) > 0 {
		out = append(out, "ports "+strings.Trim(fmt.Sprint(t.Ports), "[]"))
	}
	if t.Kind == policy.SSH {
		if len(t.HostKeys) > 0 {
			out = append(out, "host keys "+strings.Join(t.HostKeys, ", "))
		}
		if len(t.HostCAs) > 0 {
			out = append(out, "host_ca "+strings.Join(t.HostCAs, ", "))
		}
		out = append(out, t.Auth.String())
	}
	return strings.Join(out, "; ")
}
