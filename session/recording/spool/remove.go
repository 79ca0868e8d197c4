//go:build linux

package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"entry/session/recording"
)

// ErrLive is returned by Remove for a recording that is being written.
var ErrLive = errors.New("the recording is being written")

// Remove takes a recording out of the spool in dir for good: its key first, so
// that from then on nobody opens what is left, and last what lists it, so that
// after a crash in between it is still there to be removed. Why it goes is to
// be on record before.
func Remove(dir, id string) (err error) {
	info, err := recording.Stat(dir, id)
	if err == nil && info.State == recording.Live {
		err = ErrLive
	}
	if err != nil {
		return fmt.Errorf("remove recording %s: %w", id, err)
	}
	keyFiles.Lock()
	defer keyFiles.Unlock()
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("remove recording %s: %w", id, err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	names, err := root.Open(".")
	if err != nil {
		return fmt.Errorf("remove recording %s: %w", id, err)
	}
	defer func() { err = errors.Join(err, names.Close()) }()
	for _, ext := range []string{recording.KeyExt, recording.NextKeyExt, recording.AbortedExt, recording.Ext} {
		if err := root.Remove(id + ext); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove recording %s: %w", id, err)
		}
		if err := names.Sync(); err != nil {
			return fmt.Errorf("remove recording %s: %w", id, err)
		}
	}
	return nil
}
