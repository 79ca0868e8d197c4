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
// more than once, whole and in part: what one file lacks is taken from the next. Twins
// holds them against each other.
//
// Only regular files are read, and nobody waits for a pipe or an archive that isn't needed.
// What can't be read, or is none of the log's, is told of, and reading goes on behind it.
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
	"syscall"
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
	base := filepath.Base(name)
	if plain, ok := strings.CutSuffix(base, ".zst"); ok {
		base = plain
	} else {
		base = strings.TrimSuffix(base, ".gz")
	}
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
	return (err == nil || isArchive(err)) && len(list) > 0
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

// archiveError is why the archive can't be looked into.
type archiveError struct{ err error }

func (a *archiveError) Error() string {
	return "the folder " + Archive + " can't be read: " + a.err.Error()
}

func (a *archiveError) Unwrap() error { return a.err }

func isArchive(err error) bool {
	var a *archiveError
	return errors.As(err, &a)
}

// sealed lists the sealed segments of the log in dir, in order. Of one that is there more
// than once what is most likely whole comes first: plain before compressed, which a tool
// writes while the plain one is there, and in the log's folder before the archive. Where
// only the latter can't be read, the error is an *archiveError, and the rest is listed.
func sealed(dir string) (all []file, err error) {
	var dead error
	for _, sub := range []string{"", Archive} {
		names, err := namesIn(filepath.Join(dir, sub))
		switch {
		case sub == Archive && errors.Is(err, fs.ErrNotExist):
			continue
		case sub == Archive && err != nil:
			dead = &archiveError{err}
		case err != nil:
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
	return all, dead
}

func order(before bool) int {
	if before {
		return -1
	}
	return 1
}

func namesIn(dir string) ([]string, error) {
	d, err := openNow(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}

// openNow opens a file to be read, and waits for nothing: not for who would write into it
// where it is a pipe.
func openNow(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}

// errIrregular is said of what isn't a file.
var errIrregular = errors.New("it is no regular file")

// OpenFile opens a regular file to be read, and nothing else: a pipe would make its reader
// wait, and a device never end.
func OpenFile(path string) (*os.File, error) { return regular(openNow(path)) }

func regular(f *os.File, err error) (*os.File, error) {
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: f.Name(), Err: errIrregular}
	}
	if err != nil {
		_ = f.Close() // nothing was read
		return nil, err
	}
	return f, nil
}

// OpenIn is OpenFile's below a directory.
func OpenIn(dir *os.Root, name string) (*os.File, error) {
	return regular(dir.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0))
}
