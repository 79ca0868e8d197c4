//go:build linux

package site

import (
	"errors"
	"os"
	"path/filepath"

	"entry/audit/room"
	"entry/configs"
)

// leastDatabase is what has to be free for the database: some thousand changes.
const leastDatabase = 1 << 20 // bytes

// checkPlaces refuses what is on a full or read-only disk, all of it at once: there no
// account could be changed, or no session would start. A place that isn't there yet is
// its folder's.
func checkPlaces(cfg *configs.Config) error {
	var errs []error
	for _, p := range []struct {
		path string
		keep int64 // bytes
	}{
		{cfg.Database.SQLite, leastDatabase}, {cfg.Audit.Directory, cfg.Audit.Reserve}, {cfg.Audit.Witness, cfg.Audit.Reserve},
		{cfg.Recording.Directory, cfg.Recording.Reserve},
	} {
		if p.path == "" {
			continue
		}
		for p.path != filepath.Dir(p.path) && !exists(p.path) {
			p.path = filepath.Dir(p.path)
		}
		if why := room.Short(p.path, p.keep); why != "" {
			errs = append(errs, errors.New(why))
		}
	}
	return errors.Join(errs...)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
