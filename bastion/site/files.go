//go:build linux

package site

import (
	"errors"
	"io/fs"
	"os"
)

// WriteSecret makes path a file of this text that nobody but its owner reads, whole
// or not at all, in place of an older one.
func WriteSecret(path, text string) error {
	part := path + ".part"
	if err := os.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := createFile(part, text, 0o600); err != nil {
		return err
	}
	return os.Rename(part, path)
}

// createFile makes a new file, durable on return.
func createFile(path, text string, perm fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close())
}
