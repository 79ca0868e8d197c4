package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"entry/audit"
	"entry/audit/plain"
)

// oneLog is one of the logs that a verb reads.
type oneLog struct {
	dir  string
	name string // by which it is told from the others: its origin, or its directory; "" for the only one
}

func logFlag(cmd *cobra.Command) {
	cmd.PersistentFlags().StringArray("log", nil, "`DIR` that holds the log or a copy of it, instead of the configuration's; once\nfor each where tail, search, coverage or verify are to take several")
}

// auditLogs are the logs that --log names, or the configuration's.
func auditLogs(cmd *cobra.Command) ([]oneLog, error) {
	dirs, err := cmd.Flags().GetStringArray("log")
	if err != nil {
		return nil, err
	}
	if dirs = slices.DeleteFunc(dirs, func(dir string) bool { return dir == "" }); len(dirs) == 0 {
		dir, _, _, err := auditDirs(cmd)
		return []oneLog{{dir: dir}}, err
	}
	logs := make([]oneLog, len(dirs))
	times := map[string]int{}
	for i, dir := range dirs {
		logs[i].dir = dir
		if len(dirs) > 1 {
			if slices.ContainsFunc(logs[:i], func(l oneLog) bool { return filepath.Clean(l.dir) == filepath.Clean(dir) }) {
				return nil, failf(exitUsage, "--log %s is there twice", plain.Word(dir))
			}
			logs[i].name = audit.Origin(dir)
			times[logs[i].name]++
		}
	}
	for i, l := range logs {
		if len(logs) > 1 && (l.name == "" || times[l.name] > 1) {
			logs[i].name = l.dir
		}
	}
	return logs, nil
}

// auditLogDir is the log of a verb that takes one.
func auditLogDir(cmd *cobra.Command) (string, error) {
	logs, err := auditLogs(cmd)
	if err != nil {
		return "", err
	}
	if len(logs) > 1 {
		return "", failf(exitUsage, "--log: %s takes one log", cmd.CommandPath())
	}
	return logs[0].dir, nil
}

// failed is err, saying of which log it is.
func (l oneLog) failed(err error) error {
	if l.name == "" || err == nil {
		return err
	}
	return fmt.Errorf("%s: %w", plain.Line(l.name), err)
}

// say writes a line about the log to w.
func (l oneLog) say(w io.Writer, format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if l.name != "" {
		line = plain.Line(l.name) + ": " + line
	}
	_, _ = fmt.Fprintln(w, "entry: "+line) // what is shown is the result
}

// beside is w for whole lines about the log, which say so.
func (l oneLog) beside(w io.Writer) io.Writer {
	if l.name == "" {
		return w
	}
	return prefixing{w, plain.Line(l.name) + ": "}
}

type prefixing struct {
	w      io.Writer
	prefix string
}

func (p prefixing) Write(b []byte) (int, error) {
	for line := range bytes.Lines(b) {
		if _, err := io.WriteString(p.w, p.prefix+string(line)); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

// named is the JSON object of something of the log, which says so where there are several.
func (l oneLog) named(object []byte) []byte {
	if l.name == "" {
		return object
	}
	name, err := json.Marshal(l.name)
	if err != nil || len(object) < 2 {
		return object
	}
	var b strings.Builder
	_, _ = escaping{&b}.Write(name) // a builder returns no error
	return append([]byte(`{"log":`+b.String()+","), object[1:]...)
}

// worst is the error that the verb ends with, of those of several logs; the others are told.
func worst(cmd *cobra.Command, all []error) error {
	if len(all) == 0 {
		return nil
	}
	slices.SortStableFunc(all, func(a, b error) int { return cmp.Compare(exitCode(a), exitCode(b)) }) // 1, it failed, before 2, it can't be tried, before "no"
	for _, err := range all[1:] {
		tellError(cmd.ErrOrStderr(), err)
	}
	return all[0]
}

// of is what one log has.
type of[T any] struct {
	log  oneLog
	what T
	err  error
}

// merged yields what several logs have, by time; what has none comes last. An error comes
// as soon as it is its log's next.
func merged[T any](logs []oneLog, read func(oneLog) iter.Seq2[T, error], when func(T) time.Time) iter.Seq[of[T]] {
	return func(yield func(of[T]) bool) {
		type source struct {
			next of[T]
			pull func() (T, error, bool)
		}
		var all []*source
		for _, l := range logs {
			pull, stop := iter.Pull2(read(l))
			defer stop()
			all = append(all, &source{of[T]{log: l}, pull})
		}
		stopped := false
		ended := func(s *source) bool { // with none, or by yield
			for !stopped {
				var more bool
				if s.next.what, s.next.err, more = s.pull(); !more {
					return true
				} else if s.next.err == nil {
					return false
				}
				stopped = !yield(s.next)
			}
			return true
		}
		earlier := func(a, b *source) int {
			at, bt := when(a.next.what), when(b.next.what)
			if at.IsZero() || bt.IsZero() {
				return cmp.Compare(bt.Unix(), at.Unix()) // what is zero is of long ago
			}
			return at.Compare(bt)
		}
		all = slices.DeleteFunc(all, ended)
		for !stopped && len(all) > 0 {
			s := slices.MinFunc(all, earlier)
			stopped = !yield(s.next)
			all = slices.DeleteFunc(all, func(other *source) bool { return other == s && ended(s) })
		}
	}
}

// tellError writes an error as it is written where a verb ends with it.
func tellError(w io.Writer, err error) {
	_, _ = fmt.Fprintf(w, "entry: %v\n", err) // nobody could be told otherwise
	if hint := hintOf(err); hint != "" {
		_, _ = fmt.Fprintf(w, "hint: %s\n", hint)
	}
}
