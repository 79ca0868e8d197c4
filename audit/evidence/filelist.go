package evidence

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"

	"filippo.io/age"

	"entry/audit/plain"
	"entry/audit/segment"
	"entry/session/recording"
)

// FileList is a list of the files that were moved: out of recordings, which have names and
// hashes, where identities for them are given, and out of the log. The log alone has sizes and
// digests; beside recordings it has the files of those that aren't here, and the programs
// that ended before anybody knew what they were at.
type FileList struct {
	Log        string // the log's folder; "" for none
	Recordings string // the folder of recordings; looked at only with Identities
	Identities []age.Identity
	Query      FileQuery
	Changes    bool // also what changed files without moving content
	// Contents keeps only files with one of these contents, and what is unfinished: SHA-256
	// in hex with Identities, the log's digests without. nil keeps all.
	Contents []string
	// Read is told which recordings are about to be opened; its error ends the list.
	Read func(ids []string) error
}

// FileSums is what was counted of a list.
type FileSums struct {
	Found   int // files, changes and unfinished programs
	Unknown int // files whose content isn't known, so that it wasn't compared
	Opened  int // recordings that were to be opened
	Sealed  int // of them those that none of the identities opens
	Bad     int // parts that can't be read

	besides  int   // channels that move no files, by which something came to clients
	out      int64 // how much
	uncount  int   // of them, those of which nobody counted it
	sessions map[string]bool
}

// beside counts a channel that moves no files.
func (s *FileSums) beside(c Channel) {
	open := c.Closed.IsZero() || c.Uncounted
	if c.Coverage == recording.Refused || c.Down == 0 && !open {
		return
	}
	if s.sessions == nil {
		s.sessions = map[string]bool{}
	}
	s.sessions[c.Session] = true
	s.besides++
	if s.out += c.Down; open {
		s.uncount++
	}
}

// Beside says how much came to clients by what moves no files: a command's output may be one,
// and there is no list of what may be. "" is nothing.
func (s *FileSums) Beside() string {
	if s.besides == 0 {
		return ""
	}
	text := fmt.Sprintf("beside files, %s of %s let %s out by shells, commands and forwards", plain.Count(s.besides, "channel"), plain.Count(len(s.sessions), "session"), plain.Size(s.out))
	if s.uncount > 0 {
		text += fmt.Sprintf(", not counting %d that still run or were cut off", s.uncount)
	}
	return text
}

// Column is the head of the column that contents have in a table.
func (l FileList) Column() string {
	if l.Identities != nil {
		return "SHA-256"
	}
	return "CONTENT DIGEST"
}

// All yields the list, and counts it in sums. What can't be read is an error, after which the
// others follow: a *segment.Absent of the log, which isn't counted, or Bad. Recordings that the
// identities don't open are counted alone.
func (l FileList) All(sums *FileSums) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		for f, err := range l.sources(sums) {
			var absent *segment.Absent
			switch {
			case errors.Is(err, recording.ErrKey):
				sums.Sealed++
				continue
			case err != nil:
				if !errors.As(err, &absent) {
					sums.Bad++
				}
			case f.Unfinished != "":
				sums.Found++
			case !l.Changes && f.Direction == "" && f.More == 0:
				continue
			case l.Contents != nil && !slices.Contains(l.Contents, f.content()):
				if f.content() == "" {
					sums.Unknown += max(1, f.More)
				}
				continue
			default:
				sums.Found++
			}
			if !yield(f, err) {
				return
			}
		}
	}
}

// content is the hash of a file, as far as the list that it is of can know it.
func (f File) content() string {
	switch {
	case f.Line != nil:
		return f.Line.SHA256
	case f.Elsewhere:
		return "" // the log's digest is no hash
	}
	return f.Content
}

// sources yields what the recordings say, and then what the log does.
func (l FileList) sources(sums *FileSums) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		here, under := map[string]bool{}, runs{}
		if l.Identities != nil {
			ids, err := recording.IDs(l.Recordings)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				yield(File{}, err)
				return
			}
			for _, id := range ids {
				here[id] = true
			}
			read := func(ids []string) error { sums.Opened = len(ids); return l.Read(ids) }
			for f, err := range manifests(l.Recordings, l.Identities, l.Query, read, under) {
				if !yield(f, err) {
					return
				}
			}
		}
		if l.Log == "" {
			return
		}
		beside := sums.beside
		if l.Query.Direction == "upload" {
			beside = func(Channel) {}
		}
		for f, err := range logFiles(l.Log, l.Query, beside) {
			if err == nil && f.Unfinished == "" {
				if here[f.Session] {
					continue
				}
				f.Elsewhere = l.Identities != nil
			}
			if err != nil || f.Unfinished == "" {
				if !yield(f, err) {
					return
				}
				continue
			}
			for _, f := range under.known(f) {
				if (l.Query.Direction == "" || f.Direction == "" || f.Direction == l.Query.Direction) && !yield(f, nil) {
					return
				}
			}
		}
	}
}
