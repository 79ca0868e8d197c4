//go:build darwin || linux

package audit

import (
	"errors"
	"os"
	"syscall"

	"entry/audit/segment"
)

// Writing reports whether a writer has the log in dir open, as far as can be told: of
// a copy nobody has, and where the lock can't be looked at, somebody may.
func Writing(dir string) bool {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return false
	}
	defer root.Close()
	f, err := segment.OpenIn(root, lockName)
	if err != nil {
		return !errors.Is(err, os.ErrNotExist)
	}
	defer f.Close()
	return errors.Is(flock(f, syscall.LOCK_SH), syscall.EWOULDBLOCK)
}

// written says whether a writer has the directory's lock now. A directory
// whose lock can't be read (a copy, another account) has no writer we know of.
func written(dir *os.Root) bool {
	f, err := segment.OpenIn(dir, lockName)
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(flock(f, syscall.LOCK_SH), syscall.EWOULDBLOCK)
}

func flock(f *os.File, how int) error {
	for {
		err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
