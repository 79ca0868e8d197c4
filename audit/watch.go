//go:build linux

package audit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"entry/audit/names"
	"entry/audit/room"
	"entry/audit/segment"
)

// lookEvery is how often the writer looks after its files and its disk while
// nothing is written; with each batch it does anyway.
const lookEvery = time.Second

var (
	// ErrFull is returned by Append while the log's disk or the witness's has no
	// room. It isn't final. The events aren't in the log, or, where only the
	// witness found no room, are without having been acknowledged.
	ErrFull = errors.New("there is no room for the audit log")
	// ErrGone is what the log fails with, for good, once one of its files isn't
	// where it was: renamed, removed, replaced, cut or mounted over. The error
	// wraps a *names.Gone.
	ErrGone = errors.New("a file of the audit log was changed from outside; it must not be rotated, moved or edited while the server runs")
)

// kept is a file of the log that must stay under its name, with what was written
// to it.
type kept struct {
	*os.File
	name    names.File
	content names.Content
}

// keep notes that path leads to f. The file stays open, so that its number is no
// other file's.
func keep(f *os.File, path string) (kept, error) {
	k := kept{File: f}
	info, err := f.Stat()
	if err != nil {
		return k, err
	}
	if k.name, err = names.Of(path, f); err != nil {
		return k, err
	}
	k.content, err = names.ContentOf(f, info.Size())
	return k, err
}

// check returns nil where the file is where it was and is what was written to it,
// but for its middle.
func (k *kept) check() error {
	if err := k.name.Check(k.content.Size()); err != nil {
		return err
	}
	return k.content.Check(k.File, k.name.Path())
}

// keepAll notes the files that were opened, once they are as they have to be. A
// fresh log has no checkpoint yet: publish notes each new one.
func (l *Log) keepAll(fresh bool) error {
	for _, k := range []struct {
		to   *kept
		file *os.File
		name string
	}{{&l.events, l.events.File, eventsName}, {&l.hashes, l.hashes.File, hashesName}, {&l.locked, l.locked.File, lockName}} {
		var err error
		if *k.to, err = keep(k.file, filepath.Join(l.path, k.name)); err != nil {
			return err
		}
	}
	if !fresh {
		f, err := segment.OpenIn(l.dir, checkpointName)
		if err != nil {
			return err
		}
		if l.checkpoint, err = keep(f, filepath.Join(l.path, checkpointName)); err != nil {
			return err
		}
	}
	if l.witness == nil {
		return nil
	}
	var err error
	l.witness.kept, err = keep(l.witness.File, l.witness.path)
	return err
}

// intact returns nil where every file is where it was and what it was.
func (l *Log) intact() error {
	all := []*kept{&l.events, &l.hashes, &l.checkpoint, &l.locked}
	if l.witness != nil {
		all = append(all, &l.witness.kept)
	}
	for _, k := range all {
		if k.File == nil {
			continue
		}
		if err := k.check(); err != nil {
			return fmt.Errorf("%w: %w", ErrGone, err)
		}
	}
	return nil
}

// watch looks after the files and the disk, between batches.
func (l *Log) watch() {
	if isClosed(l.failed) {
		return
	}
	if err := l.intact(); err != nil {
		l.lose(err)
		return
	}
	l.look()
}

// lose ends the log because of err, intact's. The last thing it writes says so,
// where what is open is still the log: a file that was renamed, say, in which
// nobody would look for what came later.
func (l *Log) lose(err error) {
	if info, serr := l.events.Stat(); serr == nil && info.Size() == l.events.content.Size() && l.events.content.Check(l.events, eventsName) == nil {
		var gone *names.Gone
		e := Event{Type: AlarmFileGone, Reason: "audit-log"}
		if errors.As(err, &gone) {
			e.Detail = filepath.Base(gone.Path) + " " + gone.How + "; the log ends here"
		}
		_ = l.commit(l.now().UTC(), []*request{{bodies: [][]byte{e.appendBody(nil)}}}) // there is nowhere to say that it failed
	}
	_ = l.fail(err) // the next append returns it
}

// look measures the room that is left, and says in the log where that means
// something else than before.
func (l *Log) look() {
	if l.reserve == 0 {
		return
	}
	free, err := l.disk.free(l.parent)
	if err == nil && l.witness != nil {
		var there room.Free
		if there, err = l.disk.free(l.witness.parent); err == nil && there.Bytes < free.Bytes {
			free = there
		}
	}
	now := Spent // fail closed: what can't be measured may be nothing
	if err == nil {
		now = spaceOf(free.Bytes, l.reserve, l.Space())
	}
	if now == l.Space() {
		return
	}
	l.space.Store(uint32(now))
	select {
	case l.changed <- struct{}{}:
	default: // whoever comes to look finds the latest
	}
	e := Event{Type: AlarmLogSpace, Reason: now.String(), Detail: fmt.Sprintf("%s (%s)", now.means(), free)}
	_ = l.commit(l.now().UTC(), []*request{{bodies: [][]byte{e.appendBody(nil)}}}) // what fails for good says so itself; else the next one tells
}

// Space is how much room there is for the log. It is Ample where the log has no
// reserve.
func (l *Log) Space() Space { return Space(l.space.Load()) }

// SpaceChanged has a value when Space has changed since the last one was taken.
func (l *Log) SpaceChanged() <-chan struct{} { return l.changed }

// fail ends the log for good.
func (l *Log) fail(err error) error {
	if !isClosed(l.failed) {
		l.err = fmt.Errorf("audit log failed: %w", err)
		close(l.failed)
	}
	return l.err
}

// undo takes back what a batch has written beyond what was acknowledged, because
// the disk is full: then nothing of it was, and the next one may find room.
func (l *Log) undo(full error) error {
	for _, k := range []*kept{&l.events, &l.hashes} {
		if err := k.Truncate(k.content.Size()); err != nil {
			return l.fail(fmt.Errorf("%w, and what was written can't be taken back: %w", full, err))
		}
	}
	return fmt.Errorf("append audit event: %w: %w", ErrFull, full)
}

// errUnsynced marks the failure of a sync, which is final whatever its cause.
var errUnsynced = errors.New("not known to be on the disk")

// noSpace reports whether err is about room alone: the disk is well. A process or a
// machine that has as many files open as it may is out of room, too.
func noSpace(err error) bool {
	return !errors.Is(err, errUnsynced) && (errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || noFiles(err))
}
