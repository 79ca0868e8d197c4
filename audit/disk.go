//go:build linux

package audit

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"entry/audit/names"
	"entry/audit/room"
)

// disk is what durability depends on; tests put faults and waits in its place.
type disk interface {
	// create makes a file that must not be there yet.
	create(dir *os.Root, name string) (*os.File, error)
	// write writes all of p or returns an error.
	write(f *os.File, p []byte) error
	// sync makes what was written to f durable; for a directory, its entries.
	// Where only the data and the size matter, that is all it waits for.
	sync(f *os.File, dataOnly bool) error
	rename(dir *os.Root, from, to string) error
	// free returns how much may still be written on dir's file system.
	free(dir *os.File) (room.Free, error)
}

type realDisk struct{}

func (realDisk) create(dir *os.Root, name string) (*os.File, error) {
	return dir.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
}

func (realDisk) write(f *os.File, p []byte) error {
	_, err := f.Write(p) // never short without an error
	return err
}

func (realDisk) sync(f *os.File, dataOnly bool) error {
	if !dataOnly {
		return f.Sync()
	}
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if !errors.Is(err, syscall.EINTR) {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}

func (realDisk) rename(dir *os.Root, from, to string) error { return dir.Rename(from, to) }

func (realDisk) free(dir *os.File) (room.Free, error) { return room.Of(dir) }

// replace writes a file beside name and renames it to name: durably, once the
// directory is synced. It returns the file, to be closed. Where the file system has no
// other file left for a checkpoint, the spare one is it, and the checkpoint before
// becomes the spare one.
func (l *Log) replace(temp, name string, fill func(*os.File) error) (_ *os.File, err error) {
	if err := l.dir.Remove(temp); err != nil && !errors.Is(err, os.ErrNotExist) { // a link might lead anywhere
		return nil, fmt.Errorf("%s is in the way, remove it: %w", temp, err)
	}
	f, err := l.hands.open(func() (*os.File, error) { return l.disk.create(l.dir, temp) })
	rename := func(from, to string) error { return l.disk.rename(l.dir, from, to) }
	if noSpace(err) && !noFiles(err) && name == checkpointName {
		// Written over, not emptied first: it has room, and whoever reads it as the
		// checkpoint that it was finds one or the other.
		if spare, serr := l.dir.OpenFile(checkpointSpare, os.O_RDWR, 0); serr == nil {
			f, err, temp, rename = spare, nil, checkpointSpare, l.exchange
			write := fill
			fill = func(f *os.File) error {
				err := write(f)
				if err != nil {
					return err
				}
				end, err := f.Seek(0, io.SeekCurrent)
				return errors.Join(err, f.Truncate(end))
			}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", temp, err)
	}
	defer func() {
		if err != nil {
			_ = f.Close() // nothing rests on it
		}
	}()
	if err := fill(f); err != nil {
		return nil, fmt.Errorf("write %s: %w", temp, err)
	}
	if err := l.disk.sync(f, false); err != nil {
		return nil, fmt.Errorf("sync %s: %w: %w", temp, errUnsynced, err)
	}
	if err := rename(temp, name); err != nil {
		return nil, fmt.Errorf("rename %s: %w", temp, err)
	}
	return f, nil
}

// exchange puts from and to, both files of the log's directory, in each other's place
// at once; on a file system that can't, from takes to's.
func (l *Log) exchange(from, to string) error {
	done, err := names.Exchange(l.parent, from, to)
	if done || err != nil {
		return err
	}
	l.spared = false
	return l.disk.rename(l.dir, from, to)
}

// keepSpare makes the file that a checkpoint is written to where the file system can't
// have another one. Without it, a checkpoint needs a file that is made for it.
func (l *Log) keepSpare() {
	f, err := l.dir.OpenFile(checkpointSpare, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return
	}
	if info, serr := f.Stat(); serr == nil && info.Size() == 0 { // with room for what it is to hold
		_, err = f.Write(make([]byte, maxCheckpoint))
	}
	l.spared = errors.Join(err, f.Close()) == nil
}

// lockWait is how long Open insists: Inspect holds the lock for an instant to
// see whether a writer lives.
const lockWait = 200 * time.Millisecond

// lock takes the directory's writer lock, or returns ErrLocked.
func lock(dir *os.Root) (*os.File, error) {
	f, err := dir.OpenFile(lockName, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		err = flock(f, syscall.LOCK_EX)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) || time.Since(start) > lockWait {
			break
		}
	}
	_ = f.Close() // nothing was written to it
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, ErrLocked
	}
	return nil, fmt.Errorf("lock: %w", err)
}
