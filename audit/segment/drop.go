package segment

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
)

// Sealed are the first records of the sealed segments that are in dir or its archive, in
// order, each once.
func Sealed(dir string) (firsts []uint64, err error) {
	list, err := sealed(dir)
	for _, f := range list {
		firsts = append(firsts, f.first)
	}
	return slices.Compact(firsts), err
}

// Drop removes the sealed segments that begin before record first, whatever files they are
// in, the oldest first. The directory is synced. What can't be removed doesn't keep the others.
func Drop(dir string, first uint64) error {
	list, err := sealed(dir)
	if err != nil && !isArchive(err) {
		return err
	}
	errs := []error{err}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, f := range list {
		if f.first >= first {
			break
		}
		if err := root.Remove(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("drop a segment: %w", err))
		}
	}
	d, err := root.Open(".")
	if err == nil {
		err = errors.Join(d.Sync(), d.Close())
	}
	return errors.Join(append(errs, err)...)
}
