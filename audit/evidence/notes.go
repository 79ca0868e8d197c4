package evidence

import (
	"encoding/hex"
	"iter"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"entry/audit"
	"entry/audit/segment"
	"entry/session/recording"
)

// Killed is the state of a session that an operator ended. Its recording is complete:
// only the log knows.
const Killed recording.State = "killed"

// States are all that a session may have, in the order in which they are listed.
func States() []recording.State {
	return []recording.State{recording.Complete, recording.Live, Killed, recording.StateAborted, recording.Damaged, StateErased, StateExpired, StateMissing}
}

// Note is what the log says of a session besides its recording.
type Note struct {
	Ended    time.Time          // zero while it runs
	Coverage recording.Coverage // the least of its channels; "" while it runs, and where none was asked for
	Refused  bool               // a channel, or something on the connection
	Killed   *Kill              // nil unless an operator ended it
	Review   *Review            // the newest; nil where nobody has reviewed it
	Reviews  int
	Removed  *Removal // of its recording; nil if that wasn't
	// Aborted is where a restart found its recording to be cut; nil if none did.
	Aborted *audit.Recording
	Cut     time.Time // when it did: the session ran until some moment before
	Failed  bool      // its recording, of which the end was never written
	// Starts are what its transfers wrote of what shells, sshd and git start from, in
	// words; nothing that was typed or run is among them.
	Starts []string
	// Beside is of what its user's targets said more, that day and beside files, than they
	// do: "words", "names". It was in this session that it became so.
	Beside []string

	whose
}

// Kill is that an operator ended a session.
type Kill struct {
	By     audit.Actor `json:"by"`
	At     time.Time   `json:"at"`
	Reason string      `json:"reason"` // theirs, which the user read
}

// Review is that somebody has reviewed a session.
type Review struct {
	By   audit.Actor `json:"by"`
	At   time.Time   `json:"at"`
	Note string      `json:"note,omitempty"` // theirs
}

// Notes are what a log says of sessions. The zero Notes say nothing.
type Notes struct {
	of      map[string]Note
	orders  map[string]Order // of erasures
	holds   audit.Holds
	running bool // somebody writes the log
	absent  absences
}

// ReadNotes reads what the log in logDir and those before it say of each session that
// has ended, was ended or reviewed, where something was refused, or whose recording
// was removed, failed or cut by a crash, as far as their records are here: Lacks says which aren't.
func ReadNotes(logDir string) (Notes, error) {
	out := Notes{of: map[string]Note{}, running: audit.Writing(logDir)}
	for _, dir := range append(audit.Before(logDir), logDir) {
		for e, err := range audit.Scan(dir, audit.SessionEnded, audit.SessionKilled, audit.SessionReviewed, audit.ChannelRefused, audit.ForwardRefused, audit.AlarmStartFile, audit.AlarmBeside, audit.RecordingRemoved, audit.RecordingAborted, audit.RecordingFailed, audit.ErasureOrdered, audit.LogGap, audit.LogSegment, audit.LogHolds, audit.LogDropped, audit.HoldPlaced, audit.HoldReleased) {
			if !out.absent.event(e, err) {
				return Notes{}, err
			}
			if err != nil {
				out.absent.tell(&out.holds)
				continue
			}
			out.take(e)
		}
	}
	return out, nil
}

// NotesBy are what events of a log say that are here without it, in their order.
func NotesBy(events []audit.Event) Notes {
	out := Notes{of: map[string]Note{}}
	for _, e := range events {
		out.take(e)
	}
	return out
}

// take takes in an event.
func (n *Notes) take(e audit.Event) {
	switch e.Type {
	case audit.ErasureOrdered:
		if n.orders == nil {
			n.orders = map[string]Order{}
		}
		n.orders[e.Ref] = orderOf(e)
		return // what becomes of the session is another event
	case audit.RecordingRemoved:
		note := n.of[e.Session]
		note.Removed = removalOf(e, n.orders)
		n.of[e.Session] = note
	}
	if e.Session != "" {
		n.of[e.Session] = n.of[e.Session].with(e)
	}
	n.holds.Take(e)
}

// Holds are those that keep a recording, as far as the log says so.
func (n Notes) Holds(info recording.Info) (out []Hold) {
	for _, s := range n.holds.All() {
		if h := holdThat(s); h.About(info) {
			out = append(out, h)
		}
	}
	return out
}

// with is the note with one event more.
func (n Note) with(e audit.Event) Note {
	by := audit.Actor{}
	if e.Actor != nil {
		by = *e.Actor
	}
	switch e.Type {
	case audit.SessionEnded:
		n.whose.of(e)
		n.Ended, n.Coverage = e.Time, recording.Coverage(e.Coverage)
	case audit.SessionKilled:
		if n.Killed == nil { // that is whose reason the user read
			n.Killed = &Kill{By: by, At: e.Time, Reason: e.Detail}
		}
	case audit.SessionReviewed:
		n.Review, n.Reviews = &Review{By: by, At: e.Time, Note: e.Detail}, n.Reviews+1
	case audit.ChannelRefused, audit.ForwardRefused:
		n.Refused = true
	case audit.AlarmStartFile:
		n.Starts = append(slices.Clip(n.Starts), e.Detail)
	case audit.AlarmBeside:
		n.Beside = append(slices.Clip(n.Beside), e.Reason)
	case audit.RecordingRemoved:
		n.whose.of(e)
	case audit.RecordingAborted:
		n.Aborted, n.Cut = e.Recording, e.Time
	case audit.RecordingFailed:
		n.Failed = true
	}
	return n
}

// Refusals yields what was refused in a session, as the log in logDir and those before it
// have it. An error is one of reading the log, whose remaining events are still looked at.
func Refusals(logDir, session string) iter.Seq2[audit.Event, error] {
	return func(yield func(audit.Event, error) bool) {
		for e, err := range everything(logDir) {
			if (err != nil || isRefusal(e, session)) && !yield(e, err) {
				return
			}
		}
	}
}

// RefusalsBy is Refusals among events of a log that are here without it.
func RefusalsBy(events []audit.Event, session string) iter.Seq2[audit.Event, error] {
	return func(yield func(audit.Event, error) bool) {
		for _, e := range events {
			if isRefusal(e, session) && !yield(e, nil) {
				return
			}
		}
	}
}

func isRefusal(e audit.Event, session string) bool {
	return e.Session == session && (e.Type == audit.ChannelRefused || e.Type == audit.ForwardRefused)
}

// Of is what is known of one session, whose recording is as info says: of its state,
// everybody says what this does. What something cut off is partial.
func (n Notes) Of(info recording.Info) (recording.State, Note) {
	state, note := info.State, n.of[info.ID]
	over := !note.Ended.IsZero()
	if over && state == recording.Complete && note.Killed != nil {
		state = Killed
	}
	switch {
	case note.Coverage != "" || state == recording.Live:
	case state == recording.StateAborted, state == recording.Damaged, n.of != nil && !over && !n.running && len(n.absent.after(info.Start)) == 0:
		note.Coverage = recording.Partial
	case over && note.Refused:
		note.Coverage = recording.Refused
	}
	return state, note
}

// KnownCut is what the log says of why a recording has no end: that a restart found it cut
// there, after a crash, or that writing it failed; "" if neither. How much has to be there
// of one that failed is for Verify to say.
func (n Notes) KnownCut(info recording.Info) (why string) {
	note := n.of[info.ID]
	switch a := note.Aborted; {
	case info.State != recording.StateAborted:
		return ""
	case a != nil && a.Segments == info.Segments && a.Head == hex.EncodeToString(info.Head[:]):
		return "a crash cut it"
	case a == nil && note.Failed:
		return "writing it failed"
	}
	return ""
}

// Lacks says which records aren't here that may say more of one of these recordings.
func (n Notes) Lacks(list []recording.Info) (out []*segment.Absent) {
	for i := range n.absent.all {
		a := &n.absent.all[i]
		if slices.ContainsFunc(list, func(i recording.Info) bool { return a.until.IsZero() || a.until.After(i.Start) }) {
			out = append(out, &a.Absent)
		}
	}
	return out
}

// LacksOf is the first of the records that aren't here which may say more of a session, by
// its ID; nil where none may.
func (n Notes) LacksOf(id string) error {
	u, err := ulid.ParseStrict(id)
	if err != nil {
		return nil
	}
	if all := n.Lacks([]recording.Info{{Header: recording.Header{ID: id, Start: ulid.Time(u.Time())}}}); len(all) > 0 {
		return all[0]
	}
	return nil
}

// Gone are the sessions, by ID, whose recordings were removed.
func (n Notes) Gone() map[string]Removal {
	all := map[string]Removal{}
	for id, note := range n.of {
		if note.Removed != nil {
			all[id] = *note.Removed
		}
	}
	return all
}

// Killed is who ended a session, by its ID; nil if no operator did, as far as is known.
func (n Notes) Killed(id string) *Kill { return n.of[id].Killed }

// Ended is when a session ended, by its ID; zero where the log doesn't say so.
func (n Notes) Ended(id string) time.Time { return n.of[id].Ended }
