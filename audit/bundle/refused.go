package bundle

import (
	"errors"
	"fmt"

	"entry/audit/evidence"
)

// ErrRunning says that a session has no end yet that could be proven.
var ErrRunning = errors.New("the session has no end in the log yet")

// ErrFailed says that the log doesn't know how much of a session was recorded: writing it
// failed.
var ErrFailed = errors.New("the log says that recording the session failed, and not how much of it there was")

// ErrUnknown says that a log has no record of a session.
var ErrUnknown = errors.New("the log has no record of the session")

// Refused says why there is no bundle of a session. It wraps one of the errors above.
type Refused struct {
	ID    string // of the session
	err   error
	lacks error // the records that aren't here, and may say more; nil for none
}

// refused is err, of the session called id, where it is one of those above.
func (s Source) refused(id string, err error) error {
	r := &Refused{ID: id, err: err}
	switch {
	case errors.Is(err, ErrUnknown), errors.Is(err, ErrRunning):
		if notes, err := evidence.ReadNotes(s.Log); err == nil {
			r.lacks = notes.LacksOf(id)
		}
	case !errors.Is(err, ErrFailed):
		return err
	}
	return r
}

func (r *Refused) Error() string {
	switch {
	case r.lacks != nil:
		return fmt.Sprintf("what the audit log has of session %s may be in records that aren't here: %v", r.ID, r.lacks)
	case errors.Is(r.err, ErrUnknown):
		return "the audit log has no record of session " + r.ID
	case errors.Is(r.err, ErrRunning):
		return "session " + r.ID + " has no end in the log yet, so nothing would prove that it is whole"
	}
	return fmt.Sprintf("session %s: %v", r.ID, r.err)
}

func (r *Refused) Unwrap() error { return r.err }

// Hint is what to do about it.
func (r *Refused) Hint() string {
	switch {
	case r.lacks != nil:
		return "put their segments back for this"
	case errors.Is(r.err, ErrUnknown):
		return "is this the log of the server that recorded it? the logs before it have to lie in its folder before/"
	case errors.Is(r.err, ErrRunning):
		return "wait until it ends, or end it: entry sessions kill; after a crash, start the server"
	}
	return "what the log says of it: entry audit proof " + r.ID + " -o FILE.tar"
}

// Misused is false: it was a session's ID.
func (r *Refused) Misused() bool { return false }

// NotFound is that the log has nothing of the session, as far as that can be known.
func (r *Refused) NotFound() bool { return r.lacks == nil && errors.Is(r.err, ErrUnknown) }
