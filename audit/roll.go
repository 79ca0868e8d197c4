//go:build linux

package audit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"entry/audit/segment"
)

// segmentSize is how large a segment gets, in bytes: it is read in a fraction of a second,
// and there are few of them in a year.
const segmentSize = 64 << 20

// full tells that the segment that is written is to be sealed before what comes now gets
// into it: it is large, beside what it carries, or of a day (UTC) before.
func (l *Log) full(now time.Time) bool {
	const day = 24 * time.Hour
	size := l.events.content.Size()
	return size > 0 && (size >= l.most+l.opened || now.Truncate(day).After(l.began.Truncate(day)))
}

// roll seals the segment that is written and begins the next one. It renames files alone:
// what is sealed is durable, and until the next one has a line that is signed the log is
// as it was. Where the disk has no room for another file or name, the log goes on in the
// segment that it has.
//
// The hashes of what is sealed are durable from then on: a start goes on from them.
func (l *Log) roll() error {
	name := segment.Name(l.first)
	if _, err := l.dir.Lstat(name); err == nil {
		l.inTheWay(name)
		return nil
	}
	// What is under this name is no file of the log's, whoever put it there: a link would
	// lead to one that is.
	if err := l.dir.Remove(eventsTemp); err != nil && !errors.Is(err, os.ErrNotExist) {
		l.inTheWay(eventsTemp)
		return nil
	}
	if err := l.disk.sync(l.hashes.File, true); err != nil {
		return fmt.Errorf("seal a segment: sync hashes: %w", err)
	}
	next, err := l.hands.open(func() (*os.File, error) {
		return l.dir.OpenFile(eventsTemp, os.O_RDWR|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o600)
	})
	if err == nil {
		err = l.disk.sync(next, false)
	}
	if err == nil {
		err = l.disk.rename(l.dir, eventsName, name)
	}
	if err == nil {
		if err = l.disk.rename(l.dir, eventsTemp, eventsName); err != nil {
			if back := l.disk.rename(l.dir, name, eventsName); back != nil {
				err = fmt.Errorf("%w, and what was renamed can't be renamed back (%v): %w", err, back, errUnsynced)
			}
		}
	}
	if err != nil {
		if next != nil {
			_ = next.Close() // nothing is in it
		}
		if noSpace(err) {
			return nil
		}
		return fmt.Errorf("seal a segment: %w", err)
	}
	if err := l.disk.sync(l.parent, false); err != nil {
		_ = next.Close() // nothing is in it
		return fmt.Errorf("seal a segment: sync directory: %w", err)
	}
	_ = l.events.Close() // everything in it is synced
	if l.events, err = keep(next, filepath.Join(l.path, eventsName)); err != nil {
		return fmt.Errorf("seal a segment: %w", err)
	}
	l.before, l.first, l.blocked = l.first, l.tree.size+1, ""
	return nil
}

// inTheWay says, once, that the log goes on in the segment that it has because of what
// somebody put under a name that it needs.
func (l *Log) inTheWay(name string) {
	if l.blocked == name {
		return
	}
	l.blocked = name
	e := Event{Type: AlarmFileGone, Reason: "in-the-way", Detail: name + " is in the way: events.jsonl can't be sealed, and grows on; move that away"}
	_ = l.commit(l.now().UTC(), []*request{{bodies: [][]byte{e.appendBody(nil)}}}) // what fails for good says so itself
}
