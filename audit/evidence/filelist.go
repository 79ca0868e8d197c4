package evidence

import (
	"errors"
	"io/fs"
	"iter"
	"slices"

	"filippo.io/age"

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
		here := map[string]bool{}
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
			for f, err := range manifests(l.Recordings, l.Identities, l.Query, read) {
				if !yield(f, err) {
					return
				}
			}
		}
		if l.Log == "" {
			return
		}
		for f, err := range logFiles(l.Log, l.Query) {
			if err == nil && f.Unfinished == "" {
				if here[f.Session] {
					continue
				}
				f.Elsewhere = l.Identities != nil
			}
			if !yield(f, err) {
				return
			}
		}
	}
}
