//go:build unix && !linux

package recording

import (
	"errors"
	"os"
)

// syncAll syncs file by file where the system has no syncfs. That is slower
// for many sessions, but no weaker.
func (d *directory) syncAll(changed []file) error {
	for _, f := range changed {
		// A file that was closed meanwhile was synced by its Close.
		if err := f.Sync(); err != nil && !errors.Is(err, os.ErrClosed) {
			return err
		}
	}
	ticks, err := d.root.Open(tickDir)
	if err != nil {
		return err
	}
	return errors.Join(ticks.Sync(), ticks.Close(), d.dir.Sync())
}
