//go:build darwin || linux

package recording

import (
	"errors"
	"os"
	"syscall"
)

// beingWritten reports whether some process still writes f: it then holds the
// file's lock.
func beingWritten(f *os.File) (bool, error) {
	switch err := lock(f, syscall.LOCK_SH|syscall.LOCK_NB); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return true, nil
	case err != nil:
		return false, err
	}
	return false, lock(f, syscall.LOCK_UN)
}

func lock(f *os.File, how int) error {
	for {
		err := syscall.Flock(int(f.Fd()), how)
		if !errors.Is(err, syscall.EINTR) {
			return os.NewSyscallError("flock", err)
		}
	}
}
