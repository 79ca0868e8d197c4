//go:build linux

package audit

import (
	"errors"
	"iter"
	"os"
)

// Name tells this log from others on the same database: its origin and the hash of the key
// that it began with. It stays as the key changes.
func (l *Log) Name() string { return l.keys.Load().LogName() }

// KeyName is what the key is called that signs the log now, as Name calls its first one.
func (l *Log) KeyName() string { k := l.keys.Load(); return nameOf(k.Signs(l.Position().Size)) }

// Before are the logs before this one, the first first.
func (l *Log) Before() ([]*Past, error) { return past(l.path) }

// Position is the newest state that is durable.
func (l *Log) Position() Position { return *l.position.Load() }

// At is what the log was when it had size records; ok is false where it never
// had, or its file of hashes was damaged since it was opened and can't prove it.
func (l *Log) At(size uint64) (p Position, ok bool, err error) {
	now := l.Position()
	if size > now.Size {
		return Position{}, false, nil
	}
	root, ok := storedHashes{l.hashes}.rootAt(size, checkpoint{now.Size, now.Root})
	return Position{Size: size, Root: root}, ok, nil
}

// Since yields the events after the first size records, as Read does.
func (l *Log) Since(size uint64) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		now := l.Position().Size
		if size >= now {
			return
		}
		s, err := openSegments(l.dir, size+1)
		if errors.Is(err, os.ErrNotExist) && now == 0 {
			return
		}
		if err != nil {
			yield(Event{}, err)
			return
		}
		r := &eventReader{Reader: s, size: now}
		defer r.Close()
		if err := r.Pass(size); err != nil {
			yield(Event{}, err)
			return
		}
		r.each(yield)
	}
}
