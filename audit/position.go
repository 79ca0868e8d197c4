//go:build linux

package audit

import (
	"errors"
	"iter"

	"golang.org/x/mod/sumdb/tlog"
)

// Position is the newest state that is durable.
func (l *Log) Position() Position { return *l.position.Load() }

// At is what the log was when it had size records; ok is false where it never
// had, or its cache of hashes was damaged since it was opened.
func (l *Log) At(size uint64) (p Position, ok bool, err error) {
	now := l.Position()
	if size > now.Size {
		return Position{}, false, nil
	}
	var t tree
	ok, err = cachedLeaves(l.dir, size, func(_ uint64, leaf tlog.Hash) bool {
		t.add(leaf, nil)
		return true
	})
	return Position{Size: size, Root: t.root()}, ok, err
}

// Since yields the events after the first size records, as Read does.
func (l *Log) Since(size uint64) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		f, err := l.dir.Open(eventsName)
		if err != nil {
			yield(Event{}, err)
			return
		}
		defer f.Close()
		r := &eventReader{lines: newLineReader(f), size: l.Position().Size}
		for r.line < size {
			if _, err := r.next(); err != nil && !errors.Is(err, errLong) {
				yield(Event{}, err)
				return
			}
		}
		r.each(yield)
	}
}
