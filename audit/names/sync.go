package names

import (
	"errors"
	"os"
)

// Sync makes the names in a directory durable: which files it has, and which of them each
// name leads to. What is in the files isn't its business.
func Sync(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// SyncIn is Sync for a directory that is open.
func SyncIn(dir *os.Root) error {
	d, err := dir.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
