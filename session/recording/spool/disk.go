//go:build linux

package spool

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"entry/audit/names"
	"entry/audit/room"
	"entry/session/recording"
)

// file is what a recording needs of its file. Tests put faults into it.
type file interface {
	io.ReaderAt
	// Write appends: where somebody has cut the file, what follows doesn't make it
	// as long as before.
	Write(p []byte) (int, error)
	Sync() error
	Close() error
}

// listFile is a file of lists, whose space is taken before it is needed.
type listFile interface {
	file
	// allocate takes the space for the file to become size bytes long, where
	// the file system can do that. The file doesn't become longer by it.
	allocate(size int64) error
	// trim gives back what was allocated beyond size, the file's length.
	trim(size int64) error
}

// disk is what a spool needs of its directory.
type disk interface {
	// create makes a new file, which must not exist, and locks it: the lock
	// tells readers that somebody still writes.
	create(name string) (file, error)
	// remove undoes create.
	remove(name string) error
	// list opens a file to append to and says how long it is.
	list(name string) (listFile, int64, error)
	// at says where a file of the directory is.
	at(name string) (names.File, error)
	// read returns what stands in a file of the directory, max bytes of it at most.
	read(name string, max int64) ([]byte, error)
	// syncNames makes the directory's names durable.
	syncNames() error
	// syncAll makes everything written before the call durable.
	syncAll() error
	// free returns how many bytes may still be written.
	free() (int64, error)
	close() error
}

// directory is the real disk. Everything goes through a root, so that no name
// leads out of the spool.
type directory struct {
	path string // absolute
	root *os.Root
	// dir was opened before any recording: a failed write-back is reported
	// once, and only to descriptors that were open when it happened.
	dir *os.File
}

// openDirectory makes the spool's directory if need be and locks it.
func openDirectory(path string) (*directory, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("make spool: %w", err)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	d := &directory{root: root}
	if d.path, err = filepath.Abs(path); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	if d.dir, err = root.Open("."); err != nil {
		return nil, errors.Join(fmt.Errorf("open spool: %w", err), root.Close())
	}
	if err := lock(d.dir, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = ErrInUse
		}
		return nil, errors.Join(fmt.Errorf("lock spool: %w", err), d.close())
	}
	if err := root.MkdirAll(recording.ListDir, 0o700); err != nil {
		return nil, errors.Join(fmt.Errorf("make spool: %w", err), d.close())
	}
	if err := d.dir.Sync(); err != nil {
		return nil, errors.Join(fmt.Errorf("make spool: %w", err), d.close())
	}
	return d, nil
}

func (d *directory) create(name string) (file, error) {
	f, err := d.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	// A reader holds its shared lock for an instant only.
	if err := lock(f, unix.LOCK_EX); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (d *directory) at(name string) (names.File, error) { return names.At(filepath.Join(d.path, name)) }

func (d *directory) read(name string, max int64) ([]byte, error) {
	f, err := d.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, max))
}

func (d *directory) remove(name string) error { return d.root.Remove(name) }

func (d *directory) list(name string) (listFile, int64, error) {
	f, err := d.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, 0, err
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return appended{f}, size, nil
}

// appended is a file that is only appended to.
type appended struct{ *os.File }

func (f appended) allocate(size int64) error {
	for {
		switch err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, size); {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS):
			return nil
		default:
			return os.NewSyscallError("fallocate", err)
		}
	}
}

func (f appended) trim(size int64) error { return f.Truncate(size) }

// noSpace reports whether err is about space alone: the disk is well, and what
// failed can be tried again.
func noSpace(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

func (d *directory) syncNames() error { return d.dir.Sync() }

// syncAll needs one call for any number of recordings: 12 ms for 1,000 files.
// Linux 5.8 and later report write-back errors by it.
func (d *directory) syncAll() error {
	return os.NewSyscallError("syncfs", unix.Syncfs(int(d.dir.Fd())))
}

func (d *directory) free() (int64, error) {
	f, err := room.Of(d.dir)
	return f.Bytes, err
}

func (d *directory) close() error { return errors.Join(d.dir.Close(), d.root.Close()) }

// lock takes a lock on f that ends with f.
func lock(f *os.File, how int) error {
	for {
		err := unix.Flock(int(f.Fd()), how)
		if !errors.Is(err, syscall.EINTR) {
			return os.NewSyscallError("flock", err)
		}
	}
}
