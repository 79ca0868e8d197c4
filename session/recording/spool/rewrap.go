//go:build linux

package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"entry/audit/names"
	"entry/session/recording"
)

// keyFiles is held while key files are replaced or removed, so that a recording which is
// removed meanwhile doesn't get a key again. One process at a time has a spool, and the
// log that both are told to first.
var keyFiles sync.Mutex

// Stage puts what a recording's key file is to be beside it, durably, in place of one that
// a crash left there. The recording mustn't be one that is being written: ErrLive.
func Stage(dir, id string, sealed []byte) (err error) {
	keyFiles.Lock()
	defer keyFiles.Unlock()
	info, err := recording.Stat(dir, id)
	if err == nil && info.State == recording.Live {
		err = ErrLive
	}
	if err != nil {
		return fmt.Errorf("stage key of recording %s: %w", id, err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("stage key of recording %s: %w", id, err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	if _, err := root.Lstat(id + recording.KeyExt); err != nil {
		return fmt.Errorf("stage key of recording %s: %w", id, err)
	}
	if err := root.Remove(id + recording.NextKeyExt); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("stage key of recording %s: %w", id, err)
	}
	f, err := root.OpenFile(id+recording.NextKeyExt, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("stage key of recording %s: %w", id, err)
	}
	if err := errors.Join(writeAll(f, sealed), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("stage key of recording %s: %w", id, errors.Join(err, root.Remove(id+recording.NextKeyExt)))
	}
	return nil
}

// Unstage takes away what Stage put beside the key of a recording, if it is there.
func Unstage(dir, id string) (err error) {
	keyFiles.Lock()
	defer keyFiles.Unlock()
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("unstage key of recording %s: %w", id, err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	if err := root.Remove(id + recording.NextKeyExt); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("unstage key of recording %s: %w", id, err)
	}
	return nil
}

// Place puts staged keys in the place of those that are there, durably. A recording that
// was removed meanwhile stays so. Why they are replaced is to be on record before.
func Place(dir string, ids []string) (err error) {
	keyFiles.Lock()
	defer keyFiles.Unlock()
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("place keys of recordings: %w", err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	var errs []error
	for _, id := range ids {
		_, err := root.Lstat(id + recording.KeyExt)
		if err == nil {
			err = root.Rename(id+recording.NextKeyExt, id+recording.KeyExt)
		}
		switch {
		case err == nil:
		case errors.Is(err, fs.ErrNotExist):
			if err := root.Remove(id + recording.NextKeyExt); err != nil && !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, fmt.Errorf("place key of recording %s: %w", id, err))
			}
		default:
			errs = append(errs, fmt.Errorf("place key of recording %s: %w", id, err))
		}
	}
	if err := names.SyncIn(root); err != nil {
		errs = append(errs, fmt.Errorf("place keys of recordings: %w", err))
	}
	return errors.Join(errs...)
}
