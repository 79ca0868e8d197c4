package catalog

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"entry/audit"
	"entry/audit/evidence"
	"entry/policy/strict"
	"entry/session/recording"
)

// Filter is which sessions are wanted. The zero Filter wants all.
type Filter struct {
	About
	State        recording.State
	Coverage     recording.Coverage
	Since, Until time.Time // it started then
	At, AtEnd    time.Time // it ran at a moment between them, or at At where they are one
	Source       netip.Prefix
	Reviewed     *bool // nil for any
}

// Wants tells whether a session is such a one.
func (f Filter) Wants(i recording.Info, notes evidence.Notes) bool {
	state, n := notes.Of(i)
	return f.Fits(i.User, i.Lab, i.Target) &&
		(f.State == "" || state == f.State) &&
		(f.Coverage == "" || n.Coverage == f.Coverage) &&
		(f.Reviewed == nil || *f.Reviewed == (n.Review != nil)) &&
		!i.Start.Before(f.Since) && (f.Until.IsZero() || i.Start.Before(f.Until)) &&
		(f.At.IsZero() || f.ran(i, n)) &&
		(!f.Source.IsValid() || audit.From(i.Source, f.Source))
}

// ran reports whether a session ran at a moment of what At names, or may have: of one that
// a crash cut the recording has when it last showed something, and it ran on until the
// crash, which came before the start that found it.
func (f Filter) ran(i recording.Info, n evidence.Note) bool {
	end := i.End
	if i.State == recording.StateAborted || i.State == recording.Damaged {
		if end = n.Cut; !n.Ended.IsZero() {
			end = n.Ended
		}
	}
	return (i.Start.Before(f.AtEnd) || i.Start.Equal(f.At)) && (end.IsZero() || !end.Before(f.At))
}

// About is of whom and where sessions are wanted; "" is any.
type About struct{ User, Target, Lab string }

// Fits tells whether a session is such a one.
func (a About) Fits(user, lab, target string) bool {
	return (a.User == "" || user == a.User) && (a.Lab == "" || lab == a.Lab) && (a.Target == "" || audit.OnTarget(target, a.Target))
}

// Check refuses a name that nobody and nothing has or ever had: a search for it would find
// nothing, whatever happened. It looks in list, and where that has not all of them asks for
// the names that there are otherwise; an error there lets every name pass, since who was
// removed stands in the log. The error is an *Unknown.
func (a About) Check(list []recording.Info, others func() (evidence.Names, error)) error {
	found := func(is func(i recording.Info) bool) bool { return slices.ContainsFunc(list, is) }
	if (a.User == "" || found(func(i recording.Info) bool { return i.User == a.User })) &&
		(a.Lab == "" || found(func(i recording.Info) bool { return i.Lab == a.Lab })) &&
		(a.Target == "" || found(func(i recording.Info) bool { return audit.OnTarget(i.Target, a.Target) })) {
		return nil
	}
	names, err := others()
	if err != nil {
		return nil // what is wrong with the log is told by who reads it for more
	}
	for _, i := range list {
		names.Users[i.User], names.Labs[i.Lab], names.Targets[i.Target] = true, true, true
	}
	targets := maps.Clone(names.Targets) // by both of their names
	for full := range names.Targets {
		short, _, _ := strings.Cut(full, ".")
		targets[short] = true
	}
	for _, n := range []struct {
		kind, name string
		known      map[string]bool
	}{{"user", a.User, names.Users}, {"lab", a.Lab, names.Labs}, {"target", a.Target, targets}} {
		if n.name != "" && !n.known[n.name] {
			return &Unknown{n.kind, n.name, strict.DidYouMean(n.name, slices.Sorted(maps.Keys(n.known)))}
		}
	}
	return nil
}

// Unknown is a name that nobody and nothing has or ever had.
type Unknown struct {
	Kind, Name string // "user", "lab" or "target"
	near       string // says what may be meant; "" for nothing
}

func (u *Unknown) Error() string {
	return fmt.Sprintf("--%s %q: recordings, audit log and policy have no such %s%s", u.Kind, u.Name, u.Kind, u.near)
}

// Hint is what to do about it.
func (u *Unknown) Hint() string {
	if u.Kind == "lab" {
		return "names are in small letters, as in the policy; entry sessions show has a session's lab"
	}
	return "names are in small letters, as entry sessions ls shows them"
}

// Misused is false: it may be right elsewhere.
func (u *Unknown) Misused() bool { return false }

// NotFound is true.
func (u *Unknown) NotFound() bool { return true }
