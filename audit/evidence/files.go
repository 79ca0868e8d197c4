package evidence

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"

	"filippo.io/age"

	"entry/audit"
	"entry/session/recording"
	"entry/session/transfer"
)

// File is one file that was moved, or one change of a target's files: as the log has
// it, or as a recording's manifest does, which has its name and its hash too.
type File struct {
	Session   string    `json:"session"`
	Channel   *uint32   `json:"channel,omitempty"`
	User      string    `json:"user"`
	Lab       string    `json:"lab,omitempty"`
	Target    string    `json:"target"`
	At        time.Time `json:"time"`
	Protocol  string    `json:"protocol,omitempty"`
	Operation string    `json:"operation,omitempty"`
	Direction string    `json:"direction,omitempty"` // "upload", "download", "" where no content moved
	Size      int64     `json:"size"`                // bytes; Unsized where it isn't known, and where no content moved
	Outcome   string    `json:"outcome,omitempty"`
	// Run and RunBack are bytes of all that the run moved that the file was part of,
	// in its direction and back, where its own size isn't known.
	Run     int64 `json:"run_bytes,omitempty"`
	RunBack int64 `json:"run_bytes_back,omitempty"`
	// Path and Content are digests that only the server's secret can make, as the
	// log has them; Content is "" where the content's hash isn't known.
	Path    string `json:"path_digest,omitempty"`
	Content string `json:"content_digest,omitempty"`
	// More is how many files and changes this stands for, of which only the
	// recording tells; 0 for one.
	More int `json:"more,omitempty"`
	// Elsewhere says that its recording isn't here, which would have its name and hash.
	Elsewhere bool `json:"recording_elsewhere,omitempty"`
	// Line is the manifest's, nil without it.
	Line *recording.File `json:"file,omitempty"`
	// Unfinished says of a program that moves files that it still runs (UnderWay), or that it
	// was cut off (CutOff): of what it moved, the file that it was at isn't known.
	Unfinished string `json:"unfinished,omitempty"`
	// Asked is, of an unfinished one whose recording was read, the file that was open, with
	// Operation and Direction; or else what its command names. "" isn't known.
	Asked string `json:"asked,omitempty"`
}

// What Unfinished says.
const (
	UnderWay = "under way"
	CutOff   = "cut off"
)

// Unsized is the size of a file that isn't known, and of what has none.
const Unsized = -1

// streams moves the bytes of a run to where they aren't taken for the file's size.
func (f *File) streams(back int64) {
	if f.Direction != "" && (recording.File{Protocol: f.Protocol}).Streamed() {
		f.Run, f.RunBack, f.Size = f.Size, back, Unsized
	}
}

// FileQuery is which files are wanted; zero fields want any.
type FileQuery struct {
	User, Lab, Target, Session string // a session in upper or lower case
	Direction                  string
	Since, Until               time.Time
}

func (q FileQuery) wants(f File) bool {
	return (q.User == "" || f.User == q.User) && (q.Lab == "" || f.Lab == q.Lab) &&
		(q.Target == "" || audit.OnTarget(f.Target, q.Target)) &&
		(q.Session == "" || strings.EqualFold(f.Session, q.Session)) &&
		(q.Direction == "" || f.Direction == q.Direction || f.More > 0 || f.Unfinished != "") &&
		!f.At.Before(q.Since) && (q.Until.IsZero() || f.At.Before(q.Until))
}

// wantsRun is wants of what began at f's time and ended at end, zero while it runs.
func (q FileQuery) wantsRun(f File, end time.Time) bool {
	since := q.Since
	q.Since = time.Time{}
	return q.wants(f) && (end.IsZero() || !end.Before(since))
}

// logFiles yields what the log says of files that match q, in order, and then the programs
// that move files whose channel is open, or was cut off by a crash or by its session's end:
// what those were at is no file of the log's, nor of a recording's. beside gets the channels
// of all other programs, and forwards, that match. An error is one of reading the log, whose
// remaining events are still looked at.
func logFiles(logDir string, q FileQuery, beside func(Channel)) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		running := audit.Writing(logDir) // before the log is read: who ends meanwhile is still open in it
		var unfinished []File
		c := newCovering(time.Time{}, func(ch Channel) bool {
			f := unfinishedOf(ch)
			switch moves := transfer.Moves(ch.Program); {
			case !q.wantsRun(f, ch.Closed):
			case !moves:
				beside(ch)
			case ch.Closed.IsZero() || ch.Uncounted:
				unfinished = append(unfinished, f)
			}
			return true
		})
		for e, err := range everything(logDir) {
			if err != nil {
				if !yield(File{}, err) {
					return
				}
				continue
			}
			c.event(e)
			if f, ok := fileOf(e); ok && q.wants(f) && !yield(f, nil) {
				return
			}
		}
		c.finish(running)
		for _, f := range unfinished {
			if !yield(f, nil) {
				return
			}
		}
	}
}

// fileOf is the file that an event is of.
func fileOf(e audit.Event) (f File, ok bool) {
	f = File{Session: e.Session, Channel: e.Channel, User: e.User, Lab: e.Lab, Target: e.Target, At: e.Time,
		Protocol: e.Program, Operation: e.Detail, Direction: e.Capability, Outcome: e.Reason, Path: e.Digest, Content: e.Hash}
	switch e.Type {
	case audit.TransferFile:
		size, back := e.BytesUp, e.BytesDown
		if e.Capability == "download" {
			size, back = back, size
		}
		f.Size = size
		f.streams(back)
	case audit.TransferChange:
		f.Size = Unsized
	case audit.TransferMore:
		f.More, f.Operation, f.Content, f.Size = e.Count, "", "", Unsized
	default:
		return File{}, false
	}
	return f, true
}

// unfinishedOf is what is told of a program that was cut off, or still runs.
func unfinishedOf(c Channel) File {
	f := File{Session: c.Session, Channel: c.Number, User: c.User, Lab: c.Lab, Target: c.Target, At: c.Opened, Protocol: c.Program, Size: Unsized, Unfinished: UnderWay}
	if c.Uncounted {
		f.Unfinished = CutOff
	}
	return f
}

// manifests yields what the recordings in dir say of files that match q, opened by
// one of ids: their names and hashes. Recordings are read in the order of their IDs,
// all of each, after read was called with all the IDs. under gets the programs that they
// have no end of. An error is that of one
// recording, after which the others follow.
func manifests(dir string, ids []age.Identity, q FileQuery, read func(ids []string) error, under runs) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		list, err := recording.List(dir)
		if err != nil {
			yield(File{}, err)
			return
		}
		var names []string
		list = slices.DeleteFunc(list, func(info recording.Info) bool {
			f := File{Session: info.ID, User: info.User, Lab: info.Lab, Target: info.Target, At: info.Start, Direction: q.Direction}
			end := info.End
			if info.State == recording.StateAborted { // it ran on until the crash
				end = time.Time{}
			}
			if !q.wantsRun(f, end) {
				return true
			}
			names = append(names, info.ID)
			return false
		})
		if err := read(names); err != nil {
			yield(File{}, err)
			return
		}
		for _, info := range list {
			if !manifest(dir, info, ids, q, under, yield) {
				return
			}
		}
	}
}

// manifest yields the files of one recording; it reports whether more is wanted.
func manifest(dir string, info recording.Info, ids []age.Identity, q FileQuery, under runs, yield func(File, error) bool) bool {
	r, err := recording.OpenRecording(dir, info.ID, ids...)
	if err != nil {
		return yield(File{}, fmt.Errorf("%s: %w", info.ID, err))
	}
	defer func() { _ = r.Close() }() // only read
	for {
		frame, err := r.Next()
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, recording.ErrTruncated): // what is there was looked at; verifying says the rest
			return true
		case err != nil:
			return yield(File{}, fmt.Errorf("%s: %w", info.ID, err))
		}
		under.frame(info.ID, frame)
		line, ok := frame.File()
		if !ok {
			continue
		}
		channel := frame.Channel
		f := File{Session: info.ID, Channel: &channel, User: info.User, Lab: info.Lab, Target: info.Target, At: info.Start.Add(frame.At),
			Protocol: line.Protocol, Operation: line.Operation, Direction: line.Direction, Size: line.Size, Outcome: line.Outcome, Line: &line}
		if f.streams(line.Back); f.Direction == "" {
			f.Size = Unsized
		}
		if f.Size == Unsized {
			line.Size, line.Back = Unsized, 0
		}
		if q.wants(f) && !yield(f, nil) {
			return false
		}
	}
}
