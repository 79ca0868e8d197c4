package main

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"entry/audit"
	"entry/audit/index"
	"entry/audit/plain"
	"entry/audit/segment"
)

const (
	// leastIndexed is how large a log is that gets an index without --index: a smaller one
	// is read in about as long as an index takes to be opened.
	leastIndexed = 16 << 20 // bytes
	// longToIndex is how large one is whose first search somebody may wonder about.
	longToIndex = 256 << 20 // bytes
)

// openIndex opens the index that a search of the log has; nil for none.
func openIndex(cmd *cobra.Command, l oneLog) (*index.Index, error) {
	folder := ""
	if f := cmd.Flags().Lookup("index"); f != nil {
		folder = f.Value.String()
	}
	if f := cmd.Flags().Lookup("no-index"); f != nil && f.Value.String() == "true" || !segment.Exist(l.dir) {
		return nil, nil
	}
	size, named := segment.Size(l.dir), folder != ""
	if !named && size < leastIndexed {
		return nil, nil
	}
	var err error
	if !named {
		folder, err = index.Folder()
	}
	var x *index.Index
	if err == nil {
		x, err = index.Open(l.dir, index.Options{Folder: folder})
	}
	switch {
	case err != nil && named:
		return nil, failf(exitUsage, "--index: %w", err)
	case err != nil:
		l.say(cmd.ErrOrStderr(), "note: all of the log is read, since it can have no index here: %s", plain.Line(err.Error()))
		return nil, nil
	case x.Empty() && size >= longToIndex:
		l.say(cmd.ErrOrStderr(), "note: all of the log is read this once, %s, to make an index of it", plain.Size(size))
	}
	return x, nil
}

// closeIndex tells what there is to be said of the index.
func closeIndex(cmd *cobra.Command, l oneLog, x *index.Index) {
	note := x.Note()
	if err := x.Close(); err != nil && note == "" {
		note = "the log's index can't be closed: " + err.Error()
	}
	if note != "" {
		l.say(cmd.ErrOrStderr(), "note: %s", plain.Line(note))
	}
}

// searchLog yields what audit.Search does, by an index where there is one.
func searchLog(cmd *cobra.Command, l oneLog, q audit.Query) iter.Seq2[audit.Event, error] {
	return func(yield func(audit.Event, error) bool) {
		x, err := openIndex(cmd, l)
		switch {
		case err != nil:
			yield(audit.Event{}, err)
		case x == nil:
			audit.Search(l.dir, q, nil)(yield)
		default:
			defer closeIndex(cmd, l, x)
			audit.Search(l.dir, q, x)(yield)
		}
	}
}

// startingWith yields the events of a session or a connection whose ID begins so, and
// maybe others.
func startingWith(cmd *cobra.Command, l oneLog, start string) iter.Seq2[audit.Event, error] {
	return func(yield func(audit.Event, error) bool) {
		for _, dir := range audit.Before(l.dir) {
			for e, err := range audit.Scan(dir, audit.Types()...) {
				if err == nil && !yield(e, err) { // who reads that log for more says what is wrong with it
					return
				}
			}
		}
		var x *index.Index
		var err error
		if len(start) >= index.ShortestStart {
			x, err = openIndex(cmd, l)
		}
		switch {
		case err != nil:
			yield(audit.Event{}, err)
		case x == nil:
			audit.Scan(l.dir, audit.Types()...)(yield) // faster than a search
		default:
			defer closeIndex(cmd, l, x)
			audit.Search(l.dir, audit.Query{IDStart: start}, x)(yield)
		}
	}
}

// sessionFlag is the ID that --session means: it may be the unambiguous start of one
// that the logs have, of a session or of a client connection.
func sessionFlag(cmd *cobra.Command, name string) (string, error) {
	const whole = 26 // characters of a ULID
	if name == "" || len(name) >= whole {
		return name, nil
	}
	logs, err := auditLogs(cmd)
	if err != nil {
		return "", err
	}
	start := strings.ToUpper(name)
	fits := map[string]bool{}
	for _, l := range logs {
		for e, err := range startingWith(cmd, l, start) {
			if errors.Is(err, fs.ErrNotExist) && len(logs) == 1 {
				return "", hinted(&exitError{code: exitNotFound, err: err}, noLogYet)
			}
			if err != nil && exitCode(err) == exitUsage {
				return "", err
			}
			if err != nil {
				continue // who reads the log for more says so
			}
			for _, id := range []string{e.Session, e.Conn} {
				if id != "" && strings.HasPrefix(id, start) {
					fits[id] = true
				}
			}
		}
	}
	ids := slices.Sorted(maps.Keys(fits))
	switch len(ids) {
	case 0:
		return "", hinted(failf(exitNotFound, "--session %q: the log has no session or connection with an ID that starts so", name), "entry sessions ls lists sessions")
	case 1:
		return ids[0], nil
	}
	return "", hinted(failf(exitUsage, "--session %q is the start of %d IDs", name, len(ids)), fmt.Sprintf("the first two are %s and %s", ids[0], ids[1]))
}
