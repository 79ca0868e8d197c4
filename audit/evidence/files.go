package evidence

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
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

// Files yields what the log says of files that match q, in order. An error is one of
// reading the log, whose remaining events are still looked at.
func Files(logDir string, q FileQuery) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		for e, err := range everything(logDir) {
			if err != nil {
				if !yield(File{}, err) {
					return
				}
				continue
			}
			f := File{Session: e.Session, Channel: e.Channel, User: e.User, Lab: e.Lab, Target: e.Target, At: e.Time,
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
				continue
			}
			if q.wants(f) && !yield(f, nil) {
				return
			}
		}
	}
}

// Unfinished yields the programs that move files, as the log has them, that match q and
// whose channel is open, or was cut off by a crash or by its session's end: what they were
// at then is no file of Files', nor of ManifestFiles'. An error is one of reading the log.
func Unfinished(logDir string, q FileQuery) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		for c, err := range Coverage(logDir, time.Time{}) {
			if err != nil {
				if !yield(File{}, err) {
					return
				}
				continue
			}
			if !transfer.Moves(c.Program) || !c.Closed.IsZero() && !c.Uncounted {
				continue
			}
			f := File{Session: c.Session, Channel: c.Number, User: c.User, Lab: c.Lab, Target: c.Target, At: c.Opened, Protocol: c.Program, Size: Unsized, Unfinished: UnderWay}
			if c.Uncounted {
				f.Unfinished = CutOff
			}
			since := q
			since.Since = time.Time{}
			if since.wants(f) && (c.Closed.IsZero() || !c.Closed.Before(q.Since)) && !yield(f, nil) {
				return
			}
		}
	}
}

// FilesElsewhere yields what the log says of files that match q of sessions whose recordings
// aren't in dir: removed, erased, or taken away. Their names and hashes aren't known here.
func FilesElsewhere(logDir, dir string, q FileQuery) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		ids, err := recording.IDs(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			yield(File{}, err)
			return
		}
		here := map[string]bool{}
		for _, id := range ids {
			here[id] = true
		}
		for f, err := range Files(logDir, q) {
			if err == nil && here[f.Session] {
				continue
			}
			f.Elsewhere = true
			if !yield(f, err) {
				return
			}
		}
	}
}

// ManifestFiles yields what the recordings in dir say of files that match q, opened by
// one of ids: their names and hashes. Recordings are read in the order of their IDs,
// all of each, after read was called with all the IDs. An error is that of one
// recording, after which the others follow.
func ManifestFiles(dir string, ids []age.Identity, q FileQuery, read func(ids []string) error) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		list, err := recording.List(dir)
		if err != nil {
			yield(File{}, err)
			return
		}
		var names []string
		list = slices.DeleteFunc(list, func(info recording.Info) bool {
			f := File{Session: info.ID, User: info.User, Lab: info.Lab, Target: info.Target, At: info.Start, Direction: q.Direction}
			since := q
			since.Since = time.Time{} // one that began before may still run
			if !since.wants(f) || !info.End.IsZero() && info.End.Before(q.Since) {
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
			if !manifest(dir, info, ids, q, yield) {
				return
			}
		}
	}
}

// manifest yields the files of one recording; it reports whether more is wanted.
func manifest(dir string, info recording.Info, ids []age.Identity, q FileQuery, yield func(File, error) bool) bool {
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
