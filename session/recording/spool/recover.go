//go:build linux

package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"entry/audit/names"
	"entry/session/recording"
)

// Recover finds the recordings that a crash left without final segment, and
// marks each with a durable file ID.aborted so that it is found only once.
// report, if not nil, is called for each before it is marked: a crash in
// between makes it come again rather than get lost. An error of report stops
// Recover. Nothing is repaired or removed. Call it at start-up, before Open.
func Recover(dir string, report func(recording.Aborted) error) (found []recording.Aborted, err error) {
	ids, err := recording.IDs(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // no spool yet
	}
	if err != nil {
		return nil, fmt.Errorf("recover recordings: %w", err)
	}
	for _, id := range ids {
		a, aborted, err := recording.Inspect(dir, id)
		if errors.Is(err, fs.ErrNotExist) || err == nil && !aborted {
			continue // archived meanwhile, or as it should be
		}
		if err == nil && report != nil {
			err = report(a)
		}
		if err == nil {
			err = mark(dir, a)
		}
		if err != nil {
			return found, fmt.Errorf("recover recordings: %w", err)
		}
		found = append(found, a)
	}
	return found, nil
}

// mark writes ID.aborted, in place of one that a crash tore.
func mark(dir string, a recording.Aborted) (err error) {
	b, err := a.Mark(time.Now())
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	if err := root.Remove(a.ID + recording.AbortedExt); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := root.OpenFile(a.ID+recording.AbortedExt, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(writeAll(f, b), f.Sync(), f.Close()); err != nil {
		return err
	}
	return names.SyncIn(root)
}
