//go:build unix

package main

import (
	"errors"
	"syscall"

	"golang.org/x/term"

	"entry/session/recording/play"
)

// openKeys takes what is typed on the terminal, key by key, until close. keys
// doesn't wait. Without a terminal of its own nothing is ever typed.
func openKeys() (keys func() []play.Key, closeKeys func() error) {
	none := func() []play.Key { return nil }
	// Opened anew, so that not waiting holds for this descriptor alone.
	fd, err := syscall.Open("/dev/tty", syscall.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		return none, func() error { return nil }
	}
	state, err := term.MakeRaw(fd)
	if err != nil {
		return none, func() error { return syscall.Close(fd) }
	}
	return func() []play.Key {
		var b [64]byte
		n, err := syscall.Read(fd, b[:])
		if err != nil || n <= 0 {
			return nil
		}
		return play.ParseKeys(b[:n])
	}, func() error { return errors.Join(term.Restore(fd, state), syscall.Close(fd)) }
}
