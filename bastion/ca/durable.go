package ca

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/crypto/ssh"

	"entry/audit/names"
)

// publish makes data durable under name, or fails with fs.ErrExist and changes
// nothing. The bytes are synced under a temporary name and linked into place,
// so a crash or a second process can neither leave half a key under name nor
// replace one. '~' isn't in the alphabet of names, so that temporary files
// collide with nothing.
func publish(root *os.Root, name string, data []byte, perm fs.FileMode) error {
	temp, err := writeTemp(root, name, data, perm)
	if err != nil {
		return err
	}
	err = root.Link(temp, name)
	if rerr := root.Remove(temp); err == nil {
		err = rerr
	}
	if err != nil {
		return err
	}
	return names.SyncIn(root)
}

// replace makes data durable under name, over whatever is there.
func replace(root *os.Root, name string, data []byte, perm fs.FileMode) error {
	temp, err := writeTemp(root, name, data, perm)
	if err != nil {
		return err
	}
	if err := root.Rename(temp, name); err != nil {
		return errors.Join(err, root.Remove(temp))
	}
	return names.SyncIn(root)
}

func writeTemp(root *os.Root, name string, data []byte, perm fs.FileMode) (string, error) {
	temp := name + "~" + rand.Text()
	f, err := root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return "", err
	}
	// The mode is set again because the umask may have taken more than it
	// should from a public file; it can't have added anything to a private one.
	err = f.Chmod(perm)
	if err == nil {
		_, err = f.Write(data)
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return "", errors.Join(err, root.Remove(temp))
	}
	return temp, nil
}

// writePublic puts the authorized_keys line of key into name.pub, which is
// what an operator copies or signs.
func writePublic(root *os.Root, name string, key ssh.PublicKey, comment string) error {
	if err := replace(root, name+".pub", authorizedLine(key, comment), 0o644); err != nil {
		return fmt.Errorf("write %s.pub: %w", name, err)
	}
	return nil
}
