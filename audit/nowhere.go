//go:build linux

package audit

import (
	"errors"
	"io/fs"
	"os"
)

// Nowhere says that nothing of a log is where one has to be: its witness or the database
// knows of records. It wraps what that comes to, a *BadRecord or a *Behind.
type Nowhere struct {
	Missing bool // the directory isn't there at all
	Err     error
}

func (e *Nowhere) Error() string {
	s := "nothing of the log is in it"
	if e.Missing {
		s = "the directory isn't there"
	}
	var behind *Behind
	if errors.As(e.Err, &behind) {
		return s + ", but the database knows of records"
	}
	return s + ", but the witness directory knows of records"
}

func (e *Nowhere) Unwrap() error { return e.Err }

// bare tells whether nothing of a log is in dir: no file but empty ones, and no folder
// but a file system's own.
func bare(dir string) (yes, missing bool) {
	list, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return true, true
	}
	for _, e := range list {
		info, ierr := e.Info()
		if ierr != nil || info.IsDir() && e.Name() != "lost+found" || !info.IsDir() && info.Size() > 0 {
			return false, false
		}
	}
	return err == nil, false
}

// nowhereIn is err, of what the log in dir was held against, as a *Nowhere where that is
// because nothing is there.
func nowhereIn(dir string, err error) error {
	var bad *BadRecord
	var behind *Behind
	if !errors.As(err, &bad) && !errors.As(err, &behind) {
		return err
	}
	if none, missing := bare(dir); none {
		return &Nowhere{Missing: missing, Err: err}
	}
	return err
}
