package segment

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
)

// At is the file, below dir, that has record n or would have it, the number of its first
// record, and of the first one of the segment after that. It fails where nothing says so.
func At(dir string, n uint64, opening Opening) (path string, first, end uint64, err error) {
	r, err := Open(dir, n, opening)
	if err != nil {
		return "", 0, 0, err
	}
	defer r.Close()
	path, first = r.File()
	switch {
	case path == Current && first == 0 || first > n:
		return "", 0, 0, fmt.Errorf("no segment says that it has record %d", n)
	case path == Current || r.at+1 >= len(r.files) || r.files[r.at+1].path != Current:
		return path, first, r.next(), nil
	}
	// Where the last segment begins is known for sure where this one ends.
	last := first - 1
	for last < n {
		_, err := r.Next()
		var absent *Absent
		switch {
		case err == nil && r.Last(), errors.Is(err, io.EOF), errors.As(err, &absent):
			return Current, last + 1, math.MaxUint64, nil
		case err != nil: // it is cut there
			return path, first, r.next(), nil
		}
		last = r.N()
	}
	return path, first, r.next(), nil
}

// Stray names files that are called like sealed segments and can't be any, as they would
// begin behind the last segment's first record. It fails where the archive can't be read.
func Stray(dir string, opening Opening) (names []string, err error) {
	list, err := sealed(dir)
	if err != nil {
		return nil, err
	}
	last, err := OpenFile(filepath.Join(dir, Current))
	if err != nil {
		return nil, nil // where one was just sealed, this is so for an instant
	}
	defer last.Close()
	head := make([]byte, 256)
	n, _ := last.ReadAt(head, 0) // what can't be read is said by who reads it
	first := opening(head[:n])
	if first == 0 {
		return nil, nil
	}
	for _, f := range list { // of before the last one was opened: none of them was that since
		if f.first >= first {
			names = append(names, f.path)
		}
	}
	return names, nil
}

// Size is how many bytes the files of the log in dir have that can be looked at.
func Size(dir string) (size int64) {
	list, err := sealed(dir)
	if err != nil && !isArchive(err) {
		return 0
	}
	for _, f := range append(list, file{path: Current}) {
		if info, err := os.Stat(filepath.Join(dir, f.path)); err == nil {
			size += info.Size()
		}
	}
	return size
}
