package evidence

import (
	"encoding/hex"
	"time"

	"entry/audit"
	"entry/session/recording"
)

// said is what a log says of recordings, and of what operators ordered about them: by that
// they are kept and removed. A recording's own clear header is anybody's who can write the
// spool; it counts as far as the log says the same.
type said struct {
	ordered
	of     map[string]*fact // of the recordings that were asked for, by ID
	absent absences         // what isn't here of the log
}

// fact is what a log says of one recording.
type fact struct {
	user, lab, target string
	header            string // hash; "" in logs of older versions, and of what never started
	start             time.Time
	end               time.Time        // zero where the log has none
	head              *audit.Recording // with what it ended, or was cut; nil where that isn't known
	started, failed   bool
	alarmed           bool // that it isn't what is here
}

// known tells whether the log knows of a recording, and not only of a session.
func (f *fact) known() bool { return f != nil && (f.started || f.head != nil) }

func (f *fact) take(e audit.Event) {
	switch e.Type {
	case audit.SessionStarted:
		if f.started {
			return
		}
		f.started, f.start, f.end, f.head = true, e.Time, time.Time{}, nil
		f.user, f.lab, f.target = e.User, e.Lab, e.Target
		if e.Recording != nil {
			f.header = e.Recording.Header
		}
	case audit.SessionEnded:
		if !f.started { // that record isn't here
			f.user, f.lab, f.target = e.User, e.Lab, e.Target
		}
		f.end, f.head = e.Time, e.Recording
	case audit.RecordingAborted:
		if !f.started {
			f.user, f.lab, f.target, f.start = e.User, e.Lab, e.Target, e.Time
		}
		if f.head == nil {
			f.end, f.head = e.Time, e.Recording
		}
	case audit.RecordingFailed:
		f.failed = true
	case audit.AlarmRecording:
		f.alarmed = true
	}
}

// differs is in what a recording, as it lies here, isn't the one that the log knows; "" where
// it is.
func (f *fact) differs(i recording.Info) string {
	switch {
	case f.head != nil && f.head.Head == zeroHash && !f.started:
		return "" // a crash came before it had a header
	case i.State == recording.Damaged:
		return "it can't be read"
	case f.header != "" && f.header != hex.EncodeToString(i.HeaderHash[:]):
		return "its header, which says whose it is, isn't the one that the log has"
	case f.header == "" && (f.user != "" && f.user != i.User || f.lab != "" && f.lab != i.Lab):
		return "its header says that it is somebody else's than the log has"
	case f.head != nil && !f.failed && i.State != recording.Live && (f.head.Segments != i.Segments || f.head.Head != hex.EncodeToString(i.Head[:])):
		return "it doesn't end as the log says that it did"
	}
	return ""
}

var zeroHash = hex.EncodeToString(make([]byte, 32))

// theirs is a recording with the log's word on whose it is.
func (f *fact) theirs(i recording.Info) recording.Info {
	if f.user != "" {
		i.User = f.user
	}
	if f.lab != "" {
		i.Lab = f.lab
	}
	if f.target != "" {
		i.Target = f.target
	}
	if f.header != hex.EncodeToString(i.HeaderHash[:]) {
		i.Start = f.start
	}
	i.End = f.end
	return i
}
