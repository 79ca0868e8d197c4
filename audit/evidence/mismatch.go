package evidence

import (
	"fmt"
	"time"

	"entry/audit/segment"
	"entry/session/recording"
)

// Kind says in what way a recording and the log contradict each other.
type Kind string

// The kinds of mismatch.
const (
	// The recording's own faults.
	Broken      = Kind(recording.Broken)
	Cut         = Kind(recording.Cut)
	Swapped     = Kind(recording.Swapped)
	OtherHeader = Kind(recording.OtherHeader)
	OtherHead   = Kind(recording.OtherHead)

	// Unended is one whose session ran when its server ended, and of which no server
	// that started since has said how a crash left it. Nothing that the log knows of it
	// is missing.
	Unended Kind = "unended"
	// Unknown is a recording that the log never saw start.
	Unknown Kind = "unknown"
	// Missing is one that the log knows and that isn't there.
	Missing Kind = "missing"
	// MissingKey is one whose sealed key isn't there: nobody can open it any more.
	MissingKey Kind = "missing-key"
	// OtherKey is one whose key file isn't the one that was written.
	OtherKey Kind = "other-key"
	// BadRewrap is an event that says that a key was sealed anew by somebody who couldn't
	// open it, or from another one.
	BadRewrap Kind = "bad-rewrap"
	// OtherTick is a list of changes that isn't the one of the tick, or is gone.
	OtherTick Kind = "other-tick"
	// StillThere is a recording, with its key, that the log says was removed.
	StillThere Kind = "still-there"
	// RemovedUnknown is a removal in the log of what it never saw start.
	RemovedUnknown Kind = "removed-unknown"
	// RemovedOther is a removal in the log of something that didn't end as the
	// recording did.
	RemovedOther Kind = "removed-other"
	// RemovedEarly is a removal in the log of what had to be kept still.
	RemovedEarly Kind = "removed-early"
	// RemovedHeld is a removal in the log of what a hold kept then.
	RemovedHeld Kind = "removed-held"
	// DroppedHeld is that the log dropped its first records while a hold stood.
	DroppedHeld Kind = "dropped-held"
	// CarriedOther is a segment that begins with other holds than the events before it leave.
	CarriedOther Kind = "carried-other"
	// RemovedUnordered is an erasure in the log that no order there asked for.
	RemovedUnordered Kind = "removed-unordered"
)

// Mismatch is one contradiction between the log and the recordings. Where the
// recording's chain is what is wrong, it wraps a *recording.BadSegment.
type Mismatch struct {
	Kind Kind
	ID   string // of the recording; "" for a tick, and where the log dropped records
	Seq  uint64 // of the event of those; 0 for a recording
	err  error
	// since is from when on records that aren't here could say why it is so; zero for the
	// last event about the recording.
	since time.Time
	// Perhaps are the log's records that aren't here, came after what it says of the
	// recording, and could say why it is so: what Verify can be told to accept.
	Perhaps []segment.Absent
	// mendable is that sealing the recording anew ends it.
	mendable bool
}

// Mendable tells that sealing the recording anew, from the key that it has, ends it.
func (m *Mismatch) Mendable() bool { return m.mendable }

func (m *Mismatch) Error() string {
	if m.Seq != 0 {
		return fmt.Sprintf("event %d: %v", m.Seq, m.err)
	}
	return m.err.Error()
}

func (m *Mismatch) Unwrap() error { return m.err }

// mismatch is one whose text starts with the recording.
func mismatch(kind Kind, id, text string) *Mismatch {
	return &Mismatch{Kind: kind, ID: id, err: fmt.Errorf("recording %s: %s", id, text)}
}
