package segment

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
)

// Rest is the last segment's file, and where in it what wasn't read begins. What is in a
// sealed one behind the last line that was read is ErrBeyond. The file is nil where there
// is no last segment, as in the instant in which one is sealed.
func (r *Reader) Rest() (f *os.File, from int64, err error) {
	if r.at < len(r.files) && !r.Last() {
		if r.lines != nil {
			if _, err := r.lines.next(); !errors.Is(err, io.EOF) && !r.again() {
				return nil, 0, ErrBeyond
			}
		}
		r.Leave()
		for ; r.at < len(r.files) && !r.Last(); r.at++ {
			if r.files[r.at].first > r.n {
				return nil, 0, ErrBeyond
			}
		}
	}
	last := r.files[len(r.files)-1]
	if r.lines != nil && r.Last() {
		from = r.lines.off
	}
	return last.open, from, nil
}

// Follow has what came to the log since it was opened, or since the last Follow, read
// after what was there. It returns an error where the last segment became shorter.
func (r *Reader) Follow() error {
	before := *r
	if err := r.list(0); err != nil {
		return err
	}
	at := min(before.at, len(before.files)-1)
	was := before.files[at]
	old := before.files
	before.files = nil
	if was.open != nil {
		info, err := was.open.Stat()
		if err != nil {
			return err
		}
		if before.lines != nil && info.Size() < before.lines.off {
			return fmt.Errorf("read %s: it became shorter while it was followed", was.path)
		}
		now := r.files[len(r.files)-1]
		if now.open != nil {
			there, err := now.open.Stat()
			if err != nil {
				return err
			}
			if os.SameFile(info, there) {
				r.files = r.files[:len(r.files)-1]
				_ = now.open.Close() // it is open already
			}
		}
	}
	if was.first == 0 && was.open != nil { // it may have got a line meanwhile
		head := make([]byte, 256)
		n, _ := was.open.ReadAt(head, 0) // what can't be read is said by who reads it
		was.first = r.opening(head[:n])
	}
	r.files = slices.DeleteFunc(r.files, func(f file) bool { return f.open == nil && f.first <= was.first })
	r.files = slices.Insert(r.files, 0, was)
	r.at = 0
	for _, f := range old {
		if f.open != nil && f.open != was.open {
			_ = f.open.Close() // listed anew
		}
	}
	if r.lines != nil && was.open != nil {
		off := r.lines.off
		r.lines = newLines(io.NewSectionReader(was.open, off, math.MaxInt64-off))
		r.lines.off = off
	}
	return nil
}
