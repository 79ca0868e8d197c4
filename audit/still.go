//go:build linux

package audit

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
)

// Still is a log that is only looked at, as Open would take it up.
type Still struct{ l *Log }

// Inspect refuses what Open would refuse, with the same error, and changes nothing:
// what a start would repair is left as it is. Where there is no log yet it returns
// an empty one; a *Nowhere where one was. It returns ErrLocked while a writer has the
// directory.
func Inspect(dir string, o Options) (_ *Still, err error) {
	l := &Log{disk: realDisk{}, still: true}
	defer func() {
		if err != nil {
			err = fmt.Errorf("open audit log %s: %w", dir, locate(dir, err))
			l.release()
		}
	}()
	named, err := l.identify(o, dir)
	if err != nil {
		return nil, err
	}
	if l.dir, err = os.OpenRoot(dir); errors.Is(err, os.ErrNotExist) {
		l.dir, err = nowhere()
	}
	if err != nil {
		return nil, err
	}
	if written(l.dir) {
		return nil, ErrLocked
	}
	found, err := l.inspect(o, named)
	if err != nil {
		return nil, nowhereIn(dir, err)
	}
	if err := l.onTime(found.last); err != nil {
		return nil, err
	}
	l.position.Store(&Position{Size: found.replay.tree.size, Root: found.replay.tree.root()})
	return &Still{l}, nil
}

// nowhere is an empty directory without a name.
func nowhere() (*os.Root, error) {
	path, err := os.MkdirTemp("", "entry-nowhere-")
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(path)
	return root, errors.Join(err, os.Remove(path))
}

// Name is as Log's.
func (s *Still) Name() string { return s.l.Name() }

// KeyName is as Log's.
func (s *Still) KeyName() string { return s.l.KeyName() }

// Before is as Log's.
func (s *Still) Before() ([]*Past, error) { return s.l.Before() }

// Position is what the log would be after a start.
func (s *Still) Position() Position { return s.l.Position() }

// At is as Log's, also where a start has to mend the file of hashes first.
func (s *Still) At(size uint64) (p Position, ok bool, err error) {
	if p, ok, err = s.l.At(size); ok || err != nil || size > s.Position().Size {
		return p, ok, err
	}
	roots, err := rootsAt(s.l.dir, size)
	if Told(err) {
		return p, false, nil
	}
	if err != nil {
		return p, false, err
	}
	return Position{Size: size, Root: roots[0]}, true, nil
}

// Since yields the events after the first size records.
func (s *Still) Since(size uint64) iter.Seq2[Event, error] { return s.l.Since(size) }

// Append refuses: nothing is written to a log that is only looked at.
func (s *Still) Append(context.Context, ...Event) error {
	return errors.New("the audit log is only looked at")
}

// Close lets go of the files.
func (s *Still) Close() error {
	s.l.release()
	return nil
}
