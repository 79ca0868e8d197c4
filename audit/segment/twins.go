package segment

import (
	"bytes"
	"io"
	"slices"
)

// Differs says that a file isn't what another one of the same segment is, nor the beginning
// of that, as a tool at work leaves it.
type Differs struct {
	File  string // below the log's directory
	Other string // likewise, which is read first; "" where there is more than the segment has
	First uint64 // record of the segment
	Line  uint64 // record in whose place they differ
}

func (d *Differs) Error() string { return d.File + " " + d.Why() }

// Why is the predicate of a sentence about the file.
func (d *Differs) Why() string {
	if d.Other == "" {
		return ErrBeyond.Error()
	}
	return "isn't the same in " + d.Other + ", which is of the same segment: one of the two was changed"
}

// Twins holds the files of each segment that is there more than once against each other. A
// Reader reads the first of them that has a line, so that another one could be anything.
// The error is a *Differs, or of listing them.
func Twins(dir string, opening Opening) error {
	r := &Reader{dir: dir, opening: opening}
	defer r.Close()
	if err := r.list(0); err != nil {
		return err
	}
	for r.at = 0; r.at < len(r.files); r.at++ {
		twins := r.files[r.at : r.at+1]
		for r.again() {
			r.at++
			twins = append(twins, r.files[r.at])
		}
		if len(twins) > 1 {
			if err := same(dir, twins, r.next()-twins[0].first); err != nil {
				return err
			}
		}
	}
	return nil
}

// same compares the files of a segment, of at most so many lines. What of one can't be read
// isn't there.
func same(dir string, twins []file, most uint64) error {
	type source struct {
		file
		r    io.Reader
		read []byte // of what is compared now
	}
	var all []*source
	for _, f := range twins {
		src, closeIt, err := f.reader(dir)
		if err != nil {
			continue // a tool took it away, or has only begun with it
		}
		defer closeIt()
		all = append(all, &source{f, src, make([]byte, 64<<10)})
	}
	for lines := uint64(0); len(all) > 0; {
		var longest *source
		for _, s := range all {
			n, _ := io.ReadFull(s.r, s.read[:cap(s.read)]) // behind an error there is nothing
			s.read = s.read[:n]
			if longest == nil || n > len(longest.read) {
				longest = s
			}
		}
		for i, s := range all {
			if n := differ(s.read, longest.read); n >= 0 {
				first, other := s, longest
				if slices.Index(all, longest) < i { // the first is the one that a Reader reads
					first, other = longest, s
				}
				return &Differs{File: other.path, Other: first.path, First: s.first, Line: s.first + lines + uint64(bytes.Count(s.read[:n], []byte{'\n'}))}
			}
		}
		rest := longest.read
		for lines < most && len(rest) > 0 {
			end := bytes.IndexByte(rest, '\n')
			if end < 0 {
				rest = nil
				break
			}
			rest, lines = rest[end+1:], lines+1
		}
		if len(rest) > 0 {
			return &Differs{File: longest.path, First: longest.first, Line: longest.first + lines}
		}
		var on []*source
		for _, s := range all {
			if len(s.read) == cap(s.read) {
				on = append(on, s)
			}
		}
		all = on
	}
	return nil
}

// differ is where a and b are not the same, -1 where one is the beginning of the other.
func differ(a, b []byte) int {
	n := min(len(a), len(b))
	if bytes.Equal(a[:n], b[:n]) {
		return -1
	}
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return -1
}
