package catalog

import (
	"fmt"
	"slices"
	"strings"

	"entry/audit/evidence"
	"entry/audit/plain"
	"entry/session/recording"
)

// Last stands for the newest recorded session.
const Last = "last"

// NameError says that a name means no session, or several.
type NameError struct {
	Name string
	Fits []string // IDs that start so; none, or at least two
}

func (e *NameError) Error() string {
	if e.NotFound() {
		return fmt.Sprintf("no recorded session %q", e.Name)
	}
	return fmt.Sprintf("%q is the start of %d session IDs", e.Name, len(e.Fits))
}

// Hint is what to do about it.
func (e *NameError) Hint() string {
	if e.NotFound() {
		return "entry sessions ls lists them"
	}
	return fmt.Sprintf("the first two are %s and %s", e.Fits[0], e.Fits[1])
}

// Misused is that the name is wrong.
func (e *NameError) Misused() bool { return !e.NotFound() }

// NotFound is that there is no such session.
func (e *NameError) NotFound() bool { return len(e.Fits) == 0 }

// GoneError says that a session's recording was removed, or, with a zero Removal, that it
// isn't here.
type GoneError struct {
	ID string
	evidence.Removal
}

func (e *GoneError) Error() string {
	if e.At.IsZero() {
		return fmt.Sprintf("the recording of session %s isn't here: it was taken away, or is elsewhere", e.ID)
	}
	return fmt.Sprintf("the recording of session %s was removed at %s, %s", e.ID, plain.Moment(e.At), removedBy(e.Removal))
}

// removedBy says why a recording was removed.
func removedBy(r evidence.Removal) string {
	switch o := r.Order; {
	case !r.Erased:
		return "after its lab's retention"
	case o == nil || o.ID == "":
		return "by an order to erase it"
	case o.At.IsZero(): // its records aren't here
		return "by order " + plain.Word(o.ID) + " to erase it: " + plain.Said(o.Reason)
	default:
		return fmt.Sprintf("by order %s to erase it, of %s: %s", plain.Word(o.ID), plain.Line(o.By.String()), plain.Said(o.Reason))
	}
}

// Hint is what to do about it.
func (e *GoneError) Hint() string {
	return "entry audit search --session " + e.ID + " shows what the audit log keeps of it; entry audit proof " + e.ID + " makes a bundle of that"
}

// Misused is false: it was a session's name.
func (e *GoneError) Misused() bool { return false }

// NotFound is true.
func (e *GoneError) NotFound() bool { return true }

// Gone is what became of the session that a person means by the start of an ID, where Find
// has none: a *GoneError if its recording, and no other's, was removed or is missing; else
// err.
func Gone(notes evidence.Notes, name string, err error) error {
	var ids []string
	for _, i := range notes.NotHere(nil) {
		ids = append(ids, i.ID)
	}
	id, none := ID(ids, name)
	if none != nil {
		return err
	}
	return &GoneError{id, notes.Gone()[id]}
}

// Find is the one of list, the newest last, that a person means: by an ID, the start of
// one, or Last. The error is a *NameError.
func Find(list []recording.Info, name string) (recording.Info, error) {
	if name == Last && len(list) > 0 {
		return list[len(list)-1], nil
	}
	var ids []string
	for _, i := range list {
		ids = append(ids, i.ID)
	}
	id, err := ID(ids, name)
	if err != nil {
		return recording.Info{}, err
	}
	return list[slices.Index(ids, id)], nil
}

// ID is the one of ids that a person means by the start of it. The error is a *NameError.
func ID(ids []string, name string) (string, error) {
	var fits []string
	for _, id := range ids {
		if name != "" && strings.HasPrefix(id, strings.ToUpper(name)) {
			fits = append(fits, id)
		}
	}
	if len(fits) == 1 {
		return fits[0], nil
	}
	slices.Sort(fits)
	return "", &NameError{name, fits}
}
