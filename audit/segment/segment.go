// Package segment has the files of an audit log: a row of segments that together are its
// lines, the first record's first.
//
//	DIR/events.jsonl                    the last segment, the only one that is written
//	DIR/events-000000004711.jsonl       a sealed one, called after its first record
//	DIR/events-000000004711.jsonl.zst   likewise, compressed by whatever tool (.gz, .zst)
//	DIR/archive/events-…                likewise, moved: a folder, a mount, or a link to one
//
// What is sealed isn't written again: any tool may compress it or move it away, while a
// server runs too. A log of a version without segments is one whose first segment isn't
// sealed yet.
//
// Reader reads all of them as one, in order and in bounded memory, and says what isn't
// there (Absent). While a tool is at work, or was killed at it, a segment may be there
// more than once, whole and in part: what one file lacks is taken from the next.
//
// It proves nothing: that the lines are those that were written is for package audit.
package segment

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const (
	// Current is the file of the last segment.
	Current = "events.jsonl"
	// Archive is the folder, in a log's directory, where sealed segments may lie too.
	Archive = "archive"

	prefix = "events-"
	ext    = ".jsonl"
)

// Name is the file of the sealed segment that begins with record first.
func Name(first uint64) string { return fmt.Sprintf("%s%012d%s", prefix, first, ext) }

// First is the record with which the sealed segment in the file called name begins; ok is
// false where that is no name of one.
func First(name string) (first uint64, ok bool) {
	base := strings.TrimSuffix(strings.TrimSuffix(filepath.Base(name), ".zst"), ".gz")
	number, ok := strings.CutPrefix(base, prefix)
	if !ok {
		return 0, false
	}
	number, ok = strings.CutSuffix(number, ext)
	first, err := strconv.ParseUint(number, 10, 63)
	return first, ok && err == nil && first > 0 && Name(first) == base
}

// Exist tells whether any segment of a log is in dir.
func Exist(dir string) bool {
	if _, err := os.Stat(filepath.Join(dir, Current)); err == nil {
		return true
	}
	list, err := sealed(dir)
	return err == nil && len(list) > 0
}

// Only tells whether there is no sealed segment in dir.
func Only(dir string) bool {
	list, err := sealed(dir)
	return len(list) == 0 && (err == nil || errors.Is(err, fs.ErrNotExist))
}

// file is one file of a segment.
type file struct {
	first uint64   // record; of the last segment 0 where it has no line that says so
	path  string   // below the log's directory
	open  *os.File // of the last segment, and of one that was it when it was opened
}

// compressed tells that a tool has.
func (f file) compressed() bool { return !strings.HasSuffix(f.path, ext) }

// sealed lists the sealed segments of the log in dir, in order. Of one that is there more
// than once what is most likely whole comes first: plain before compressed, which a tool
// writes while the plain one is there, and in the log's folder before the archive.
func sealed(dir string) ([]file, error) {
	var all []file
	for _, sub := range []string{"", Archive} {
		names, err := namesIn(filepath.Join(dir, sub))
		if sub == Archive && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list segments: %w", err)
		}
		for _, name := range names {
			if first, ok := First(name); ok {
				all = append(all, file{first: first, path: filepath.Join(sub, name)})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b file) int { // the archive's come last already
		switch {
		case a.first != b.first:
			return order(a.first < b.first)
		case filepath.Dir(a.path) == filepath.Dir(b.path) && a.compressed() != b.compressed():
			return order(b.compressed())
		}
		return 0
	})
	return all, nil
}

func order(before bool) int {
	if before {
		return -1
	}
	return 1
}

func namesIn(dir string) ([]string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}
