//go:build linux

package evidence

import (
	"context"
	"encoding/hex"
	"time"

	"entry/audit"
	"entry/session/recording"
	"entry/session/recording/spool"
)

// fate is whether a recording may be removed at all.
type fate int

const (
	free    fate = iota
	held         // by a hold
	live         // or without an end so far
	young        // than every recording is kept at least
	damaged      // or not what the log knows, so that nobody knows what would be removed
	unsaid       // by the log, of which records aren't here: whose it is, or which holds stand
)

// examined is a recording, by the log's word, with whether it may be removed.
type examined struct {
	recording.Info
	r    Retention
	said *said
	fate fate
	why  string // it is damaged, where that is to be an alarm
}

// examine judges a recording, by the log and the holds as they are now.
func (r Retention) examine(i recording.Info, s *said, holds []Hold, now time.Time) *examined {
	x := &examined{Info: i, r: r, said: s}
	f := s.of[i.ID]
	if !f.known() {
		f = nil
	}
	if f != nil {
		x.Info = f.theirs(i)
		x.why = f.differs(i)
	}
	_, kept := keeps(holds, x.Info)
	_, also := keeps(holds, i)
	switch {
	case kept || also:
		x.fate = held
	case f == nil && i.State == recording.Live:
		x.fate = live // the log has it next
	case (f == nil || !f.started) && len(s.absent.all) > 0: // what shows that its header is true
		x.fate = unsaid
	case len(s.standing.Unheard()) > 0: // one of them may keep it
		x.fate = unsaid
	case f == nil:
		x.fate, x.why = damaged, "the log doesn't know it"
	case x.why != "" || i.State == recording.Damaged:
		x.fate = damaged
	case i.State == recording.Live || x.End.IsZero():
		x.fate = live
	case now.Sub(x.End) <= r.Least:
		x.fate = young
	}
	return x
}

// about is an event of type t about the recording.
func (x *examined) about(t audit.Type) audit.Event {
	return audit.Event{Type: t, Session: x.ID, User: x.User, Lab: x.Lab, Target: x.Target,
		Recording: &audit.Recording{ID: x.ID, Header: hex.EncodeToString(x.HeaderHash[:]), Head: hex.EncodeToString(x.Head[:]), Segments: x.Segments}}
}

// alarm puts on record, once, that it isn't what the log knows.
func (x *examined) alarm(ctx context.Context) error {
	f := x.said.of[x.ID]
	if f != nil && f.alarmed {
		return nil
	}
	if f == nil {
		f = &fact{}
	}
	f.alarmed = true
	e := x.about(audit.AlarmRecording)
	e.Detail = "it isn't removed: " + x.why
	return x.r.append(ctx, e)
}

// stays is that a recording couldn't be removed, though the log says that it is about to be.
type stays struct{ err error }

func (s *stays) Error() string { return s.err.Error() }
func (s *stays) Unwrap() error { return s.err }

// remove removes it, as an event says first; it had to be kept for so long.
func (x *examined) remove(ctx context.Context, why audit.Event, keep time.Duration) error {
	e, until := x.about(audit.RecordingRemoved), x.End.Add(keep).UTC()
	e.Policy, e.Reason, e.Ref, e.Detail, e.Until = why.Policy, why.Reason, why.Ref, why.Detail, &until
	if err := x.r.append(ctx, e); err != nil {
		return err
	}
	if err := spool.Remove(x.r.Dir, x.ID); err != nil {
		return &stays{err}
	}
	return nil
}

// unheard says that it could go but for a hold that may have been placed in records which
// aren't here; nil where that isn't so.
func (x *examined) unheard(now time.Time) error {
	if away := x.said.standing.Unheard(); x.fate == unsaid && len(away) > 0 && now.Sub(x.End) > x.r.Least {
		return &Unheard{Records: away}
	}
	return nil
}
