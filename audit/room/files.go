//go:build linux

package room

import (
	"errors"
	"os"
	"syscall"
)

const (
	keptShare = 8    // one file in so many is kept
	leastKept = 32   // files: of the log, the database, some recordings and operators
	mostKept  = 1024 // files
)

// Files is how many files this process may have open.
type Files struct {
	Most int
	// Kept is how many of those are kept for what is open already: the log, the
	// database, recordings, operators.
	Kept int
}

// FilesNow asks the kernel, since an operator may change it while the process runs. The
// error is a *os.SyscallError.
func FilesNow() (Files, error) {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return Files{}, os.NewSyscallError("getrlimit", err)
	}
	most := int(min(l.Cur, 1<<30))
	return Files{Most: most, Kept: min(max(most/keptShare, leastKept), mostKept, most)}, nil
}

// Usable is how many may be open before only kept ones are left.
func (f Files) Usable() int { return f.Most - f.Kept }

// Left tells whether, beside spare ones, more files can be opened. A new file has the
// lowest number that is free, so that one is opened and looked at: all below it are
// taken. The last spare numbers therefore are only had by what is opened without asking.
func (f Files) Left(spare int) bool {
	n, err := syscall.Open("/", syscall.O_RDONLY|syscall.O_CLOEXEC|syscall.O_DIRECTORY, 0)
	if err != nil {
		return !errors.Is(err, syscall.EMFILE) && !errors.Is(err, syscall.ENFILE)
	}
	_ = syscall.Close(n) // a directory handle
	return n < f.Most-spare
}
