package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"entry/audit/room"
)

// Unwritable says in words, with what to do, that the place of the database can't be
// written: its disk is full or read-only, or it is another account's.
type Unwritable struct {
	Text string
	Err  error // the cause, for a log
}

func (e *Unwritable) Error() string { return e.Text }
func (e *Unwritable) Unwrap() error { return e.Err }

// placed is an error of SQLite's, as *Unwritable where the place of the file at path is to
// blame. SQLite says that by many codes: SQLITE_FULL is a full disk that it was told of,
// and one that it wasn't is SQLITE_IOERR (of the index, of a sync) or SQLITE_CANTOPEN.
func placed(path string, err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code() & 0xff { // the low byte is the primary code
	case sqlite3.SQLITE_FULL:
		return unwritable(path, unix.ENOSPC, err)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN:
		return unwritable(path, unopenable(path), err)
	case sqlite3.SQLITE_IOERR:
		if err := unwritable(path, unopenable(path), err); errors.As(err, new(*Unwritable)) {
			return err
		}
		return &Unwritable{fmt.Sprintf("the disk of %s fails (%v): look at the kernel's log, then put a backup on another disk", path, e), err}
	}
	return err
}

// unwritable is err, as *Unwritable if the file system, or no, the system's own error,
// says that the file at path can't be written.
func unwritable(path string, no syscall.Errno, err error) error {
	at := path
	if _, err := os.Stat(path); err != nil {
		at = filepath.Dir(path)
	}
	if text := room.Refused(at, no); text != "" {
		return &Unwritable{text, err}
	}
	return err
}

// unopenable is why the files at path can't be written by this account, 0 where they can.
func unopenable(path string) (no syscall.Errno) {
	for _, p := range []string{path, path + "-wal", path + "-shm", filepath.Dir(path)} {
		if errors.As(unix.Access(p, unix.W_OK), &no) && no != unix.ENOENT {
			return no
		}
	}
	return 0
}
