package admin

import (
	"fmt"
	"strings"

	"entry/audit/plain"
)

// Stood tells whether the order is carried out, or was: else it waits for a second operator.
func (e Erasure) Stood() bool { return !e.Stands.IsZero() }

// State is it in words.
func (e Erasure) State() string {
	switch {
	case e.Unheard:
		return "may have been withdrawn, in records of the audit log that aren't here: put their segments back, or --confirm has it carried out"
	case e.Elsewhere:
		return "ordered at another server: --confirm has it carried out here"
	case e.Stood():
		return "stands"
	}
	return "waits for a second operator"
}

// ofWhat is what it erases, behind "of".
func (e Erasure) ofWhat() string { return strings.TrimPrefix(e.What(), "all of ") }

// Would says what the order would remove here now and what it would leave, a sentence a line:
// what an operator reads before it is given.
func (e Erasure) Would() []string {
	lines := []string{"Nothing to remove now of " + e.ofWhat() + "."}
	if e.Erasable.Recordings > 0 {
		lines[0] = fmt.Sprintf("To be removed for good, of %s: %s, from %s to %s; without a copy of its key file nobody opens one again.",
			e.ofWhat(), plain.Count(e.Erasable.Recordings, "recording"), plain.Time(e.Erasable.First), plain.Time(e.Erasable.Last))
	}
	for _, stays := range e.Erasable.Stays() {
		lines = append(lines, "Stays for now: "+stays)
	}
	return lines
}

// Text says what became of the order by what was just asked for.
func (e Erasure) Text() string {
	if !e.Stood() {
		return fmt.Sprintf("nothing is erased yet: erasure %s of %s waits for a second operator until %s", e.ID, e.What(), plain.Moment(e.Until))
	}
	s := fmt.Sprintf("Erased: %s of %s, by order %s.", plain.Count(e.Removed, "recording"), e.ofWhat(), e.ID)
	if e.Erasable.Left() > 0 {
		s += fmt.Sprintf("\nLeft: %s. The order stands until %s.", strings.Join(e.Erasable.Stays(), "; "), plain.Moment(e.Until))
	}
	return s
}
