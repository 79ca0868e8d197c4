package segment

import (
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
)

// Part is one file of a log that is about to be read from its first line on, as it is
// offered to who may know already what it has.
type Part struct {
	Path  string // below the log's directory
	First uint64 // record with which it begins
	Next  uint64 // that of the segment after it; more than any for the last one

	dir  string
	file file
}

// Last tells that the part is the last segment, the only one that grows.
func (p Part) Last() bool { return p.file.open != nil }

// Stat is of the file itself, compressed or not.
func (p Part) Stat() (fs.FileInfo, error) {
	if p.file.open != nil {
		return p.file.open.Stat()
	}
	return os.Stat(filepath.Join(p.dir, p.file.path))
}

// Open reads the part's lines from the first on, until close is called. What isn't
// compressed is an io.ReaderAt, too.
func (p Part) Open() (lines io.Reader, closeIt func(), err error) {
	if p.file.open != nil {
		return io.NewSectionReader(p.file.open, 0, math.MaxInt64), func() {}, nil
	}
	return p.file.reader(p.dir)
}

// Ahead is the file that Next reads from next; ok is false in the middle of one, where Next
// has something else to tell first, where nothing says with which record it begins, and
// where its segment is in more than one file.
func (r *Reader) Ahead() (p Part, ok bool) {
	if r.lines != nil {
		if r.Last() || r.again() || r.n+1 != r.next() {
			return p, false
		}
		if _, err := r.lines.r.Peek(1); !errors.Is(err, io.EOF) {
			return p, false
		}
		r.Leave()
	}
	if r.at >= len(r.files) || len(r.strangers) > 0 || r.again() {
		return p, false
	}
	f := r.files[r.at]
	if f.first != r.n+1 || r.at > 0 && r.files[r.at-1].first == f.first {
		return p, false
	}
	return Part{Path: f.path, First: f.first, Next: r.next(), dir: r.dir, file: f}, true
}

// Over goes on behind a sealed part, which was Ahead.
func (r *Reader) Over(p Part) {
	r.Leave()
	r.n = p.Next - 1
}

// From goes on within a part, which was Ahead, behind its record n, whose line ends so many
// bytes after the part's beginning. Nothing is done where it can't be read from there.
func (r *Reader) From(p Part, n uint64, end int64) {
	src, closeIt, err := p.Open()
	if err != nil {
		return // Next says so
	}
	if at, ok := src.(io.ReaderAt); ok {
		src = io.NewSectionReader(at, end, math.MaxInt64-end)
	} else if _, err := io.CopyN(io.Discard, src, end); err != nil {
		closeIt()
		return
	}
	r.close = append(r.close, closeIt)
	r.lines, r.n = newLines(src), n
	r.lines.off = end
}
