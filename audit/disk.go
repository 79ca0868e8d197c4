//go:build linux

package audit

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// disk is what durability depends on; tests put faults and waits in its place.
type disk interface {
	// write writes all of p or returns an error.
	write(f *os.File, p []byte) error
	// sync makes what was written to f durable; for a directory, its entries.
	// Where only the data and the size matter, that is all it waits for.
	sync(f *os.File, dataOnly bool) error
	rename(dir *os.Root, from, to string) error
	// free returns how many bytes may still be written on dir's file system.
	free(dir *os.File) (int64, error)
}

type realDisk struct{}

func (realDisk) write(f *os.File, p []byte) error {
	_, err := f.Write(p) // never short without an error
	return err
}

func (realDisk) sync(f *os.File, dataOnly bool) error {
	if !dataOnly {
		return f.Sync()
	}
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if !errors.Is(err, syscall.EINTR) {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}

func (realDisk) rename(dir *os.Root, from, to string) error { return dir.Rename(from, to) }

func (realDisk) free(dir *os.File) (int64, error) {
	var st syscall.Statfs_t
	if err := syscall.Fstatfs(int(dir.Fd()), &st); err != nil {
		return 0, os.NewSyscallError("fstatfs", err)
	}
	return int64(st.Bavail) * int64(st.Bsize), nil // the fields' types differ between architectures
}

// lockWait is how long Open insists: Inspect holds the lock for an instant to
// see whether a writer lives.
const lockWait = 200 * time.Millisecond

// lock takes the directory's writer lock, or returns ErrLocked.
func lock(dir *os.Root) (*os.File, error) {
	f, err := dir.OpenFile(lockName, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		err = flock(f, syscall.LOCK_EX)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) || time.Since(start) > lockWait {
			break
		}
	}
	_ = f.Close() // nothing was written to it
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, ErrLocked
	}
	return nil, fmt.Errorf("lock: %w", err)
}
