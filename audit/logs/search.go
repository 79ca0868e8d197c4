package logs

import (
	"errors"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strings"

	"entry/audit"
	"entry/audit/index"
	"entry/audit/plain"
	"entry/audit/segment"
)

const (
	// LeastIndexed is how large a log is that gets an index unasked: a smaller one is read
	// in about as long as an index takes to be opened.
	LeastIndexed = 16 << 20 // bytes
	// longToIndex is how large one is whose first search somebody may wonder about.
	longToIndex = 256 << 20 // bytes
)

// Searching is how logs are searched.
type Searching struct {
	Folder  string // of the index, wanted of small logs too; "" for one's own folder, and large logs only
	NoIndex bool   // all of a log is read
	// Told hears what there is to be said of the index; it is fit for a terminal. Required.
	Told func(l Log, note string)
}

// IndexError says why there can be no index in the folder that was named.
type IndexError struct{ Err error }

func (e *IndexError) Error() string { return e.Err.Error() }
func (e *IndexError) Unwrap() error { return e.Err }

// index opens the index that a search of the log has; nil for none.
func (s Searching) index(l Log) (*index.Index, error) {
	if s.NoIndex || !segment.Exist(l.Dir) {
		return nil, nil
	}
	size, named := segment.Size(l.Dir), s.Folder != ""
	if !named && size < LeastIndexed {
		return nil, nil
	}
	var err error
	folder := s.Folder
	if !named {
		folder, err = index.Folder()
	}
	var x *index.Index
	if err == nil {
		x, err = index.Open(l.Dir, index.Options{Folder: folder})
	}
	switch {
	case err != nil && named:
		return nil, &IndexError{err}
	case err != nil:
		s.Told(l, "all of the log is read, since it can have no index here: "+plain.Line(err.Error()))
		return nil, nil
	case x.Empty() && size >= longToIndex:
		s.Told(l, "all of the log is read this once, "+plain.Size(size)+", to make an index of it")
	}
	return x, nil
}

// by yields what the log has for q by an index, or, where there is none, what without does.
func (s Searching) by(l Log, q audit.Query, without iter.Seq2[audit.Event, error]) iter.Seq2[audit.Event, error] {
	return func(yield func(audit.Event, error) bool) {
		x, err := s.index(l)
		switch {
		case err != nil:
			yield(audit.Event{}, err)
		case x == nil:
			without(yield)
		default:
			defer func() {
				note := x.Note()
				if err := x.Close(); err != nil && note == "" {
					note = "the log's index can't be closed: " + err.Error()
				}
				if note != "" {
					s.Told(l, plain.Line(note))
				}
			}()
			audit.Search(l.Dir, q, x)(yield)
		}
	}
}

// Events yields what audit.Search does, by an index where there is one. An *IndexError is
// the only item where it comes.
func (s Searching) Events(l Log, q audit.Query) iter.Seq2[audit.Event, error] {
	return s.by(l, q, audit.Search(l.Dir, q, nil))
}

// startingWith yields the events of a session or a connection whose ID begins so, and
// maybe others.
func (s Searching) startingWith(l Log, start string) iter.Seq2[audit.Event, error] {
	return func(yield func(audit.Event, error) bool) {
		for _, dir := range audit.Before(l.Dir) {
			for e, err := range audit.Scan(dir, audit.Types()...) {
				if err == nil && !yield(e, err) { // who reads that log for more says what is wrong with it
					return
				}
			}
		}
		all := audit.Scan(l.Dir, audit.Types()...) // faster than a search
		if len(start) < index.ShortestStart {
			all(yield)
			return
		}
		s.by(l, audit.Query{IDStart: start}, all)(yield)
	}
}

// IDs are those of sessions and client connections that start so, in upper case, in the
// logs and those before them. What can't be read of a log is left out: who reads it for
// more says so. The error is an *IndexError, or, of a single log, that it isn't there.
func (s Searching) IDs(logs []Log, start string) ([]string, error) {
	start = strings.ToUpper(start)
	fits := map[string]bool{}
	for _, l := range logs {
		for e, err := range s.startingWith(l, start) {
			var none *IndexError
			if errors.As(err, &none) || errors.Is(err, fs.ErrNotExist) && len(logs) == 1 {
				return nil, err
			}
			if err != nil {
				continue
			}
			for _, id := range []string{e.Session, e.Conn} {
				if id != "" && strings.HasPrefix(id, start) {
					fits[id] = true
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(fits)), nil
}
