package audit

// Space is how much room is left for a log, and for its witness, on their disks.
// The log itself only says so, by events and SpaceChanged: who depends on it acts.
type Space uint8

const (
	// Ample is more than the reserve.
	Ample Space = iota
	// Reserved is less than the reserve: nothing is to begin that the rest isn't
	// meant for.
	Reserved
	// Scarce is less than half of it: what runs is to end.
	Scarce
	// Spent is less than an eighth of it: only operators may go on.
	Spent
)

// String is the space as events have it for their reason.
func (s Space) String() string {
	switch s {
	case Ample:
		return "ample"
	case Reserved:
		return "reserved"
	case Scarce:
		return "scarce"
	}
	return "spent"
}

// means says in an event what the space means for people.
func (s Space) means() string {
	switch s {
	case Ample:
		return "there is enough room for the audit log again"
	case Reserved:
		return "the disk of the audit log is down to its reserve: no new sessions start"
	case Scarce:
		return "half of the audit log's reserve is used: all sessions end"
	}
	return "the audit log's reserve is used up: nobody gets in; operators only, on this machine"
}

// spaceOf is what free bytes mean where reserve is to stay free. What was short
// counts as better only with an eighth of the reserve to spare, so that what is
// written and removed at an edge doesn't become a flood of events.
func spaceOf(free, reserve int64, before Space) Space {
	edges := [...]int64{Ample: reserve, Reserved: reserve / 2, Scarce: reserve / 8}
	now := Ample
	for now < Spent && free < edges[now] {
		now++
	}
	for now < before && free < edges[now]+reserve/8 {
		now++
	}
	return now
}
