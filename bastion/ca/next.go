package ca

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/audit/names"
	"entry/configs"
	"entry/policy/pubkey"
)

// A CA that is to follow on another one lies beside it until it takes its place:
//
//	KEY.next, KEY.next.pub  of a key in the file KEY
//	NAME.next.pub           of one that an agent holds, or that is offline, known by NAME.pub
//
// It is there once the .pub is. Each step is durable before the next one, so that a crash
// leaves one CA, or the other, or what Settle finishes.

// NextFile is where the public key of the CA lies that is to follow on c's.
func NextFile(c configs.CA) string {
	_, public, _ := nextFiles(c)
	return public
}

// ErrNext says why there can be no next CA, as a sentence for operators.
var ErrNext = errors.New("no key can follow on this one")

func nextFiles(c configs.CA) (private, public, place string) {
	if c.File != "" {
		return c.File + ".next", c.File + ".next.pub", c.File + ".pub"
	}
	return "", strings.TrimSuffix(c.PublicKey, ".pub") + ".next.pub", c.PublicKey
}

// Next is the public key of the CA that is to follow on c's, and since when it is there, which
// is set too where the key can't be read; ok is false where there is none.
func Next(c configs.CA) (key ssh.PublicKey, since time.Time, ok bool, err error) {
	_, public, _ := nextFiles(c)
	info, err := os.Stat(public)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, since, false, nil
	}
	if err != nil {
		return nil, since, false, err
	}
	key, err = LoadPublic(public)
	return key, info.ModTime(), err == nil, err
}

// OpenNext opens the CA that is to follow on c's; nil where there is none.
func OpenNext(c configs.CA) (*Authority, error) {
	key, _, ok, err := Next(c)
	if !ok {
		return nil, err
	}
	private, public, _ := nextFiles(c)
	if c.Agent != "" {
		return fromAgent(c.Agent, public)
	}
	a, err := loadFile(private)
	if errors.Is(err, fs.ErrNotExist) {
		if now, nerr := loadFile(c.File); nerr == nil && sameKey(now.PublicKey(), key) {
			return nil, nil // it is in its place, and SettleNext finishes that
		}
	}
	if err == nil && !sameKey(a.PublicKey(), key) {
		err = fmt.Errorf("%s and %s aren't the two halves of one key", private, public)
	}
	if err != nil {
		return nil, err
	}
	return a, nil
}

// MakeNext makes the CA that is to follow on c's. Of one that isn't in a file, line is its
// public key, which the agent has to hold. announce is called before it is there; its error
// is MakeNext's.
func MakeNext(c configs.CA, comment, line string, announce func(ssh.PublicKey) error) error {
	private, public, _ := nextFiles(c)
	if c.File != "" {
		if line != "" {
			return fmt.Errorf("%w: the key is in a file, and so is the next one", ErrNext)
		}
		root, err := os.OpenRoot(filepath.Dir(private))
		if err != nil {
			return err
		}
		defer root.Close()
		name := filepath.Base(private)
		if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) { // without its .pub nobody knows it
			return err
		}
		signer, err := generateKey(root, name, comment)
		if err == nil {
			err = announce(signer.PublicKey())
		}
		if err == nil {
			err = writePublic(root, name, signer.PublicKey(), comment)
		}
		return err
	}
	if line == "" {
		return fmt.Errorf("%w: name its public key, made where the present one is kept", ErrNext)
	}
	key, _, err := pubkey.Parse(line)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNext, noKey(err))
	}
	if c.Agent != "" {
		if err := (&agentSigner{socket: c.Agent, key: key, limit: agentDeadline}).holds(); err != nil {
			return fmt.Errorf("%w: %w", ErrNext, err)
		}
	}
	if err := announce(key); err != nil {
		return err
	}
	root, err := os.OpenRoot(filepath.Dir(public))
	if err != nil {
		return err
	}
	defer root.Close()
	return replace(root, filepath.Base(public), authorizedLine(key, comment), 0o644)
}

// PlaceNext puts the next CA into the place of c's, whose private half is gone then.
func PlaceNext(c configs.CA) error {
	private, public, place := nextFiles(c)
	if private != "" {
		if err := os.Rename(private, c.File); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := names.Sync(filepath.Dir(c.File)); err != nil {
			return err
		}
	}
	if err := os.Rename(public, place); err != nil && !errors.Is(err, fs.ErrNotExist) { // else another process has settled it
		return err
	}
	return names.Sync(filepath.Dir(place))
}

// DropNext takes the next CA away.
func DropNext(c configs.CA) error {
	private, public, _ := nextFiles(c)
	for _, path := range []string{public, private} { // without its .pub nobody knows it
		if path == "" {
			continue
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := names.Sync(filepath.Dir(path)); err != nil {
			return err
		}
	}
	return nil
}

// SettleNext finishes what PlaceNext was cut off at. It changes nothing else.
func SettleNext(c configs.CA) error {
	key, _, ok, _ := Next(c) // of one that can't be read OpenNext says more
	if !ok || c.File == "" {
		return nil
	}
	private, _, _ := nextFiles(c)
	if _, err := os.Lstat(private); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	a, err := loadFile(c.File)
	if err != nil {
		return err
	}
	if !sameKey(a.PublicKey(), key) {
		return nil // OpenNext says more
	}
	return PlaceNext(c)
}
