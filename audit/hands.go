//go:build linux

package audit

import (
	"errors"
	"os"
	"syscall"
)

// inHand is how many open files the log keeps to itself: a checkpoint takes one, the next
// segment another, and what else the process opens in the same moment may be quicker.
const inHand = 4

// hands are open files that nothing is read from. Where the process has as many open as
// it may, they are closed, one by one, for what the log has to open: a log that can't
// open its next checkpoint acknowledges nothing.
type hands []*os.File

// fill takes in hand what is missing, further names of dir's, as far as it can be had.
func (h *hands) fill(dir *os.File) {
	for len(*h) < inHand {
		n, err := dupOf(dir)
		if err != nil {
			return // there may be some at the next checkpoint
		}
		*h = append(*h, n)
	}
}

func dupOf(f *os.File) (*os.File, error) {
	n, _, err := syscall.Syscall(syscall.SYS_FCNTL, f.Fd(), syscall.F_DUPFD_CLOEXEC, 0)
	if err != 0 {
		return nil, err
	}
	return os.NewFile(n, f.Name()), nil
}

// open calls f, again after each file that was given up for it.
func (h *hands) open(f func() (*os.File, error)) (*os.File, error) {
	for {
		file, err := f()
		if !noFiles(err) || len(*h) == 0 {
			return file, err
		}
		last := len(*h) - 1
		_ = (*h)[last].Close() // nothing is in it
		*h = (*h)[:last]
	}
}

func (h *hands) empty() {
	for _, f := range *h {
		_ = f.Close() // nothing is in it
	}
	*h = nil
}

// noFiles reports whether err says that the process, or the machine, has as many files
// open as it may.
func noFiles(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}
