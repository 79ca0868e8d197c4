//go:build linux

// Package names tells whether the name of a file still leads to that file.
// Durability is of names: what is written through a descriptor whose file was
// renamed, removed, replaced or mounted over is durable where nobody will look
// for it, and what was truncated in place is gone.
//
// A check is one lstat of the whole path, so that a folder or a mount that was
// changed above the file is noticed too. Whoever checks keeps the file open: a
// number that no open file holds may be given to another one.
//
// A name says nothing of the bytes behind it. Content notices a file that was cut
// and has grown again; what was changed in its middle is for hashes to find.
package names

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// File is a file under its name, as it was when it was noted.
type File struct {
	path     string
	dev, ino uint64
}

// Gone says that a name doesn't lead where it led.
type Gone struct {
	Path string
	How  string // "was renamed or removed"
}

func (e *Gone) Error() string { return e.Path + " " + e.How }

// Of notes that path leads to f. It doesn't look whether that is so: Check does.
func Of(path string, f *os.File) (File, error) {
	info, err := f.Stat()
	if err != nil {
		return File{}, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return File{}, errors.ErrUnsupported
	}
	return File{path: path, dev: uint64(st.Dev), ino: st.Ino}, nil
}

// At notes where path leads now, for a file that somebody else has open. The
// last part of the path must be no symbolic link.
func At(path string) (File, error) {
	var st syscall.Stat_t
	if err := lstat(path, &st); err != nil {
		return File{}, fmt.Errorf("look at %s: %w", path, err)
	}
	return File{path: path, dev: uint64(st.Dev), ino: st.Ino}, nil
}

// Check returns nil where the name leads to the file and that is size bytes
// long; -1 is any size. Else it returns a *Gone, or that it can't look.
func (f File) Check(size int64) error {
	now, err := f.Size()
	switch {
	case err != nil:
		return err
	case size < 0 || now == size:
		return nil
	case now < size:
		return &Gone{f.path, fmt.Sprintf("was cut to %d bytes; %d were written", now, size)}
	}
	return &Gone{f.path, fmt.Sprintf("has %d bytes, of which somebody else wrote %d", now, now-size)}
}

// Path is the file's name.
func (f File) Path() string { return f.path }

// Size is how long the file is that the name leads to. The error is a *Gone
// where that is another one, or none.
func (f File) Size() (int64, error) {
	var st syscall.Stat_t
	switch err := lstat(f.path, &st); {
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ENOTDIR):
		return 0, &Gone{f.path, "was renamed or removed"}
	case err != nil:
		return 0, fmt.Errorf("look at %s: %w", f.path, err)
	case st.Mode&syscall.S_IFMT == syscall.S_IFLNK:
		return 0, &Gone{f.path, "was replaced by a symbolic link"}
	case uint64(st.Dev) != f.dev:
		return 0, &Gone{f.path, "is on another file system now"}
	case st.Ino != f.ino:
		return 0, &Gone{f.path, "was replaced by another file"}
	}
	return st.Size, nil
}

func lstat(path string, st *syscall.Stat_t) error {
	for {
		err := syscall.Lstat(path, st)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
