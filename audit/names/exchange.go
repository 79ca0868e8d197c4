//go:build linux

package names

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Exchange puts a and b, two files of dir, in each other's place at once, and tells
// whether the file system can do so; if it can't, nothing was done. It is durable once
// dir is synced.
func Exchange(dir *os.File, a, b string) (done bool, err error) {
	fd := int(dir.Fd())
	switch err := unix.Renameat2(fd, a, fd, b, unix.RENAME_EXCHANGE); {
	case err == nil:
		return true, nil
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EOPNOTSUPP):
		return false, nil
	default:
		return false, os.NewSyscallError("renameat2", err)
	}
}
