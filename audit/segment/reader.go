package segment

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// maxWindow bounds what a compressed segment may make a reader keep, in bytes: more than
// zstd -19 --long=27 needs.
const maxWindow = 256 << 20

// Opening says with which record a segment begins, from its first line or what may be only
// the beginning of that; 0 for a line with which none begins.
type Opening func(line []byte) uint64

// Reader reads the lines of a log's segments one after the other.
type Reader struct {
	dir     string
	opening Opening
	files   []file
	at      int // of the file that is read
	lines   *lines
	close   []func()
	n       uint64 // the last line, counted over all segments
	archive string // why the archive isn't read; "" where it is

	strangers []error // not told yet
}

// Open reads the log in dir from the beginning of the segment that has record from. Of
// what a writer adds it sees what was there, and a part of what comes, until it Follows.
// The error wraps fs.ErrNotExist where there is no segment at all.
func Open(dir string, from uint64, opening Opening) (*Reader, error) {
	r := &Reader{dir: dir, opening: opening}
	if err := r.list(from); err != nil {
		return nil, err
	}
	if len(r.files) == 0 {
		return nil, fmt.Errorf("there is no %s: %w", Current, fs.ErrNotExist)
	}
	r.at, r.n = 0, from-1
	for i, f := range r.files {
		if f.first == 0 && i == 0 {
			r.n = 0 // nobody says where it begins: with the log
		}
		if f.first > 0 && f.first <= from && (i == 0 || f.first != r.files[i-1].first) {
			r.at, r.n = i, f.first-1
		}
	}
	return r, nil
}

// list finds the files there are, or only the last segment where that has record from; 0
// stands for none. The last one is opened before the others are listed: where it is sealed
// meanwhile, it is there twice, and not never.
func (r *Reader) list(from uint64) error {
	last, err := OpenFile(filepath.Join(r.dir, Current))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	now := file{path: Current, open: last}
	if last != nil {
		head := make([]byte, 256)
		n, err := last.ReadAt(head, 0)
		if err != nil && !errors.Is(err, io.EOF) {
			_ = last.Close() // only read
			return fmt.Errorf("read %s: %w", Current, err)
		}
		now.first = r.opening(head[:n])
		if 0 < now.first && now.first <= from {
			r.files = []file{now}
			return nil
		}
	}
	r.files, err = sealed(r.dir)
	r.archive = ""
	switch {
	case isArchive(err):
		r.archive = err.Error()
	case errors.Is(err, fs.ErrNotExist): // as Current isn't there
	case err != nil:
		if last != nil {
			_ = last.Close() // only read
		}
		return err
	}
	if last == nil {
		return nil
	}
	if now.first > 0 {
		// What begins no sooner is the same file, sealed meanwhile, or none of the log's.
		// Of the former the lines are all that was in the log when this began.
		r.files = slices.DeleteFunc(r.files, func(f file) bool { return f.first >= now.first })
	}
	r.files = append(r.files, now)
	return nil
}

// N is the number of the last line that was read, counted from the log's first.
func (r *Reader) N() uint64 { return r.n }

// File is the file that is read, below the log's directory, and the number of its first
// line.
func (r *Reader) File() (path string, first uint64) {
	f := r.files[min(r.at, len(r.files)-1)]
	return f.path, f.first
}

// Begins tells whether the last line that was read is its file's first.
func (r *Reader) Begins() bool {
	return r.at < len(r.files) && r.n == r.files[r.at].first && r.lines != nil
}

// Last tells whether the last segment is read.
func (r *Reader) Last() bool {
	end := len(r.files) - 1
	return r.at >= end && r.files[end].open != nil
}

// next is the first record of the segment after the one that is read, or more than any
// where that isn't known.
func (r *Reader) next() uint64 {
	for _, f := range r.files[r.at+1:] {
		if f.first != r.files[r.at].first {
			if f.first == 0 {
				break
			}
			return f.first
		}
	}
	return math.MaxUint64
}

// again tells whether another file of the same segment follows.
func (r *Reader) again() bool {
	return r.at+1 < len(r.files) && r.files[r.at].first > 0 && r.files[r.at+1].first == r.files[r.at].first
}

// Next returns the next line without its newline, valid until the next call. Errors are
// io.EOF behind the last segment's last line; *Absent, once, for lines of which no segment
// is there; *Stranger, once, for a file that is in the way; ErrLong, after which it goes on
// with Skip or Leave; and ErrCut, ErrBeyond and *Unreadable, after which it goes on with
// Leave, as after ErrEmpty.
func (r *Reader) Next() ([]byte, error) {
	if len(r.strangers) > 0 {
		err := r.strangers[0]
		r.strangers = r.strangers[1:]
		return nil, err
	}
	for {
		if r.lines == nil {
			if r.at >= len(r.files) {
				return nil, io.EOF
			}
			if f := r.files[r.at]; f.first > r.n+1 {
				a := &Absent{From: r.n + 1, To: f.first - 1, Why: r.archive}
				r.n = a.To
				return nil, a
			}
			if err := r.begin(); err != nil {
				return nil, err
			}
			continue
		}
		line, err := r.lines.next()
		for err == nil && r.n+1 >= r.next() && !r.begins(r.next()) {
			r.strangers = append(r.strangers, r.drop(r.next()))
		}
		switch {
		case err == nil && r.n+1 >= r.next():
			return nil, ErrBeyond
		case err == nil:
			r.n++
			return line, nil
		case errors.Is(err, io.EOF) && !r.Last(), r.again() && !errors.Is(err, io.EOF) && !errors.Is(err, ErrLong):
			if f := r.files[r.at]; f.first == r.n+1 && !r.again() {
				return nil, ErrEmpty
			}
			r.Leave()
		case errors.Is(err, io.EOF), errors.Is(err, ErrCut), errors.Is(err, ErrLong):
			return nil, err
		case r.files[r.at].open == nil:
			return nil, r.files[r.at].unreadable(err)
		default:
			return nil, fmt.Errorf("read %s: %w", r.files[r.at].path, err)
		}
	}
}

// begin opens the file that is to be read, and passes over what was read of another one
// of the same segment. A file that isn't there any more, or has nothing to add, is left.
func (r *Reader) begin() error {
	if r.at > 0 && r.next() == r.n+1 && r.files[r.at-1].first == r.files[r.at].first {
		r.Leave()
		return nil
	}
	f := r.files[r.at]
	src, err := r.open(f)
	var bad *Unreadable
	switch {
	case errors.Is(err, fs.ErrNotExist): // compressed or moved since it was listed
		r.relist()
		return nil
	case errors.As(err, &bad) && r.again():
		r.Leave()
		return nil
	case err != nil:
		return err
	}
	r.lines = newLines(src)
	if f.first == 0 {
		return nil
	}
	for skip := r.n + 1 - f.first; skip > 0; skip-- {
		_, err := r.lines.next()
		if errors.Is(err, ErrLong) {
			err = r.lines.skip()
		}
		if err != nil {
			return nil // it has less than the one before: Next says so
		}
	}
	return nil
}

// relist looks for the segment that is to be read under another name, and leaves it if it
// has none.
func (r *Reader) relist() {
	first := r.files[r.at].first
	r.at++
	list, err := sealed(r.dir)
	if err != nil && !isArchive(err) {
		return
	}
	tried := map[string]bool{}
	for _, f := range r.files {
		tried[f.path] = true
	}
	for _, f := range list {
		if f.first == first && !tried[f.path] {
			r.files = slices.Insert(r.files, r.at, f)
			return
		}
	}
}

// open opens a file to be read from its beginning.
func (r *Reader) open(f file) (io.Reader, error) {
	if f.open != nil {
		return io.NewSectionReader(f.open, 0, math.MaxInt64), nil
	}
	src, closeIt, err := f.reader(r.dir)
	if err == nil {
		r.close = append(r.close, closeIt)
	}
	return src, err
}

// reader reads the file, below dir, from its beginning. What is wrong is an *Unreadable,
// or that it isn't there.
func (f file) reader(dir string) (io.Reader, func(), error) {
	on, err := OpenFile(filepath.Join(dir, f.path))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil, err
	case err != nil:
		var path *fs.PathError
		if errors.As(err, &path) {
			err = path.Err // whoever says it says the file
		}
		return nil, nil, &Unreadable{File: f.path, err: err}
	}
	closeIt := func() { _ = on.Close() } // only read
	switch {
	case strings.HasSuffix(f.path, ".gz"):
		z, err := gzip.NewReader(on)
		if err != nil {
			closeIt()
			return nil, nil, f.unreadable(err)
		}
		return z, closeIt, nil
	case strings.HasSuffix(f.path, ".zst"):
		z, err := zstd.NewReader(on, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			closeIt()
			return nil, nil, f.unreadable(err)
		}
		return z, func() { z.Close(); closeIt() }, nil
	}
	return on, closeIt, nil
}

func (f file) unreadable(err error) *Unreadable {
	return &Unreadable{File: f.path, Compressed: f.compressed(), err: err}
}

// begins tells whether any file that is called after record first begins with it.
func (r *Reader) begins(first uint64) bool {
	for _, f := range r.files {
		if f.first == first && (f.open != nil || f.begins(r.dir, r.opening)) {
			return true
		}
	}
	return false
}

func (f file) begins(dir string, opening Opening) bool {
	src, closeIt, err := f.reader(dir)
	if err != nil {
		return false
	}
	defer closeIt()
	head := make([]byte, 256)
	n, _ := io.ReadFull(src, head) // a shorter one may be whole
	return opening(head[:n]) == f.first
}

// drop leaves out the files that are called after record first, of which there is one.
func (r *Reader) drop(first uint64) *Stranger {
	s := &Stranger{First: first}
	r.files = slices.DeleteFunc(r.files, func(f file) bool {
		if f.first == first && s.File == "" {
			s.File = f.path
		}
		return f.first == first
	})
	return s
}

// Leave goes on to the next file.
func (r *Reader) Leave() {
	r.shut()
	if r.at < len(r.files) {
		r.at++
	}
}

// Skip goes past a line that Next has returned ErrLong for.
func (r *Reader) Skip() error {
	if err := r.lines.skip(); err != nil {
		return err
	}
	r.n++
	return nil
}

// Pass reads up to record n, of which it is to be the next line's before that. It stops,
// without an error, where the log ends before.
func (r *Reader) Pass(n uint64) error {
	for r.n < n {
		var absent *Absent
		var bad *Unreadable
		var stranger *Stranger
		switch _, err := r.Next(); {
		case err == nil, errors.As(err, &stranger):
		case errors.As(err, &absent):
			r.n = min(r.n, n) // of what is missing behind it Next tells
		case errors.Is(err, io.EOF), errors.Is(err, ErrCut) && r.Last():
			return nil
		case errors.Is(err, ErrLong):
			if r.Skip() != nil {
				return nil
			}
		case errors.Is(err, ErrCut), errors.Is(err, ErrBeyond), errors.Is(err, ErrEmpty), errors.As(err, &bad):
			r.Leave()
		default:
			return err
		}
	}
	return nil
}

// shut closes what the file that is read has open.
func (r *Reader) shut() {
	for _, f := range slices.Backward(r.close) {
		f()
	}
	r.close, r.lines = nil, nil
}

// Close lets go of the files.
func (r *Reader) Close() {
	r.shut()
	for _, f := range r.files {
		if f.open != nil {
			_ = f.open.Close() // only read
		}
	}
	r.files = r.files[:0]
}
