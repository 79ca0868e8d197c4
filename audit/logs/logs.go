package logs

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"time"

	"entry/audit"
	"entry/audit/plain"
)

// Log is one of the logs that are read.
type Log struct {
	Dir  string
	Name string // by which it is told from the others: its origin, or its directory; "" for the only one
}

// Of are the logs in dirs. The error says which is there twice.
func Of(dirs ...string) ([]Log, error) {
	logs := make([]Log, len(dirs))
	times := map[string]int{}
	for i, dir := range dirs {
		logs[i].Dir = dir
		if len(dirs) > 1 {
			if slices.ContainsFunc(logs[:i], func(l Log) bool { return same(l.Dir, dir) }) {
				return nil, fmt.Errorf("%s is there twice", plain.Word(dir))
			}
			logs[i].Name = audit.Origin(dir)
			times[logs[i].Name]++
		}
	}
	for i, l := range logs {
		if len(logs) > 1 && (l.Name == "" || times[l.Name] > 1) {
			logs[i].Name = l.Dir
		}
	}
	return logs, nil
}

// Besides are the logs of all that aren't the one in dir, as whose server has other keys.
func Besides(all []Log, dir string) []Log {
	return slices.DeleteFunc(slices.Clone(all), func(l Log) bool { return same(l.Dir, dir) })
}

// same tells whether two names are of one directory, by a link too: what it has would be
// told twice.
func same(a, b string) bool {
	if filepath.Clean(a) == filepath.Clean(b) {
		return true
	}
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// Failed is err, saying of which log it is.
func (l Log) Failed(err error) error {
	if l.Name == "" || err == nil {
		return err
	}
	return fmt.Errorf("%s: %w", plain.Line(l.Name), err)
}

// prefix is what stands before a line about the log.
func (l Log) prefix() string {
	if l.Name == "" {
		return ""
	}
	return plain.Line(l.Name) + ": "
}

// Line is a line about the log, which says so.
func (l Log) Line(text string) string { return l.prefix() + text }

// Beside is w for whole lines about the log, which say so.
func (l Log) Beside(w io.Writer) io.Writer {
	if l.Name == "" {
		return w
	}
	return prefixing{w, l.prefix()}
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

// JSON is the JSON object of something of the log, which says so in "log", its first
// field, where there are several.
func (l Log) JSON(object []byte) []byte {
	if l.Name == "" || len(object) < 2 {
		return object
	}
	var name bytes.Buffer
	if err := plain.JSON(&name).Encode(l.Name); err != nil {
		return object
	}
	return fmt.Appendf(nil, `{"log":%s,%s`, bytes.TrimSpace(name.Bytes()), object[1:])
}

// Item is what one log has, or an error of it.
type Item[T any] struct {
	Log  Log
	What T
	Err  error
}

// Merged yields what several logs have, by time; what has none comes last. An error comes
// as soon as it is its log's next.
func Merged[T any](logs []Log, read func(Log) iter.Seq2[T, error], when func(T) time.Time) iter.Seq[Item[T]] {
	return func(yield func(Item[T]) bool) {
		type source struct {
			next Item[T]
			pull func() (T, error, bool)
		}
		var all []*source
		for _, l := range logs {
			pull, stop := iter.Pull2(read(l))
			defer stop()
			all = append(all, &source{Item[T]{Log: l}, pull})
		}
		stopped := false
		ended := func(s *source) bool { // with none, or by yield
			for !stopped {
				var more bool
				if s.next.What, s.next.Err, more = s.pull(); !more {
					return true
				} else if s.next.Err == nil {
					return false
				}
				stopped = !yield(s.next)
			}
			return true
		}
		earlier := func(a, b *source) int {
			at, bt := when(a.next.What), when(b.next.What)
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

// Events is Merged of logs' events.
func Events(logs []Log, read func(Log) iter.Seq2[audit.Event, error]) iter.Seq[Item[audit.Event]] {
	return Merged(logs, read, func(e audit.Event) time.Time { return e.Time })
}
